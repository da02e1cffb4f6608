/* foreign: see foreign.h. */
#include "archive/foreign.h"

static const struct {
    str head;
    const char *what;
} heads[] = {
    { STR_INIT("\x1f\x8b"),
      "compressed with gzip: unpack it first with gunzip; in a Maildir it is Dovecot's zlib plugin: bring that "
      "mail over IMAP, by mbsync or imapsync" },
    { STR_INIT("BZh"), "compressed with bzip2: unpack it first with bunzip2" },
    { STR_INIT("\xfd"
               "7zXZ"),
      "compressed with xz: unpack it first with unxz" },
    { STR_INIT("\x28\xb5\x2f\xfd"),
      "compressed with zstd: unpack it first with unzstd; in a Maildir it is Dovecot's zlib plugin: bring "
      "that mail over IMAP, by mbsync or imapsync" },
    { STR_INIT("PK\x03\x04"), "a ZIP archive: unpack it first with unzip" },
    { STR_INIT("CRYPTED\x03\x07"), "encrypted by Dovecot's mail-crypt plugin: bring that mail over IMAP, by mbsync or imapsync" },
    { STR_INIT("!BDN"), "an Outlook file (PST, OST): readpst makes mbox files of it" },
    { STR_INIT("\x01\x01\x01\x01\n"), "MMDF, which valise does not read: Python's mailbox.MMDF or mutt make an mbox of it" },
    { STR_INIT("BABYL OPTIONS:"),
      "Babyl, which valise does not read: Python's mailbox.Babyl or Emacs (unrmail) make an mbox of it" },
};

const char *foreign_file(str head)
{
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (str_starts(head, heads[i].head))
            return heads[i].what;
    return NULL;
}

static const char dbox[] = "Dovecot's dbox, which valise does not read: on that server `doveadm backup -u USER "
                           "maildir:/some/new/directory:LAYOUT=fs` makes Maildirs of it, which `valise import maildir` reads";
static const char cyrus[] =
    "a mail spool of Cyrus, which keeps flags and folders in databases of its own: bring it over IMAP with mbsync or imapsync, "
    "from that server to this one";
static const char profile[] = "a whole profile of Thunderbird: name one account in it, a directory below Mail or ImapMail";
static const char mh[] =
    "a folder of MH, which valise does not read: mutt, or Python's mailbox.MH and mailbox.Maildir, make a Maildir of it";

static const struct {
    const char *name;
    const char *what;
} marks[] = {
    { "dbox-Mails", dbox },    { "dovecot.map.index", dbox }, { "dovecot.map.index.log", dbox }, { "dbox-alt-root", dbox },
    { "cyrus.header", cyrus }, { "cyrus.index", cyrus },      { "cyrus.cache", cyrus },          { "prefs.js", profile },
    { ".mh_sequences", mh },   { ".xmhcache", mh },
};

const char *foreign_name(str name)
{
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (str_eq(name, str_from_z(marks[i].name)))
            return marks[i].what;
    return NULL;
}

bool foreign_is_index(str name)
{
    static const str ends[] = { STR_INIT(".msf"),     STR_INIT(".dat"),  STR_INIT(".html"), STR_INIT(".sqlite"),
                                STR_INIT(".mozmsgs"), STR_INIT(".lock"), STR_INIT(".json"), STR_INIT(".log") };
    static const str starts[] = { STR_INIT("dovecot"), STR_INIT("table_of_contents"), STR_INIT("."), STR_INIT("subscriptions") };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (str_ends(name, ends[i]))
            return true;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (str_starts(name, starts[i]))
            return true;
    return false;
}
