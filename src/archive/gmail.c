/* gmail: see gmail.h. */
#include "archive/gmail.h"

#include "archive/keyword.h"
#include "archive/mbox.h"
#include "message/encoded_word.h"

enum { VALUE_MAX = 1 << 16 };

/* In the order in which they decide. */
enum label {
    LABEL_TRASH,
    LABEL_SPAM,
    LABEL_DRAFT,
    LABEL_INBOX,
    LABEL_OWN,
    LABEL_SENT,
    LABEL_NOTHING,
    LABEL_UNREAD,
    LABEL_STARRED,
    LABEL_IMPORTANT
};

static const struct {
    enum label label;
    const char *names; /* separated by '|' */
} known[] = {
    { LABEL_TRASH, "Trash|Corbeille|Papierkorb|Papelera|Cestino|Lixeira|Lixo|Prullenbak" },
    { LABEL_SPAM, "Spam|Pourriel" },
    { LABEL_DRAFT,
      "Draft|Drafts|Brouillon|Brouillons|Entwurf|Entwürfe|Borrador|Borradores|Bozza|Bozze|Rascunho|Rascunhos|Concept|Concepten" },
    { LABEL_INBOX,
      "Inbox|Boîte de réception|Posteingang|Recibidos|Bandeja de entrada|Posta in arrivo|Caixa de entrada|Postvak IN" },
    { LABEL_SENT, "Sent|Envoyé|Envoyés|Messages envoyés|Gesendet|Enviado|Enviados|Inviato|Inviati|Posta inviata|Enviada|Enviadas|"
                  "E-mails enviados|Verzonden" },
    { LABEL_UNREAD,
      "Unread|Non lu|Non lus|Ungelesen|No leído|No leídos|Da leggere|Non letto|Non letti|Não lido|Não lidos|Não lida|Não lidas|"
      "Ongelezen" },
    { LABEL_STARRED, "Starred|Suivi|Suivis|Messages suivis|Markiert|Destacado|Destacados|Speciale|Speciali|Com estrela|Marcado "
                     "com estrela|Met ster" },
    { LABEL_IMPORTANT, "Important|Importants|Wichtig|Importante|Importantes|Importanti|Belangrijk" },
    { LABEL_NOTHING,
      "Archived|Archivé|Archivés|Messages archivés|Archiviert|Archivado|Archivados|Archiviato|Archiviati|Arquivado|Arquivados|"
      "Gearchiveerd|Opened|Ouvert|Ouverts|Geöffnet|Abierto|Abiertos|Aperto|Aperti|Aberto|Abertos|Geopend" },
};

/* "Category Promotions", "Catégorie : Promotions", "Kategorie: ..." */
static const str categories[] = { STR_INIT("Category "),  STR_INIT("Catégorie"),  STR_INIT("Kategorie:"), STR_INIT("Categoría:"),
                                  STR_INIT("Categoria:"), STR_INIT("Categorie:"), STR_INIT("Kategorie „") };

static enum label label_of(str name)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        str names = str_from_z(known[i].names), one;
        while (str_split(&names, '|', &one))
            if (str_ieq(name, one))
                return known[i].label;
    }
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++)
        if (str_istarts(name, categories[i]))
            return LABEL_NOTHING;
    return LABEL_OWN;
}

/* The next of the labels in *REST, appended to B: commas separate them, but not in one that begins with a quotation mark. */
static bool next_label(str *rest, struct buf *b)
{
    buf_reset(b);
    if (rest->n == 0)
        return false;
    *rest = str_trim(*rest);
    bool quoted = rest->n && rest->p[0] == '"';
    size_t i = quoted ? 1 : 0;
    for (; i < rest->n && (quoted ? rest->p[i] != '"' || (i + 1 < rest->n && rest->p[i + 1] != ',') : rest->p[i] != ','); i++) {
        if (quoted && rest->p[i] == '\\' && i + 1 < rest->n)
            i++;
        buf_add_byte(b, rest->p[i]);
    }
    *rest = str_from(*rest, str_find_byte(*rest, ',', i) + 1);
    return true;
}

/* The folder of label NAME: without levels that are empty, which no mailbox has. */
static int folder_of(str name, struct arena *a, str *ret)
{
    struct buf b = BUF_INIT(VALUE_MAX);
    str level;
    while (str_split(&name, '/', &level)) {
        level = str_trim(level);
        if (level.n)
            buf_add_all(&b, b.n ? STR("/") : STR(""), level);
    }
    int err = arena_dup(a, buf_str(&b), ret);
    buf_done(&b);
    return err;
}

struct reading {
    struct keyword_list keywords;
    enum label first;
    str own;
    uint64_t system;
};

static int take_label(struct reading *r, str name)
{
    str imap = STR("IMAP_");
    if (str_starts(name, imap))
        return keyword_list_add(&r->keywords, str_from(name, imap.n));
    enum label label = label_of(name);
    int err = 0;
    if (label == LABEL_OWN && r->own.n == 0)
        err = folder_of(name, r->keywords.arena, &r->own);
    if (label == LABEL_OWN && r->own.n == 0)
        return err; /* "/" */
    if (label < r->first)
        r->first = label;
    if (label == LABEL_IMPORTANT)
        err = keyword_list_add(&r->keywords, STR("$Important"));
    r->system |= label == LABEL_STARRED ? MAIL_FLAGGED : label == LABEL_DRAFT ? MAIL_DRAFT : 0;
    if (label == LABEL_UNREAD)
        r->system &= ~(uint64_t)MAIL_SEEN;
    return err;
}

int gmail_labels_read(str value, struct arena *a, struct gmail_labels *ret)
{
    static const str folders[] = {
        [LABEL_TRASH] = STR_INIT("Trash"), [LABEL_SPAM] = STR_INIT("Junk"), [LABEL_DRAFT] = STR_INIT("Drafts"),
        [LABEL_INBOX] = STR_INIT("INBOX"), [LABEL_SENT] = STR_INIT("Sent"), [LABEL_NOTHING] = STR_INIT("Archive")
    };
    struct reading r = { .keywords = { .arena = a }, .first = LABEL_NOTHING, .system = MAIL_SEEN };
    struct buf text = BUF_INIT(VALUE_MAX), name = BUF_INIT(VALUE_MAX);
    int err = message_encoded_word_decode(value, &text);
    str rest = buf_str(&text);
    while (err == 0 && next_label(&rest, &name))
        if (name.n)
            err = take_label(&r, str_trim(buf_str(&name)));
    struct mail_flags flags;
    if (err == 0)
        err = keyword_list_flags(&r.keywords, r.system, &flags);
    if (err == 0)
        *ret = (struct gmail_labels){ r.first == LABEL_OWN ? r.own : folders[r.first], flags };
    buf_done(&text);
    buf_done(&name);
    return err;
}

bool gmail_is_takeout(str sender, str text)
{
    static const str later[] = { STR_INIT("X-Mozilla-Status:"), STR_INIT("X-Evolution:"), STR_INIT("X-UID:") };
    size_t digits = 0;
    while (digits < sender.n && ascii_is_digit(sender.p[digits]))
        digits++;
    bool good = digits && str_eq(str_from(sender, digits), STR("@xxx")) && !mbox_is_ours(text);
    for (size_t i = 0; i < sizeof later / sizeof later[0] && good; i++)
        good = !mbox_field(text, later[i]).p;
    return good;
}

str gmail_labels_find(str text)
{
    static const str transport[] = { STR_INIT("Received:"), STR_INIT("X-Received:"), STR_INIT("Return-Path:"),
                                     STR_INIT("Delivered-To:") };
    str labels = mbox_field(text, STR("X-Gmail-Labels:"));
    for (size_t i = 0; i < sizeof transport / sizeof transport[0] && labels.p; i++) {
        str other = mbox_field(text, transport[i]);
        if (other.p && other.p < labels.p)
            labels = (str){ NULL, 0 };
    }
    return labels;
}
