/* author: see author.h. */
#include "smtp/author.h"

#include "directory/directory.h"
#include "message/encoded_word.h"
#include "message/header.h"
#include "message/mailbox.h"

enum { ARENA_MAX = 8 << 20, SHOWN_MAX = 1 << 20, FOLDED_MAX = 1 << 22, DOMAIN_ARENA_MAX = 1 << 14 };

enum kind {
    KIND_MAILBOXES, /* one or more, ours */
    KIND_MAILBOX,   /* exactly one, ours */
    KIND_OTHER      /* not looked into */
};

struct rule {
    const char *name;
    enum kind kind;
    bool resent; /* once for each resending, else once (RFC 5322 section 3.6) */
};

enum { FROM, SENDER, RESENT_FROM, RESENT_SENDER, RULE_AUTHORS };
static const struct rule rules[] = { [FROM] = { "From", KIND_MAILBOXES, false },
                                     [SENDER] = { "Sender", KIND_MAILBOX, false },
                                     [RESENT_FROM] = { "Resent-From", KIND_MAILBOXES, true },
                                     [RESENT_SENDER] = { "Resent-Sender", KIND_MAILBOX, true },
                                     [RULE_AUTHORS] = { "Reply-To", KIND_OTHER, false },
                                     { "Date", KIND_OTHER, false },
                                     { "Message-ID", KIND_OTHER, false },
                                     { "Subject", KIND_OTHER, false } };
enum { RULES = sizeof rules / sizeof *rules };

struct check {
    const struct smtp_service *service;
    const struct smtp_login *login;
    struct arena arena;
    struct buf *why;
    unsigned count[RULES];
    bool several;        /* From names more than one */
    bool resent_several; /* a Resent-From of the present block does, and no Resent-Sender is there yet */
    bool resent_sender;  /* the present block has one */
    bool resent_any;     /* some Resent- field is there */
};

static enum smtp_reply refuse(struct check *c, enum smtp_reply reply, const char *name, const char *text)
{
    buf_addf(c->why, "The %s: field %s", name, text);
    return reply;
}

static enum smtp_reply refuse_address(struct check *c, const char *name, const char *verb, str address)
{
    buf_addf(c->why, "The %s: field %s %.*s, which you may not send as", name, verb, STR_ARG(address));
    return SMTP_REPLY_NOT_YOUR_FROM;
}

/* Whether DOMAIN is one of ours. 0 or an error. */
static int is_ours(struct check *c, str domain, bool *ret)
{
    struct arena a = ARENA_INIT(DOMAIN_ARENA_MAX);
    enum smtp_recipient_verdict verdict = SMTP_RECIPIENT_NOT_OURS;
    str canonical, address;
    int r = directory_canonical_domain(domain, &a, &canonical, NULL);
    if (r == 0)
        r = arena_printf(&a, &address, "postmaster@%.*s", STR_ARG(canonical));
    if (r == 0)
        r = c->service->recipient(c->service->ctx, c->login, address, 0, &verdict, NULL);
    arena_done(&a);
    *ret = verdict != SMTP_RECIPIENT_NOT_OURS;
    return r == ERR_SYNTAX ? 0 : r; /* no domain: nobody's */
}

/* TEXT shows no address of ours that is another's. */
static enum smtp_reply check_text(struct check *c, const char *name, str text)
{
    enum smtp_reply reply = SMTP_REPLY_ACCEPTED;
    size_t at = 0, n = 0;
    str local, domain;
    while (reply == SMTP_REPLY_ACCEPTED && message_text_next_address(text, &at, &local, &domain)) {
        struct buf address = BUF_INIT(SHOWN_MAX);
        bool ours;
        buf_add_all(&address, local, STR("@"), domain);
        if (n++ == SMTP_AUTHORS_MAX)
            reply = refuse(c, SMTP_REPLY_BAD_FROM, name, "has too many addresses in names");
        else if (is_ours(c, domain, &ours) != 0)
            reply = SMTP_REPLY_TEMPORARY;
        else if (ours && !c->service->may_send_as(c->service->ctx, c->login, buf_str(&address)))
            reply = refuse_address(c, name, "shows", buf_str(&address));
        buf_done(&address);
    }
    return reply;
}

/* What a program might show in place of the address, by its characters and by how they look. */
static enum smtp_reply check_shown(struct check *c, const char *name, str shown)
{
    struct buf text = BUF_INIT(SHOWN_MAX), folded = BUF_INIT(FOLDED_MAX);
    enum smtp_reply reply = SMTP_REPLY_ACCEPTED;
    int err = message_encoded_word_decode(shown, &text);
    if (err == 0)
        err = message_text_fold(buf_str(&text), &folded);
    if (err)
        reply = err == ERR_INTERNAL ? SMTP_REPLY_TEMPORARY : refuse(c, SMTP_REPLY_BAD_FROM, name, "has too long a name");
    if (reply == SMTP_REPLY_ACCEPTED)
        reply = check_text(c, name, buf_str(&text));
    if (reply == SMTP_REPLY_ACCEPTED && !str_eq(buf_str(&text), buf_str(&folded)))
        reply = check_text(c, name, buf_str(&folded));
    buf_done(&text);
    buf_done(&folded);
    return reply;
}

static enum smtp_reply check_mailboxes(struct check *c, const struct rule *rule, str value, unsigned *ret_n)
{
    const struct message_mailbox *list;
    const char *why;
    unsigned n;
    enum smtp_reply reply = SMTP_REPLY_ACCEPTED;
    int r = message_mailboxes_parse(value, SMTP_AUTHORS_MAX, &c->arena, &list, &n, &why);
    if (r == ERR_SYNTAX)
        return refuse(c, SMTP_REPLY_BAD_FROM, rule->name, why);
    if (r)
        return refuse(c, SMTP_REPLY_BAD_FROM, rule->name, "is too long");
    if (n > 1 && rule->kind == KIND_MAILBOX)
        return refuse(c, SMTP_REPLY_BAD_FROM, rule->name, "has more than one address");
    for (unsigned i = 0; i < n && reply == SMTP_REPLY_ACCEPTED; i++) {
        if (!c->service->may_send_as(c->service->ctx, c->login, list[i].address))
            reply = refuse_address(c, rule->name, "names", list[i].address);
        else
            reply = check_shown(c, rule->name, list[i].shown);
    }
    *ret_n = n;
    return reply;
}

/* The fields of one resending stand together (RFC 5322 section 3.6.6): here they end. */
static enum smtp_reply end_resent(struct check *c)
{
    bool lacks = c->resent_several && !c->resent_sender;
    c->resent_several = c->resent_sender = false;
    return lacks ? refuse(c, SMTP_REPLY_BAD_FROM, "Resent-From",
                          "has several addresses, so Resent-Sender: must say who has sent it")
                 : SMTP_REPLY_ACCEPTED;
}

static enum smtp_reply check_field(struct check *c, size_t i, const struct message_header_field *f)
{
    const struct rule *rule = &rules[i];
    unsigned n = 0;
    if (f->name.p + f->name.n + 1 != f->value.p)
        return refuse(c, SMTP_REPLY_BAD_FROM, rule->name, "has a space before its colon");
    if (c->count[i]++ && !rule->resent)
        return refuse(c, SMTP_REPLY_BAD_FROM, rule->name, "is there twice; a message has one");
    if (rule->kind == KIND_OTHER)
        return SMTP_REPLY_ACCEPTED;
    /* A second one begins another block. */
    enum smtp_reply reply = i == RESENT_FROM || (i == RESENT_SENDER && c->resent_sender) ? end_resent(c) : SMTP_REPLY_ACCEPTED;
    if (reply == SMTP_REPLY_ACCEPTED)
        reply = check_mailboxes(c, rule, f->value, &n);
    if (i == FROM)
        c->several = n > 1;
    else if (i == RESENT_FROM)
        c->resent_several = n > 1;
    else if (i == RESENT_SENDER)
        c->resent_sender = true;
    return reply;
}

static size_t find_rule(str name)
{
    size_t i = 0;
    while (i < RULES && !str_ieq(name, str_from_z(rules[i].name)))
        i++;
    return i;
}

enum smtp_reply smtp_author_check(const struct smtp_service *service, const struct smtp_login *login, str message,
                                  struct buf *why)
{
    struct check c = { .service = service, .login = login, .arena = ARENA_INIT(ARENA_MAX), .why = why };
    struct message_header_field f;
    enum smtp_reply reply = SMTP_REPLY_ACCEPTED;
    for (size_t at = 0; reply == SMTP_REPLY_ACCEPTED && message_header_next(message, &at, &f);) {
        size_t i = find_rule(f.name);
        bool is_resent = str_istarts(f.name, STR("Resent-"));
        c.resent_any |= is_resent;
        if (!is_resent)
            reply = end_resent(&c);
        if (reply == SMTP_REPLY_ACCEPTED && i < RULES)
            reply = check_field(&c, i, &f);
    }
    if (reply == SMTP_REPLY_ACCEPTED)
        reply = end_resent(&c);
    if (reply == SMTP_REPLY_ACCEPTED && c.count[FROM] == 0)
        reply = refuse(&c, SMTP_REPLY_BAD_FROM, "From", "is missing");
    else if (reply == SMTP_REPLY_ACCEPTED && c.several && c.count[SENDER] == 0) /* RFC 5322 section 3.6.2 */
        reply = refuse(&c, SMTP_REPLY_BAD_FROM, "From", "has several addresses, so Sender: must say who has sent it");
    else if (reply == SMTP_REPLY_ACCEPTED && c.resent_any && c.count[RESENT_FROM] == 0)
        reply = refuse(&c, SMTP_REPLY_BAD_FROM, "Resent-From", "is missing beside other Resent- fields");
    arena_done(&c.arena);
    return reply;
}
