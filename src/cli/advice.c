/* advice: see advice.h. The causes are strerrordesc_np's, which are the same in every language. */
#include "cli/advice.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    int code;
    const char *advice;
} causes[] = {
    { ENOENT, "is the name right? ls shows what is there" },
    { ENOTDIR, "a part of that path is a file; give a directory" },
    { EISDIR, "give a file, not a directory" },
    { ENOSPC, "make room on that disk (df -h shows it) and run this again" },
    { EDQUOT, "the disk quota of this user is used up: make room, or have it raised, and run this again" },
    { EROFS, "that filesystem is mounted for reading only: mount it for writing, or give another place" },
    { EEXIST, "give a new name, or move away what is there" },
    { ENOTEMPTY, "give a new or empty directory" },
    { ELOOP, "give the path that the symbolic link leads to" },
    { ENAMETOOLONG, "give a shorter name" },
    { EMFILE, "raise the limit of open files (ulimit -n) and run this again" },
    { ENFILE, "too many files are open on this machine: end other programs, and run this again" },
    { ENOMEM, "end other programs or add memory, and run this again" },
    { EIO, "the disk may be failing: look at dmesg, and save what is there" },
    { EADDRINUSE, "another program has that port: `ss -tlnp` names it; stop it, or use another port" },
    { EADDRNOTAVAIL, "this machine does not have that address: `ip addr` lists those that it has" },
    { ECONNREFUSED, "nothing listens there: is the server running? `valise status` tells" },
    { ETXTBSY, "that program is running; stop it first" },
};

/* What the directory has not: how its answer begins, and which command lists what it has. */
static const struct {
    const char *begin, *list;
} kinds[] = {
    { "there is no account and no group ", "user list` and `valise group list" },
    { "there is no account, alias or group ", "user list`, `valise alias list` and `valise group list" },
    { "there is no account ", "user list" },
    { "there is no application password ", "user app-password list ADDRESS" },
    { "there is no domain ", "domain list" },
    { "no certificate with that serial number", "cert list" },
    { "there is no group ", "group list" },
};

/* What the roles and the folders below refuse: words that are in it (a space before or behind where more is to stand there), and what to do. */
static const struct {
    const char *words, *advice;
} refusals[] = {
    { " of a domain", "`valise domain list` shows them" }, /* "there is no alias X of a domain" */
    { "there is no alias ", "`valise alias list` lists those that there are" },
    { "in the backup: there is no account ", "is the name right? an older backup may have it" },
    { "there is an application password ", "take another name, or remove that one first" },
    { " is in the group ", "`valise group list` shows who is in which" },
    { " is not in the group ", "`valise group list` shows who is in which" },
    { "a group cannot be in itself", "name a user or another group" },
    { " is there already", "take another name; valise user list, alias list, group list and domain list show what there is" },
    { " is not a mail address", "write it as you@example.org" },
    { " is not a domain name", "write it as example.org" },
    { " is no domain name", "write it as example.org" },
    { " cannot be a domain of ours", "give a name, as example.org" },
    { " is no host name", "write it as mail.example.org" },
    { " is neither a host name nor an address", "write it as mail.example.org or 192.0.2.1" },
    { " is not an address of ours", "name a user, a group or an alias of this server" },
    { " is no user's address of ours", "`valise user list` lists those that there are" },
    { "the server is not running: ", "`valise serve` starts it" },
    { "an empty password is refused", "type one, or have one made: --generate" },
    { "a certificate is valid for a minute at least", "give it longer, as --days 90" },
    { " is not one of this directory's CA for a user", "`valise cert issue --user` makes those" },
    { "no certificate in PEM (",
      "--encrypt-to wants a certificate in PEM form, as `valise cert issue --user` or openssl makes it" },
    { " holds no certificate in PEM form", "is it the right file, and whole?" },
    { " is not the key of the certificate in ", "give the key that this certificate was asked for with" },
    { " but for ", "take the one for that name, or name it as it is" },
    { "keys are EC P-256, ", "make one of these: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256" },
    { ".pem is empty", "have it made again" },
    { " is not a regular file", "give a file, not a directory or a device" },
    { " is there and no directory that can be opened", "give a new or empty directory" },
    { " holds no backup", "give the directory that `valise backup` has written to" },
    { " has no mailbox ", "is the name right?" },
    { " is no mbox: ", "is it the right file? `valise import maildir` reads Maildirs" },
    { " holds no mbox file", "give the mbox file itself, or the directory that they are in" },
    { ": a quote is opened and not closed", "close it; within quotes two stand for one" },
    { ": there is no address in it", "each line is: address,name,password" },
};

/* The path that the cause at END is about: the last word before it, relative to DIR when it is not absolute. */
static bool path_before(const char *dir, str text, size_t end, char path[PATH_MAX])
{
    str head = str_sub(text, 0, end);
    size_t space = str_rfind_byte(head, ' ');
    str word = space < head.n ? str_from(head, space + 1) : head;
    if (word.n == 0)
        return false;
    bool whole = word.p[0] == '/' || str_starts(word, str_from_z(dir));
    int n = whole ? snprintf(path, PATH_MAX, "%.*s", STR_ARG(word)) : snprintf(path, PATH_MAX, "%s/%.*s", dir, STR_ARG(word));
    return n > 0 && n < PATH_MAX;
}

/* The deepest part of PATH that can be looked at: what refuses the rest is it. */
static bool find_refusing(char *path, struct stat *st)
{
    while (path[0]) {
        if (stat(path, st) == 0)
            return true;
        char *slash = strrchr(path, '/');
        if (!slash)
            return false;
        slash[slash == path && path[1]] = '\0'; /* "/" is a part too */
        if (slash == path && !path[1])
            return stat(path, st) == 0;
    }
    return false;
}

static void add_refused(const char *dir, char *text, size_t size, size_t cause)
{
    char path[PATH_MAX], line[PATH_MAX + 256];
    struct stat st;
    uid_t me = geteuid();
    bool found = path_before(dir, str_from_z(text), cause, path) && find_refusing(path, &st);
    struct passwd *owner = found ? getpwuid(st.st_uid) : NULL;
    if (!found)
        (void)snprintf(line, sizeof line, "; run this as root, or as the owner of %s", dir);
    else if (me == 0)
        (void)snprintf(line, sizeof line, "; even root is refused at %s: see its mount (findmnt -T) and attributes (lsattr -d)",
                       path);
    else if (st.st_uid == me)
        (void)snprintf(line, sizeof line, "; %s is yours, but its mode is %04o: chmod u+rwX lets you in", path,
                       (unsigned)st.st_mode & 07777);
    else if (st.st_uid == 0 || !owner)
        (void)snprintf(line, sizeof line, "; %s belongs to root: run this as root, as with sudo", path);
    else
        (void)snprintf(line, sizeof line, "; %s belongs to %s: run this as %s (sudo -u %s) or as root", path, owner->pw_name,
                       owner->pw_name, owner->pw_name);
    (void)snprintf(text + strlen(text), size - strlen(text), "%s", line);
}

/* Where TEXT ends with ": " and the description of CODE; text.n when it does not. */
static size_t find_cause(str text, int code)
{
    str what = str_from_z(strerrordesc_np(code));
    bool there = str_ends(text, what) && text.n > what.n + 2 && str_eq(str_sub(text, text.n - what.n - 2, 2), STR(": "));
    return there ? text.n - what.n - 2 : text.n;
}

void advice_add(const char *dir, char *text, size_t size)
{
    str all = str_from_z(text);
    size_t at = find_cause(all, EACCES);
    if (at == all.n)
        at = find_cause(all, EPERM);
    if (at < all.n) {
        add_refused(dir, text, size, at);
        return;
    }
    bool whole = str_find_byte(all, ';', 0) == all.n;
    for (size_t i = 0; whole && i < sizeof kinds / sizeof kinds[0]; i++)
        if (str_starts(all, str_from_z(kinds[i].begin))) {
            (void)snprintf(text + all.n, size - all.n, "; `valise %s` %s those that there are", kinds[i].list,
                           strchr(kinds[i].list, '`') ? "list" : "lists");
            return;
        }
    for (size_t i = 0; whole && i < sizeof refusals / sizeof refusals[0]; i++)
        if (str_find(all, str_from_z(refusals[i].words)) < all.n) {
            (void)snprintf(text + all.n, size - all.n, "; %s", refusals[i].advice);
            return;
        }
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
        if (find_cause(all, causes[i].code) < all.n) {
            (void)snprintf(text + all.n, size - all.n, "; %s", causes[i].advice);
            return;
        }
}
