/* words: see words.h. */
#include "dsn/words.h"

static const str english[WORDS] = {
    [WORD_HELLO] = STR_INIT("Hello {name},"),
    [WORD_HELLO_SOMEBODY] = STR_INIT("Hello,"),
    [WORD_QUOTA_SUBJECT] = STR_INIT("Your mailbox is {percent} % full"),
    [WORD_QUOTA_TEXT] = STR_INIT("{hello}\n\n"
                                 "the mailbox {address} on {hostname} is {percent} % full: {used} of {limit}.\n\n"
                                 "{full}\n"
                                 "Please delete what you no longer need, and empty the trash. If that is not\n"
                                 "enough, ask {postmaster} for more room.\n"),
    [WORD_QUOTA_SOON_WAITS] = STR_INIT("When nothing more fits, mail for you waits with its senders, who get it back\n"
                                       "after some days."),
    [WORD_QUOTA_SOON_REFUSED] = STR_INIT("When nothing more fits, mail for you is refused."),
    [WORD_QUOTA_NOW_WAITS] = STR_INIT("Nothing more fits: mail for you waits with its senders, who get it back after\n"
                                      "some days."),
    [WORD_QUOTA_NOW_REFUSED] = STR_INIT("Nothing more fits: mail for you is refused."),
    [WORD_WELCOME_SUBJECT] = STR_INIT("Welcome to {domain}"),
    [WORD_WELCOME_TEXT] = STR_INIT("{hello}\n\n"
                                   "your mailbox {address} is ready. A mail program asks for:\n\n"
                                   "    User name     {address}\n"
                                   "    IMAP server   {hostname}, port {imap}, SSL/TLS\n"
                                   "    SMTP server   {hostname}, port {smtp}, SSL/TLS\n\n"
                                   "Your password is the one that you were given. Nobody here will ever ask you\n"
                                   "for it. Questions are for {postmaster}.\n"),
    [WORD_KIB] = STR_INIT("{n} KiB"),
    [WORD_MIB] = STR_INIT("{n} MiB"),
    [WORD_MESSAGES] = STR_INIT("{n} messages"),
    [WORD_MESSAGE] = STR_INIT("{n} message"),
    [WORD_REPORT_DELIVERED_SUBJECT] = STR_INIT("Your message was delivered"),
    [WORD_REPORT_PARTLY_SUBJECT] = STR_INIT("Your message was not delivered to everyone"),
    [WORD_REPORT_FAILED_SUBJECT] = STR_INIT("Your message was not delivered"),
    [WORD_REPORT_ABOUT] = STR_INIT("This is the mail server {hostname}. It reports on your message of"),
    [WORD_REPORT_FAILED] = STR_INIT("It could not be delivered to:"),
    [WORD_REPORT_DELIVERED] = STR_INIT("It is in the mailbox of:"),
    [WORD_REPORT_EXPANDED] = STR_INIT("It was passed on to all for whom this address stands:"),
    [WORD_REPORT_END] = STR_INIT("No further attempt is made. What was sent is below."),
};

/* A no-break space before ":", "%" and the unit, as French wants it. */
#define NB "\xc2\xa0"
static const str french[WORDS] = {
    [WORD_HELLO] = STR_INIT("Bonjour {name},"),
    [WORD_HELLO_SOMEBODY] = STR_INIT("Bonjour,"),
    [WORD_QUOTA_SUBJECT] = STR_INIT("Votre boîte aux lettres est pleine à {percent}" NB "%"),
    [WORD_QUOTA_TEXT] =
        STR_INIT("{hello}\n\n"
                 "la boîte aux lettres {address} sur {hostname} est pleine à {percent}" NB "%" NB ": {used} sur {limit}.\n\n"
                 "{full}\n"
                 "Supprimez ce dont vous n’avez plus besoin et videz la corbeille. Si cela ne\n"
                 "suffit pas, demandez plus de place à {postmaster}.\n"),
    [WORD_QUOTA_SOON_WAITS] = STR_INIT("Quand plus rien n’y tiendra, le courrier pour vous attendra chez ses\n"
                                       "expéditeurs, à qui il reviendra au bout de quelques jours."),
    [WORD_QUOTA_SOON_REFUSED] = STR_INIT("Quand plus rien n’y tiendra, le courrier pour vous sera refusé."),
    [WORD_QUOTA_NOW_WAITS] = STR_INIT("Plus rien n’y tient" NB ": le courrier pour vous attend chez ses expéditeurs, à qui\n"
                                      "il reviendra au bout de quelques jours."),
    [WORD_QUOTA_NOW_REFUSED] = STR_INIT("Plus rien n’y tient" NB ": le courrier pour vous est refusé."),
    [WORD_WELCOME_SUBJECT] = STR_INIT("Bienvenue sur {domain}"),
    [WORD_WELCOME_TEXT] = STR_INIT("{hello}\n\n"
                                   "votre boîte aux lettres {address} est prête. Un logiciel de messagerie demande" NB ":\n\n"
                                   "    Identifiant     {address}\n"
                                   "    Serveur IMAP    {hostname}, port {imap}, SSL/TLS\n"
                                   "    Serveur SMTP    {hostname}, port {smtp}, SSL/TLS\n\n"
                                   "Votre mot de passe est celui qui vous a été remis. Personne ici ne vous le\n"
                                   "demandera jamais. Pour toute question, écrivez à {postmaster}.\n"),
    [WORD_KIB] = STR_INIT("{n}" NB "Kio"),
    [WORD_MIB] = STR_INIT("{n}" NB "Mio"),
    [WORD_MESSAGES] = STR_INIT("{n} messages"),
    [WORD_MESSAGE] = STR_INIT("{n} message"),
    [WORD_REPORT_DELIVERED_SUBJECT] = STR_INIT("Votre message a été remis"),
    [WORD_REPORT_PARTLY_SUBJECT] = STR_INIT("Votre message n’a pas été remis à tous"),
    [WORD_REPORT_FAILED_SUBJECT] = STR_INIT("Votre message n’a pas été remis"),
    [WORD_REPORT_ABOUT] = STR_INIT("Ici le serveur de messagerie {hostname}, au sujet de votre message du"),
    [WORD_REPORT_FAILED] = STR_INIT("Il n’a pas pu être remis à" NB ":"),
    [WORD_REPORT_DELIVERED] = STR_INIT("Il se trouve dans la boîte aux lettres de" NB ":"),
    [WORD_REPORT_EXPANDED] = STR_INIT("Il a été transmis à tous ceux que cette adresse représente" NB ":"),
    [WORD_REPORT_END] = STR_INIT("Aucun autre essai ne sera fait. Ce qui a été envoyé se trouve ci-dessous."),
};

str words_in(enum language language, enum word word)
{
    require(language == LANGUAGE_EN || language == LANGUAGE_FR);
    return (language == LANGUAGE_FR ? french : english)[word];
}

enum word words_messages(enum language language, uint64_t n)
{
    return n == 1 || (n == 0 && language == LANGUAGE_FR) ? WORD_MESSAGE : WORD_MESSAGES;
}

void words_fill(struct buf *out, str text, const struct word_value *values, size_t n)
{
    while (text.n) {
        size_t open = str_find_byte(text, '{', 0), close = str_find_byte(text, '}', open);
        str name = str_sub(text, open + 1, close < text.n ? close - open - 1 : 0);
        size_t i = 0;
        while (i < n && !(name.n && str_eq(name, str_from_z(values[i].name))))
            i++;
        buf_add(out, str_sub(text, 0, open));
        if (i < n)
            buf_add(out, values[i].value);
        else if (open < text.n)
            buf_add_byte(out, '{');
        text = str_from(text, i < n ? close + 1 : open < text.n ? open + 1 : text.n);
    }
}
