/* notes: see notes.h.
 *
 * Which mark an account was told of lies in a partition of its own, one row for each account that is above one. The row is written after the letter: a crash
 * in between has it told twice rather than never. */
#include "role/notes.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/utf8.h"
#include "dsn/note.h"
#include "dsn/words.h"
#include "role/role.h"

enum { QUEUE_MAX = 100000, TEXT_MAX = 64 * 1024, MESSAGE_MAX = 256 * 1024, ARENA_MAX = 1 << 20, IMAPS = 993, SUBMISSIONS = 465 };

static const engine_part notes_part = { "valise-notes" };

/* --- what is to be looked at --- */

struct notes {
    pthread_mutex_t lock;
    engine_part *list;
    size_t n, cap;
};

struct notes *notes_new(void)
{
    struct notes *n = calloc(1, sizeof *n);
    if (!n)
        panic("out of memory for notes to users");
    pthread_mutex_init(&n->lock, NULL);
    return n;
}

void notes_free(struct notes *n)
{
    if (!n)
        return;
    pthread_mutex_destroy(&n->lock);
    free(n->list);
    free(n);
}

bool notes_touch(void *ctx, engine_part id)
{
    struct notes *n = ctx;
    pthread_mutex_lock(&n->lock);
    if (n->n == n->cap && n->cap < QUEUE_MAX) {
        size_t cap = n->cap ? 2 * n->cap : 64;
        engine_part *list = reallocarray(n->list, cap, sizeof *list);
        if (list) {
            n->list = list;
            n->cap = cap;
        }
    }
    bool room = n->n < n->cap;
    if (room)
        n->list[n->n++] = id;
    pthread_mutex_unlock(&n->lock);
    return room;
}

/* --- what is set --- */

struct setting {
    enum language language;
    bool welcome, quota_warnings, refuses; /* mail over quota, for good */
    unsigned imap, submission;             /* ports */
    str hostname;
};

static void take_setting(const struct config *c, unsigned offset, struct arena *a, struct setting *ret)
{
    *ret = (struct setting){ .language = c->language,
                             .welcome = c->welcome,
                             .quota_warnings = c->quota_warnings,
                             .refuses = c->refuse_over_quota,
                             .imap = IMAPS + offset,
                             .submission = SUBMISSIONS + offset,
                             .hostname = STR("localhost") };
    for (size_t i = c->listener_n; i-- > 0;) {
        const struct config_listener *l = &c->listeners[i];
        if (l->tls == SMTP_TLS_IMPLICIT && l->protocol == CONFIG_IMAP)
            ret->imap = l->port + offset;
        if (l->tls == SMTP_TLS_IMPLICIT && l->protocol == CONFIG_SUBMISSION)
            ret->submission = l->port + offset;
    }
    (void)!arena_dup(a, c->hostname, &ret->hostname);
}

/* What is in force; without a server, what the file says. False when there is none. */
static bool get_setting(struct admin *a, struct arena *arena, struct setting *ret)
{
    struct config *c = NULL;
    if (a->run) {
        struct role_snapshot *s = role_snapshot_get(a->run);
        take_setting(s->config, s->port_offset, arena, ret);
        role_snapshot_unref(s);
        return true;
    }
    if (config_read("valise.conf", &c, NULL))
        return false;
    take_setting(c, 0, arena, ret);
    config_free(c);
    return true;
}

enum language notes_language(struct admin *a, enum language language)
{
    struct arena arena = ARENA_INIT(ARENA_MAX);
    struct setting s;
    if (language == LANGUAGE_UNSAID)
        language = get_setting(a, &arena, &s) ? s.language : LANGUAGE_EN;
    arena_done(&arena);
    return language;
}

/* --- a letter --- */

struct letter {
    struct admin *admin;
    struct arena arena;
    struct setting setting;
    struct directory_account account;
    enum language language;
    struct word_value values[16];
    size_t value_n;
};

static void letter_value(struct letter *l, const char *name, str value)
{
    require(l->value_n < sizeof l->values / sizeof l->values[0]);
    l->values[l->value_n++] = (struct word_value){ name, value };
}

/* NAME with TEXT, of which the values so far are filled in. */
static int letter_filled(struct letter *l, const char *name, str text, str *ret)
{
    struct buf b = BUF_INIT(TEXT_MAX);
    words_fill(&b, text, l->values, l->value_n);
    int err = buf_error(&b);
    if (err == 0)
        err = arena_dup(&l->arena, buf_str(&b), ret);
    if (err == 0 && name)
        letter_value(l, name, *ret);
    buf_done(&b);
    return err;
}

/* To account ID, with what every text may name. ERR_NOTFOUND when it is gone. */
static int letter_begin(struct letter *l, struct admin *a, engine_part id)
{
    str text;
    *l = (struct letter){ .admin = a, .arena = ARENA_INIT(ARENA_MAX) };
    if (!get_setting(a, &l->arena, &l->setting))
        return ERR_UNAVAILABLE;
    int err = directory_account_of(a->directory, id, &l->arena, &l->account);
    if (err)
        return err;
    str address = l->account.address, domain = str_from(address, str_rfind_byte(address, '@') + 1);
    l->language = l->account.language == LANGUAGE_UNSAID ? l->setting.language : l->account.language;
    letter_value(l, "name", l->account.name);
    letter_value(l, "address", address);
    letter_value(l, "domain", domain);
    letter_value(l, "hostname", l->setting.hostname);
    if (arena_printf(&l->arena, &text, "%u", l->setting.imap) == 0)
        letter_value(l, "imap", text);
    if (arena_printf(&l->arena, &text, "%u", l->setting.submission) == 0)
        letter_value(l, "smtp", text);
    err = arena_printf(&l->arena, &text, "postmaster@%.*s", STR_ARG(domain));
    if (err == 0)
        letter_value(l, "postmaster", text);
    if (err == 0)
        err = letter_filled(l, "hello", words_in(l->language, l->account.name.n ? WORD_HELLO : WORD_HELLO_SOMEBODY), &text);
    return err;
}

/* Also to a full mailbox: it is a few bytes, and who is full has to learn it. */
static int letter_send(struct letter *l, enum language language, str subject, str text, struct error *e)
{
    struct buf message = BUF_INIT(MESSAGE_MAX);
    struct id id = id_new();
    int64_t now_s = clock_real_ms() / 1000;
    str from, filled_subject, filled_text;
    int err = arena_printf(&l->arena, &from, "postmaster@%.*s",
                           STR_ARG(str_from(l->account.address, str_rfind_byte(l->account.address, '@') + 1)));
    if (err == 0)
        err = letter_filled(l, NULL, subject, &filled_subject);
    if (err == 0)
        err = letter_filled(l, NULL, text, &filled_text);
    if (err == 0)
        err = dsn_note_write(&message, &(struct dsn_note){ .hostname = l->setting.hostname,
                                                           .from = from,
                                                           .to = l->account.address,
                                                           .id = id_str(&id),
                                                           .now_s = now_s,
                                                           .zone = date_local_zone(now_s),
                                                           .language = language,
                                                           .subject = filled_subject,
                                                           .text = filled_text });
    if (err == 0) {
        struct mail_recipient to = {
            .account = l->account.id, .address = l->account.address, .prefix = STR("Return-Path: <>\r\n"), .beyond_quota = true
        };
        struct mail_deposit *deposit = mail_deposit_new(l->admin->mail, NULL);
        err = mail_deposit_write(deposit, buf_str(&message));
        if (err == 0)
            err = mail_deliver(l->admin->mail, deposit, &to, 1, e);
        mail_deposit_free(deposit);
    }
    buf_done(&message);
    return err;
}

static void log_note(const struct letter *l, const char *what, int err)
{
    log_event(err ? LOG_WARNING : LOG_INFO, "note", LOG_Z("about", what), LOG_STR("to", l->account.address),
              LOG_STR("language", language_tag(l->language)), LOG_Z("error", err ? err_name(err) : ""));
}

/* --- quotas --- */

static str key_of(const engine_part *id)
{
    return (str){ (const char *)id->b, sizeof id->b };
}

static int read_level(struct engine *g, const engine_part *id, unsigned *ret)
{
    struct arena a = ARENA_INIT(4096);
    str key = key_of(id), value;
    int err = engine_get(g, notes_part, &key, 1, ENGINE_SYNCED, &a, &value, NULL);
    if (err == 0)
        *ret = value.n == 1 ? (unsigned char)value.p[0] : 0;
    arena_done(&a);
    return err;
}

static int write_level(struct engine *g, const engine_part *id, unsigned level)
{
    struct engine_txn *t = engine_begin(g, notes_part, ENGINE_ANY_VERSION);
    char byte = (char)level;
    engine_urgent(t);
    if (level)
        engine_put(t, key_of(id), (str){ &byte, 1 });
    else
        engine_del(t, key_of(id));
    return engine_commit(t, NULL);
}

/* N bytes or messages as people read it: "812 KiB", "12.3 MiB", in French "12,3 Mio". */
static int amount(struct letter *l, bool bytes, uint64_t n, str *ret)
{
    enum { KIB = 1 << 10, MIB = 1 << 20, IN_KIB = 10 * MIB };
    enum word word = !bytes ? words_messages(l->language, n) : n < IN_KIB ? WORD_KIB : WORD_MIB;
    struct buf b = BUF_INIT(256);
    str number;
    int err = word == WORD_MIB ? arena_printf(&l->arena, &number, "%llu%c%llu", (unsigned long long)(n / MIB),
                                              l->language == LANGUAGE_FR ? ',' : '.', (unsigned long long)(n % MIB * 10 / MIB))
                               : arena_printf(&l->arena, &number, "%llu", (unsigned long long)(word == WORD_KIB ? n / KIB : n));
    const struct word_value value = { "n", number };
    if (err == 0) {
        words_fill(&b, words_in(l->language, word), &value, 1);
        err = arena_dup(&l->arena, buf_str(&b), ret);
    }
    buf_done(&b);
    return err;
}

static int warn(struct letter *l, const struct mail_quota *q)
{
    struct error e = ERROR_NONE;
    const struct mail_quota of_bytes = { .bytes = q->bytes, .bytes_max = q->bytes_max };
    bool bytes = q->bytes_max && mail_quota_percent(&of_bytes) == mail_quota_percent(q);
    enum word soon = l->setting.refuses ? WORD_QUOTA_SOON_REFUSED : WORD_QUOTA_SOON_WAITS;
    enum word now = l->setting.refuses ? WORD_QUOTA_NOW_REFUSED : WORD_QUOTA_NOW_WAITS;
    str percent, used, limit;
    int err = arena_printf(&l->arena, &percent, "%u", mail_quota_percent(q));
    if (err == 0)
        err = bytes ? amount(l, true, q->bytes, &used) : arena_printf(&l->arena, &used, "%llu", (unsigned long long)q->messages);
    if (err == 0)
        err = amount(l, bytes, bytes ? q->bytes_max : q->messages_max, &limit);
    if (err == 0) {
        letter_value(l, "percent", percent);
        letter_value(l, "used", used);
        letter_value(l, "limit", limit);
        letter_value(l, "full", words_in(l->language, mail_quota_percent(q) >= 100 ? now : soon));
        err = letter_send(l, l->language, words_in(l->language, WORD_QUOTA_SUBJECT), words_in(l->language, WORD_QUOTA_TEXT), &e);
    }
    log_note(l, "quota", err);
    return err;
}

static int look_at(struct admin *a, engine_part id)
{
    struct mail_account *m = NULL;
    struct mail_quota q;
    struct letter l;
    unsigned told = 0;
    int err = mail_account_open(a->mail, id, &m);
    if (err == 0)
        err = mail_account_quota(m, &q);
    mail_account_unref(m);
    if (err == 0)
        err = read_level(a->engine, &id, &told);
    unsigned level = err ? told : mail_quota_level(&q);
    if (err == 0 && level > told) {
        err = letter_begin(&l, a, id);
        if (err == 0 && l.setting.quota_warnings)
            err = warn(&l, &q);
        arena_done(&l.arena);
    }
    return err == 0 && level != told ? write_level(a->engine, &id, level) : err;
}

void notes_tend(struct notes *n, struct admin *a)
{
    pthread_mutex_lock(&n->lock);
    engine_part *list = n->list;
    size_t count = n->n;
    n->list = NULL;
    n->n = n->cap = 0;
    pthread_mutex_unlock(&n->lock);
    for (size_t i = 0; i < count; i++) {
        int err = look_at(a, list[i]);
        if (err && err != ERR_NOTFOUND)
            (void)notes_touch(n, list[i]);
    }
    free(list);
}

static int count_one(void *ctx, str key, str value)
{
    size_t *counts = ctx;
    for (unsigned i = 0; i < MAIL_QUOTA_MARKS && value.n == 1; i++)
        counts[i] += (unsigned char)value.p[0] > i;
    (void)key;
    return 0;
}

int notes_count(struct engine *g, size_t ret[MAIL_QUOTA_MARKS])
{
    int err = ERR_CONFLICT;
    for (int attempt = 0; err == ERR_CONFLICT && attempt < 5; attempt++) {
        memset(ret, 0, MAIL_QUOTA_MARKS * sizeof *ret);
        err = engine_scan(g, notes_part, STR(""), STR(""), ENGINE_SYNCED, count_one, ret, NULL);
    }
    return err;
}

/* --- a welcome --- */

/* The first line "Subject: ..." of *TEXT, which loses it and the empty lines behind it; empty when there is none. */
static str take_subject(str *text)
{
    str rest = *text, line, begin = STR("Subject:");
    if (!str_split(&rest, '\n', &line) || !str_istarts(line, begin))
        return STR("");
    while (rest.n && (rest.p[0] == '\n' || rest.p[0] == '\r'))
        rest = str_from(rest, 1);
    *text = rest;
    return str_trim(str_from(line, begin.n));
}

const char notes_welcome_places[] = "{name} {address} {domain} {hostname} {imap} {smtp} {postmaster} {hello}";

bool notes_welcome_knows(str place)
{
    str rest = str_from_z(notes_welcome_places), one;
    while (str_split(&rest, ' ', &one))
        if (str_eq(str_sub(one, 1, one.n - 2), place))
            return true;
    return false;
}

void notes_welcome(struct admin *a, engine_part id, const json_t *own)
{
    struct letter l;
    struct error e = ERROR_NONE;
    int err = letter_begin(&l, a, id);
    bool wanted = err == 0 && l.setting.welcome && l.account.role != DIRECTORY_PROGRAM;
    if (wanted) {
        str tag = language_tag(l.language), subject = STR(""), text = STR("");
        const json_t *given = json_object_getn(own, tag.p, tag.n);
        if (json_is_string(given) && json_string_length(given) <= NOTES_WELCOME_MAX)
            text = (str){ json_string_value(given), json_string_length(given) };
        if (text.n)
            subject = take_subject(&text);
        else
            text = words_in(l.language, WORD_WELCOME_TEXT);
        if (!subject.n)
            subject = words_in(l.language, WORD_WELCOME_SUBJECT);
        err = letter_send(&l, l.language, subject, text, &e);
    }
    if (wanted)
        log_note(&l, "welcome", err);
    arena_done(&l.arena);
}
