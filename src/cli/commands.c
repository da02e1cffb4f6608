/* commands: the table of all commands, and nothing else. */
#include "cli/commands.h"

static const struct cli_option init_options[] = {
    { "domain", "DOMAIN", "the first mail domain, as mondomaine.fr" },
    { "hostname", "NAME", "this server's name, as mailhost.mondomaine.fr" },
    { "san", "NAME", "one more name or address for the certificate (repeatable)" },
    { "lab", NULL, "listen on loopback only; add accounts alice, bob and marie with new passwords" },
    { "network", "CIDR", "of a lab: also at this machine's addresses in that network, and for it only, as 192.168.1.0/24" },
    { "students", "N", "of a lab: accounts user1 to userN instead" },
    { "from", "FILE",
      "of a lab: accounts from a table (CSV) instead: columns address, name, password, language (- for standard input)" },
    { "insecure-lesson", NULL,
      "of a lab: IMAP and submission without TLS, passwords like user1: the class sees them pass on its network" },
    { NULL, NULL, NULL },
};
static const struct cli_option lab_sheet_options[] = {
    { "port-offset", "N", "as the one that serve is given" },
    { "language", "LANGUAGE", "en or fr (default: language in valise.conf)" },
    { NULL, NULL, NULL },
};
static const struct cli_option serve_options[] = {
    { "port-offset", "N", "add N to every port (10000 makes 25 into 10025): no root needed" },
    { NULL, NULL, NULL },
};
static const struct cli_option status_options[] = {
    { "wait", "SECONDS", "wait until every listener answers, at most SECONDS, or as 2min" },
    { NULL, NULL, NULL },
};
static const struct cli_option backup_options[] = {
    { "keep", "N", "afterwards remove all but the N latest backups in TARGET" },
    { "encrypt-to", "CERT", "so that only who has the key of this certificate (a PEM file; RSA or EC) reads it (repeatable)" },
    { "passphrase", NULL, "so that only who knows a passphrase, asked for twice, reads it; also besides --encrypt-to" },
    { "passphrase-file", "FILE", "the same, with the first line of FILE (- or /dev/fd/N: of standard input, of a descriptor)" },
    { "with-ca-key", NULL, "with the CA's key too, which is left out otherwise" },
    { NULL, NULL, NULL },
};
/* The keys of encrypted backups, as backup list, backup check and restore take them. */
#define BACKUP_KEY_OPTIONS                                                                                                       \
    { "key", "FILE", "the private key (PEM) of a certificate that the backup was encrypted to" },                                \
        { "p12", "FILE", "the same in a PKCS #12 file" }, { "passphrase", NULL, "ask for the passphrase of the backup" },        \
    {                                                                                                                            \
        "passphrase-file", "FILE", "the first line of FILE is it, or the password of --key or --p12 (- for standard input)"      \
    }
static const struct cli_option backup_list_options[] = {
    BACKUP_KEY_OPTIONS,
    { NULL, NULL, NULL },
};
static const struct cli_option backup_check_options[] = {
    { "all", NULL, "every backup in the directory, not only the latest" },
    BACKUP_KEY_OPTIONS,
    { NULL, NULL, NULL },
};
static const struct cli_option backup_prune_options[] = {
    { "keep", "N", "how many of the latest stay" },
    { NULL, NULL, NULL },
};
static const struct cli_option upgrade_options[] = {
    { "dry-run", NULL, "only tell what would be done" },
    { "owners", NULL, "only owners and modes; also of a directory that is an ordinary user's, which becomes root's" },
    { NULL, NULL, NULL },
};
static const struct cli_option restore_options[] = {
    { "account", "ADDRESS", "only this account's mail, into the store of --dir, where the account must be there" },
    { "mailbox", "NAME", "only this mailbox of the account" },
    { "into", "ADDRESS", "into another account" },
    BACKUP_KEY_OPTIONS,
    { "revoked-from", "PATH", "a valise directory, or a file ca.revoked, that knows what was revoked since (repeatable)" },
    { NULL, NULL, NULL },
};
static const struct cli_option export_options[] = {
    { "all", NULL, "every account, each in a directory of its address" },
    { "for", "USER", "for root: the directory is, or will be, USER's, who gets the mail; without it what root makes is root's" },
    { NULL, NULL, NULL },
};
static const struct cli_option import_options[] = {
    { "mailbox", "NAME", "put the inbox of the source into this mailbox and its other folders below it" },
    { NULL, NULL, NULL },
};
static const struct cli_option import_mbox_options[] = {
    { "mailbox", "NAME", "put the inbox of the source into this mailbox and its other folders below it" },
    { "ignore-labels", NULL, "put a file of Google Takeout into one mailbox, rather than each message where its labels say" },
    { "with-expunged", NULL, "bring in, marked as deleted, what Thunderbird has deleted and not compacted yet" },
    { NULL, NULL, NULL },
};
static const struct cli_option man_options[] = {
    { "conf", NULL, "valise.conf(5) instead" },
    { NULL, NULL, NULL },
};
static const struct cli_option check_options[] = {
    { "deep", NULL, "read every message and verify its checksum" },
    { "config", NULL,
      "only valise.conf, the certificates that it names, their keys and welcome.txt, as a start or reload reads them; no "
      "server is asked" },
    { NULL, NULL, NULL },
};
static const struct cli_option legacy_options[] = {
    { "password-stdin", NULL, "read the present password from the first line of standard input" },
    { NULL, NULL, NULL },
};
static const struct cli_option password_options[] = {
    { "password-stdin", NULL, "read the password from the first line of standard input" },
    { "generate", NULL, "make a new password and print it" },
    { NULL, NULL, NULL },
};
static const struct cli_option user_add_options[] = {
    { "password-stdin", NULL, "read the password from the first line of standard input" },
    { "generate", NULL, "make a new password and print it" },
    { "role", "ROLE", "user (the default), admin or program" },
    { "name", "NAME", "what the person is called, for lists" },
    { "language", "LANGUAGE", "en or fr: what is written to the person (default: language in valise.conf)" },
    { "from", "FILE", "many users from a table (CSV): columns address, name, password, groups, language (- for standard input)" },
    { "dry-run", NULL, "with --from: only check the file" },
    { "skip-existing", NULL, "with --from: pass over users who are there already" },
    { "passwords", "FILE", "with --from: write the passwords that --generate makes into a new file instead of printing them" },
    { NULL, NULL, NULL },
};
static const struct cli_option user_remove_options[] = {
    { "now", NULL, "erase mail and account at once, for good" },
    { "with-references", NULL,
      "change what leads to it as well: take it out of aliases, remove those that lead nowhere else, end catch-alls" },
    { "yes", NULL, "do not ask" },
    { NULL, NULL, NULL },
};
static const struct cli_option undelete_options[] = {
    { "as", "ADDRESS", "with another address than before" },
    { NULL, NULL, NULL },
};
static const struct cli_option rename_options[] = {
    { "alias", NULL, "keep the former address as an alias: mail for it arrives, and certificates stay valid" },
    { NULL, NULL, NULL },
};
static const struct cli_option user_list_options[] = {
    { "domain", "DOMAIN", "only this domain" },
    { "over", NULL, "only those who have used 80 % or more of their quota" },
    { "removed", NULL, "those who were removed and can still be had back, with their ids" },
    { NULL, NULL, NULL },
};
static const struct cli_option member_add_options[] = {
    { "from", "FILE", "the members of a table (CSV): one address a line, or the column address (- for standard input)" },
    { "dry-run", NULL, "with --from: only check the file" },
    { NULL, NULL, NULL },
};
static const struct cli_option list_options[] = {
    { "domain", "DOMAIN", "only this domain" },
    { NULL, NULL, NULL },
};

static const struct cli_option quota_options[] = {
    { "storage", "SIZE", "at most SIZE of mail, as 500M or 2G" },
    { "messages", "N", "at most N messages" },
    { "none", NULL, "no limit" },
    { "default", NULL, "what the next wider quota says" },
    { NULL, NULL, NULL },
};
static const struct cli_option group_options[] = {
    { "from", "WHO", "who may write to it: anyone (the default), members, or domain (the users of its domain)" },
    { NULL, NULL, NULL },
};
static const struct cli_option catch_all_options[] = {
    { "none", NULL, "refuse it again" },
    { NULL, NULL, NULL },
};
static const struct cli_option history_options[] = {
    { "failed", NULL, "only what did not succeed" },
    { "since", "TIME", "only since then: 2026-11-23, \"2026-11-23 14:05\", or 12h or 7d for that long ago" },
    { NULL, NULL, NULL },
};
static const struct cli_option remove_options[] = {
    { "with-references", NULL,
      "change what leads to it as well: take it out of aliases, remove those that lead nowhere else, end catch-alls" },
    { NULL, NULL, NULL },
};
static const struct cli_option session_list_options[] = {
    { "user", "ADDRESS", "only this user's" },
    { NULL, NULL, NULL },
};
static const struct cli_option session_end_options[] = {
    { "user", "ADDRESS", "all sessions of this user" },
    { NULL, NULL, NULL },
};
static const struct cli_option lift_options[] = {
    { "all", NULL, "every user and network" },
    { NULL, NULL, NULL },
};

static const struct cli_option ca_export_options[] = {
    { "der", NULL, "in DER instead of PEM" },
    { "out", "FILE", "into FILE instead of standard output" },
    { NULL, NULL, NULL },
};
static const struct cli_option ca_allow_options[] = {
    { "domain", NULL, "each NAME is a domain: also names below it, *.NAME and mail addresses in it" },
    { NULL, NULL, NULL },
};
static const struct cli_option cert_issue_options[] = {
    { "server", "NAME", "for a server: a host name or address that valise ca names allows" },
    { "san", "NAME", "one more name (repeatable)" },
    { "install", NULL, "name it in valise.conf and reload" },
    { "replace", NULL, "with a new key in the place of what is there for that server" },
    { "user", "ADDRESS", "for a user: to sign and decrypt mail, and to log in" },
    { "p12", "FILE", "where a user's key and certificate go, as PKCS #12 (AES-256, SHA-256)" },
    { "p12-legacy", NULL, "Triple DES and SHA-1 instead, for Apple before 2022 and Windows before 2019" },
    { "password-stdin", NULL, "read the file's password from the first line of standard input" },
    { "generate", NULL, "make a password for the file and print it" },
    { "key", "KIND", "ecdsa (the default; for users what user-key in valise.conf says) or rsa" },
    { "days", "N", "valid for N days, or as 36h (servers: 397, at most that; users: 731, at most 1096)" },
    { "seconds", "N", "valid for N seconds, at least 60: to try what happens at the end" },
    { NULL, NULL, NULL },
};
static const struct cli_option cert_show_options[] = {
    { "pem", NULL, "in PEM, for other programs" },
    { NULL, NULL, NULL },
};
static const struct cli_option cert_import_options[] = {
    { "chain", "FILE", "the certificate and what is between it and its root, in PEM" },
    { "key", "FILE", "its private key in PEM, unencrypted, readable by nobody else" },
    { "replace", NULL, "in the place of what is there, whatever its key, names and CA" },
    { "install", NULL, "name it in valise.conf and reload" },
    { NULL, NULL, NULL },
};

const struct cli_command cli_commands[] = {
    { "init", NULL, "make a new mail system in a directory",
      "Writes valise.conf, a root CA (ca.pem), a server certificate and an empty store. The directory must not exist or be "
      "empty. A lab is for trying and teaching: its root certificate says so, and only there valise.conf may say "
      "insecure-lesson. Addresses in --from may be without @DOMAIN; who has no password there gets one, or in a lesson the name.",
      init_options, cmd_init },
    { "lab sheet", NULL, "print the accounts of a lab, a sheet for each student, to be cut apart",
      "Address, password, server, ports, lines for the hosts file and the root certificate's fingerprint. The passwords are "
      "those "
      "of init, in lab-accounts.txt.",
      lab_sheet_options, cmd_lab_sheet },
    { "serve", NULL, "run the server",
      "Stays in the foreground, logs to standard error, ends in order at SIGTERM or Ctrl-C, reads the configuration again at "
      "SIGHUP. Started by root, each kind of role runs as a user of its own: the one that valise.conf names, and those with "
      "-keeper and -mx behind its "
      "name. Then the directory, valise.conf and keys/ must be root's and nobody else's to write.",
      serve_options, cmd_serve },
    { "reload", NULL, "read configuration and certificates again",
      "Sessions go on. A mistake is refused with file, line and reason; the old settings stay in force.", NULL, cmd_reload },
    { "status", NULL, "what runs, where it listens, how much it does",
      "What needs attention comes first, each with what to do: a full disk, a role that does not run or has over 80 % of its "
      "descriptors open, a certificate near its end.",
      status_options, cmd_status },
    { "metrics", NULL, "what the server counts, for Prometheus",
      "Text in exposition format 0.0.4, as a textfile collector takes it. A listener of protocol metrics in valise.conf serves "
      "the same over HTTP. Worth an alarm: valise_role_up 0, valise_store_writable 0, valise_role_descriptors over 80 % of "
      "valise_role_descriptors_max, valise_certificate_not_after_seconds near.",
      NULL, cmd_metrics },
    { "role rights", NULL, "what keeper does for which role with which keys",
      "Private keys are in the process keeper alone. This is the whole of what others can have done with them; all else is "
      "refused. sign-tls13 and "
      "sign-tls12: what a server signs in a handshake, whole, hashed and padded by keeper. With --json: rights[] {role purpose "
      "operations[] keys}.",
      NULL, cmd_role_rights },
    { "check", NULL, "verify every invariant of the store, owners and modes",
      "Names that lead nowhere are found, too: aliases, group members, catch-alls, certificates. Owners and modes of a system "
      "that root starts are looked at as "
      "root only. Exit status 0 when clean, 65 when something is "
      "wrong.",
      check_options, cmd_check },
    { "domain add", "DOMAIN", "take mail for a domain", "The CA may issue certificates for it then, see ca names.", NULL,
      cmd_domain_add },
    { "domain remove", "DOMAIN", "stop taking mail for a domain that has no addresses left",
      "The CA issues and renews no certificates for it any more.", NULL, cmd_domain_remove },
    { "domain list", NULL, "list the domains", NULL, NULL, cmd_domain_list },
    { "domain alias add", "ALIAS DOMAIN", "make ALIAS another name of a domain",
      "Every address there is the same as in DOMAIN: for delivery, to log in and to send.", NULL, cmd_domain_alias_add },
    { "domain alias remove", "ALIAS", "remove another name of a domain", NULL, NULL, cmd_domain_alias_remove },
    { "domain catch-all", "DOMAIN [ADDRESS]", "give mail for addresses that are not there to ADDRESS, a user, alias or group",
      "Expect spam: every name that anybody invents is delivered. It gives no right to send by these names.", catch_all_options,
      cmd_domain_catch_all },
    { "domain quota", "DOMAIN", "set how much each user of a domain may keep",
      "It counts for those who have no quota of their own or by a group. What is not named has no limit.", quota_options,
      cmd_domain_quota },
    { "user add", "[ADDRESS]", "add a user with mailboxes, or many from a table",
      "A user of the role program sends mail and reads none; it has no password of its own, see user app-password add. --from: "
      "a table as spreadsheets save it (CSV UTF-8; commas, semicolons or tabs), columns in that order or named by its first "
      "line; groups "
      "are names apart by blanks, and must be there. Where a password is missing --generate makes one. Every line is checked "
      "before anyone is "
      "added; with a mistake in any, each is told with its line and nobody is added.",
      user_add_options, cmd_user_add },
    { "user passwd", "ADDRESS", "change a user's password",
      "Sessions that were logged in with the former one end; those with application passwords and certificates go on.",
      password_options, cmd_user_passwd },
    { "user role", "ADDRESS ROLE",
      "make a user an administrator (admin), a program that sends mail (program), or a user again (user)",
      "Mail for postmaster, abuse and hostmaster goes to the first administrator, where these are nobody's addresses; without "
      "one the first user gets what is for postmaster, but may not send as it. A program logs in with application passwords "
      "only. The user's sessions end.",
      NULL, cmd_user_role },
    { "user remove", "ADDRESS", "remove a user; mail can be had back for 14 days",
      "Asks on a terminal. The user's sessions end, nobody logs in and no mail arrives any more, certificates are revoked, "
      "groups lose the "
      "member; the address is free, and the next one with it begins with nothing of it. user undelete brings account and mail "
      "back until they "
      "are erased after 14 days, or at once with --now (also later, by the id that user list --removed shows). Refused, naming "
      "them, while "
      "aliases or catch-alls lead to the address, since they would lead to the next one.",
      user_remove_options, cmd_user_remove },
    { "user undelete", "ADDRESS", "bring back a user who was removed within 14 days",
      "With mail, password, application passwords, role, quota, history and the groups that are still there. Certificates stay "
      "revoked, aliases that went along are gone. Where somebody else has the address by now give --as, where several were "
      "removed with it the "
      "id that user list --removed shows.",
      undelete_options, cmd_user_undelete },
    { "user rename", "ADDRESS NEW", "give a user another address",
      "Everything stays: mail, passwords, application passwords, groups, quota, history. Aliases and catch-alls lead to the new "
      "address. Sessions end; programs log in with the new one. Without --alias the former address is nobody's, and "
      "certificates, which "
      "name it, are revoked. DIGEST-MD5, which the name is part of, has to be flagged again.",
      rename_options, cmd_user_rename },
    { "user legacy", "ADDRESS MODE", "let a user log in by CRAM-MD5 or DIGEST-MD5, for programs that have nothing better",
      "MODE is on, cram-md5, digest-md5 or off. The listener must name them too (legacy and auth in valise.conf). The user's "
      "present password is needed, "
      "because the server keeps a hash only. For CRAM-MD5 it is kept so that it can be had back, for DIGEST-MD5 as a hash that "
      "logs in as well as the "
      "password does: encrypted with keys/passwords.seal, which only the keeper process reads. Whoever gets hold of both the "
      "store and keys/, as in a "
      "backup that is not encrypted, has them. Later changes of the password are followed.",
      legacy_options, cmd_user_legacy },
    { "user language", "ADDRESS LANGUAGE", "say in which language a user is written to: en, fr, or default",
      "That is what valise writes itself: a welcome, warnings about a quota, reports on what could not be delivered.", NULL,
      cmd_user_language },
    { "user enable", "ADDRESS", "let a user log in and get mail again", NULL, NULL, cmd_user_enable },
    { "user disable", "ADDRESS", "refuse a user's logins and mail, keep the mailboxes", "The user's sessions end at once.", NULL,
      cmd_user_disable },
    { "user list", NULL, "list the users", NULL, user_list_options, cmd_user_list },
    { "user quota", "ADDRESS", "show or set how much a user may keep",
      "What is not named has no limit. --default: the largest of the user's groups, else the domain's.", quota_options,
      cmd_user_quota },
    { "user history", "ADDRESS", "who has logged in as a user: when, whence, how, and what failed",
      "The last hundred logins and the last hundred failures; the same from the same place is one line a day. With the result "
      "locked-out nothing was checked.",
      history_options, cmd_user_history },
    { "user app-password add", "ADDRESS NAME", "make a password for one program",
      "Prints it, once: 24 letters and digits for PLAIN and LOGIN; hyphens and case do not matter. It stays when the user's own "
      "password changes.",
      NULL, cmd_app_password_add },
    { "user app-password remove", "ADDRESS NAME", "remove the password of a program", "Sessions that were logged in with it end.",
      NULL, cmd_app_password_remove },
    { "user app-password list", "ADDRESS", "list a user's application passwords and when they were used", NULL, NULL,
      cmd_app_password_list },
    { "alias add", "ADDRESS TARGET...", "make an address lead to others", NULL, NULL, cmd_alias_add },
    { "alias remove", "ADDRESS", "remove an alias", "Refused, naming them, while other aliases or catch-alls lead to it.",
      remove_options, cmd_alias_remove },
    { "alias list", NULL, "list the aliases", NULL, list_options, cmd_alias_list },
    { "group add", "NAME", "add a group, a named set of users",
      "Mail for a group whose NAME is an address goes to all who are in it; any other name is for quotas only. An alias stands "
      "for "
      "others and lets them send in its name; a group does not, follows a user through changes, and may be closed to senders.",
      group_options, cmd_group_add },
    { "group remove", "NAME", "remove a group; its members stay", "Refused, naming them, while aliases or catch-alls lead to it.",
      remove_options, cmd_group_remove },
    { "group list", NULL, "list the groups", NULL, list_options, cmd_group_list },
    { "group from", "NAME WHO", "say who may write to a group: anyone, members, or domain", NULL, NULL, cmd_group_from },
    { "group quota", "NAME", "set how much each member of a group may keep",
      "It counts for those who have no quota of their own; of several groups the largest. What is not named has no limit.",
      quota_options, cmd_group_quota },
    { "group member add", "NAME [MEMBER]...", "put users, or other groups, into a group",
      "--from: every line is checked before anyone is added; who is in it already stays in it.", member_add_options,
      cmd_group_member_add },
    { "group member remove", "NAME MEMBER...", "take users or groups out of a group", NULL, NULL, cmd_group_member_remove },
    { "session list", NULL, "list who is logged in: from where, since when, and how",
      "On submission and IMAP. HOW is the mechanism of the login.", session_list_options, cmd_session_list },
    { "session end", "[ID]", "end a session, or all of a user",
      "Within a second, whatever it is doing; what was not finished is not done. Nothing keeps the client from logging in again: "
      "user disable, "
      "user passwd, user app-password remove and cert revoke take its means away, and end its sessions by themselves.",
      session_end_options, cmd_session_end },
    { "lockout list", NULL, "list who is locked out or delayed after failed logins",
      "A user is locked out from a network, or a network from all users that do not usually come from there; see "
      "login-failures-max "
      "in valise.conf(5).",
      NULL, cmd_lockout_list },
    { "lockout lift", "[WHAT]", "let a user (an address) or a network (192.0.2.7, 2001:db8::/64) log in again at once", NULL,
      lift_options, cmd_lockout_lift },
    { "backup list", "TARGET", "list the backups in a directory",
      "Of encrypted ones the sizes when encrypted, or with a key those of the files.", backup_list_options, cmd_backup_list },
    { "backup check", "BACKUP", "compare every file of a backup with its checksum",
      "BACKUP is one made by backup, or the directory of many, of which the latest is taken. Exit status 65 when something is "
      "damaged. Of an encrypted one the server that made it can check the latest; without a key it is only seen whether the "
      "bytes are those "
      "that were written.",
      backup_check_options, cmd_backup_check },
    { "backup prune", "TARGET", "remove old backups", "The latest are kept; what they share with older ones stays whole.",
      backup_prune_options, cmd_backup_prune },
    { "backup", "TARGET", "make a backup of everything while the server works",
      "TARGET is a directory that gets one directory more each time, which shares what did not change with the one before; or -, "
      "for a tar archive on "
      "standard output. It holds mail and private keys: encrypt it where others can read it. A pair for --encrypt-to: openssl "
      "req "
      "-x509 -newkey rsa:3072 -days 3650 -subj /CN=backup -keyout backup.key -out backup.pem; backup.key belongs into the safe, "
      "and nobody "
      "reads the backups without it. Encrypted backups share what did not change "
      "as well, as long as the server has the key of its latest one, keys/backup-*.seal, which is in no backup. The CA's key is "
      "left out unless "
      "--with-ca-key is given: whoever has it makes certificates that everybody here believes, so it belongs into a safe. What "
      "the CA has "
      "revoked is also written into the file ca.revoked in TARGET and in the directory. Keep TARGET writable by root only: "
      "encryption says who can read a backup, not who has made it. Whoever can write there can put another whole backup in its "
      "place, made for the same certificate, which is public, and add to ca.revoked. restore says when the one that it took was "
      "made and "
      "whether it was encrypted, and given a key or a passphrase takes none in the clear.",
      backup_options, cmd_backup },
    { "restore", "BACKUP", "bring back a backup: all of it into a new directory, or one account's mail",
      "BACKUP is one made by backup, or the directory of many, of which the latest is taken. A message that is in the mailbox "
      "already, "
      "the same byte for byte, is not brought back: of three copies in the backup and one in the mailbox, two come. "
      "A whole backup does not bring back certificates that were revoked after it was made, as far as that is known: "
      "from "
      "ca.revoked beside the backups or in the directory, which may hold that file only, from --revoked-from, and from the "
      "system in "
      "VALISE_DIR or /var/lib/valise when that is another directory with the same CA. Without the CA's key in it, copy that from "
      "your safe to "
      "keys/ca.key.",
      restore_options, cmd_restore },
    { "export maildir", "[ADDRESS] TARGET", "write an account's mail as Maildir++ into a new directory",
      "Folders, flags, keywords and dates are kept. Dovecot and Courier read it.", export_options, cmd_export_maildir },
    { "export mbox", "[ADDRESS] TARGET", "write an account's mail into a new directory, one mbox file a mailbox",
      "Flags and keywords stand in Status, X-Status and X-Keywords.", export_options, cmd_export_mbox },
    { "import maildir", "ADDRESS SOURCE", "bring the mail of a Maildir into an account",
      "SOURCE is a Maildir++, as of Dovecot or Courier, or a tree of Dovecot's LAYOUT=fs; folders, flags, dates and keywords of "
      "both come along. "
      "A message that is in the mailbox already, the same byte for byte as it is kept there, is left out: an interrupted import "
      "is run again. Of three copies in SOURCE and one in the mailbox two are added, whatever their Message-IDs and dates are; "
      "flags are left as they are. What is wrong with one "
      "message, file or folder is named, it is left out, and the exit status at the end is 65. Not read: Dovecot's dbox "
      "(`doveadm backup -u "
      "USER maildir:DIRECTORY:LAYOUT=fs` makes Maildirs of it), spools of Cyrus (bring them over IMAP, by mbsync or imapsync), "
      "MH, "
      "compressed and "
      "encrypted files.",
      import_options, cmd_import_maildir },
    { "import mbox", "ADDRESS SOURCE", "bring the mail of an mbox file, or a directory of them, into an account",
      "SOURCE is an mbox (mboxrd, mboxo, mboxcl, mboxcl2) or a directory of them: Work/2026.mbox, Thunderbird's Work.sbd/2026 "
      "(name the "
      "directory of one account in its profile), or Apple Mail's Work.mbox/mbox. Fields of status come along as c-client, mutt, "
      "Dovecot, Thunderbird and Evolution write "
      "them. What Thunderbird has deleted and not compacted yet is left out and counted. In an mbox of Google Takeout, whose "
      "lines are \"From NUMBER@xxx date\", a message goes, once, where its labels say: Trash, Spam (Junk), Drafts, INBOX, a "
      "folder of its "
      "first own label, Sent, or else Archive; Unread and Starred are flags, Important is a keyword. Labels say nothing where "
      "valise export or another program has written the file since: its folders count. Lines \"From ...\" that may "
      "or may not "
      "begin a message are counted and told. A message that is in the mailbox already, the same byte for byte as it is "
      "kept there, is left out: an interrupted import is run again. Of three copies in SOURCE and one in the mailbox two are "
      "added, whatever their Message-IDs and dates are; fields of status are no part of a message, and its flags there are left "
      "as they are. What is wrong with one message, file or folder is named, it is left out, and the exit status at the end is "
      "65. Not "
      "read: MMDF and Babyl (Python's mailbox module makes mboxes of them), Outlook's PST (readpst does), compressed files.",
      import_mbox_options, cmd_import_mbox },
    { "ca show", NULL, "what the root certificate says", NULL, NULL, cmd_ca_show },
    { "ca export", NULL, "print the root certificate, for every program and person who connects", NULL, ca_export_options,
      cmd_ca_export },
    { "ca names", NULL, "list the names for which the CA may issue certificates",
      "The list is keys/ca.names, which keeper obeys and no process that talks to the network can write. It follows domain add "
      "and domain "
      "remove; this server's name (hostname in valise.conf) is always allowed.",
      NULL, cmd_ca_names },
    { "ca allow", "NAME...", "let the CA issue certificates for server names, addresses or networks",
      "For an address that is not of a private network, as 203.0.113.7, or a server in no domain of ours. Domains are added by "
      "domain add. "
      "New names also need a root certificate that speaks for them: see ca renew.",
      ca_allow_options, cmd_ca_allow },
    { "ca deny", "NAME...", "take names, domains, addresses or networks off that list",
      "Certificates that were issued stay valid until they end or are revoked; they are not renewed.", NULL, cmd_ca_deny },
    { "ca renew", NULL, "make the root certificate anew, with the same key, for the names that are allowed now",
      "The root certificate says in itself for whom the CA speaks, so that a thief of its key cannot be anybody else to our "
      "users; a domain "
      "that came later, and everything with a CA of an older valise, needs it made anew. Certificates that were issued stay "
      "valid. Everybody "
      "who connects should get the new ca.pem: who keeps the former one refuses certificates for the new names only.",
      NULL, cmd_ca_renew },
    { "cert issue", NULL, "have the CA issue a certificate for a server or a user",
      "A server's key and certificate are put into keys/ and tls/; those of our CA are renewed by themselves when a third of "
      "their time is left. To a user's ECDSA key openssl smime -encrypt and old mail programs cannot encrypt (openssl cms can), "
      "so with --key rsa, as in a lab, everybody can write to the user secretly. "
      "Logging in and "
      "signing work with both.",
      cert_issue_options, cmd_cert_issue },
    { "cert import", "NAME", "take a key and a certificate of another CA for server NAME",
      "Also the renewed one: with the same key and names it takes the former one's place, else with --replace. Both files are "
      "looked at before anything changes, and sessions go on; once valise.conf names it the server reads it by itself. certbot: "
      "--chain fullchain.pem --key privkey.pem, and the deploy hook in /usr/share/doc/valise/examples.",
      cert_import_options, cmd_cert_import },
    { "cert list", NULL, "list the certificates that the CA has issued", NULL, NULL, cmd_cert_list },
    { "cert show", "SERIAL", "print a certificate that the CA has issued",
      "All that it says, as openssl x509 -text does. SERIAL as cert list prints it, or in capitals and with colons.",
      cert_show_options, cmd_cert_show },
    { "cert renew", "NAME", "renew the server certificate tls/NAME.pem of our CA now, with the same key",
      "Refused when it, or another certificate of its key, was revoked, and when the CA may not issue for its names any more (ca "
      "names). A user's certificate is not renewed: issue a new one.",
      NULL, cmd_cert_renew },
    { "cert revoke", "SERIAL", "mark a certificate as revoked",
      "For good. It logs nobody in any more, and connections that showed it end. It is also written into the file ca.revoked in "
      "the directory, for the day when an older backup comes back.",
      NULL, cmd_cert_revoke },
    { "cert register", "FILE", "let a user's certificate that was made elsewhere log in",
      "FILE holds one in PEM that this directory's CA has signed. It becomes that of the users whose own addresses it names, as "
      "they are now; "
      "so does one on record whose user is no more, or came after it. A certificate that is neither issued nor registered here "
      "logs nobody in.",
      NULL, cmd_cert_register },
    { "upgrade", NULL, "bring a directory of an older valise to the present: owners, modes, the store's format",
      "The format is brought up by a server too when it starts; a store of a newer valise is refused and left alone. As root, "
      "configuration and keys "
      "become root's, the store the user's of valise.conf, each with the mode that it needs; no symbolic link is followed. A CA "
      "of an older valise gets the list of the names for which it may issue (ca names).",
      upgrade_options, cmd_upgrade },
    { "help", "[WORD]...", "commands by topic with examples, or all about one",
      "WORD is a topic as `valise help` lists them (valise help users), or the words of a command (valise help user add).", NULL,
      cmd_help },
    { "man", NULL, "print the manual page", "As roff: valise man | man -l -.", man_options, cmd_man },
    { "completion", "SHELL", "print the completion of the command line for a shell",
      "SHELL is bash, zsh or fish; the Debian package installs all three. In a running bash: eval \"$(valise completion bash)\".",
      NULL, cmd_completion },
    { NULL, NULL, NULL, NULL, NULL, NULL },
};
