/* owners: whose the files of a mail system are, and as whom its roles run.
 *
 * Started by root, each kind of role has a user of its own, and none of them owns what root obeys:
 *
 *     .  valise.conf  ca.pem      root:valise          0750 0640 0644   the supervisor reads, core may enter the directory
 *     keys/  and what is in it    root:valise-keeper   0750 0640        the command line writes as root, keeper reads
 *     keys/backup-*.seal          root:root            0600             for the command line only: no role reads backups
 *     store/  spool/              valise:valise        0700             core's, whatever is in it
 *     tls/                        valise:valise        0755 0644        core renews certificates
 *     serve.lock                  root:valise          0660             a command as user valise may work without a server
 *     lab-accounts.txt            root:root            0600
 *     control.sock                root:root            0600             made by the supervisor
 *
 * Names are those of `user' in valise.conf, with -keeper and -mx for the others. Not started by root, all files and roles are one user's. */
#ifndef VALISE_ROLE_OWNERS_H
#define VALISE_ROLE_OWNERS_H

#include "base/beneath.h"

struct owner {
    uid_t uid;
    gid_t gid;
};

struct owners {
    struct owner core, keeper, mx;
};

/* The users of the roles where USER is core's. ERR_REFUSED when USER is empty or root, or when one of them is user 0 or another's; ERR_NOTFOUND when
 * one is not there, E with what to type. */
int owners_find(str user, struct owners *ret, struct error *e) MUST_USE;

/* What root may not obey: a USER that is empty or root. 0 or ERR_REFUSED with what to change. */
int owners_judge_user(str user, struct error *e) MUST_USE;

/* What root may not obey in the directory DIR, called NAME in messages: the directory, valise.conf or keys/ not root's, writable for others, or a
 * symbolic link. 0, or ERR_REFUSED with the command that mends it. */
int owners_judge(int dir, const char *name, struct error *e) MUST_USE;

/* One line about a thing that is not as it should be, or was not. */
typedef void owners_tell_fn(void *ctx, const char *line);

/* Compares owner and mode of everything in DIR with what they should be, tells of each difference (TELL may be NULL), and with MEND sets it right: by descriptor and over
 * no symbolic link, the directory first, so that from then on nobody but root swaps what is in it. A file with a second name is not given to anybody.
 * OWNERS is NULL for a directory of one ordinary user: then it is only looked at. Blocks on the disk, as long as there are files. An error when
 * something can be neither looked at nor set. */
int owners_compare(int dir, const struct owners *o, bool mend, owners_tell_fn *tell, void *ctx, struct error *e) MUST_USE;

/* The mode that PATH below a directory of one ordinary user may have of MODE: nobody else writes, and what is secret nobody else reads. */
mode_t owners_mode_of_own(const char *path, mode_t mode);

/* The rights of a new file in FOLDER, one of the above, when root makes it: of keys/ and tls/ the folder's own owner and group. An ordinary user's
 * files are his, with mode PLAIN. */
struct beneath_rights owners_rights_in(const struct stat *folder, mode_t plain, mode_t of_root);

/* Says in E that errno keeps us from the valise directory DIR, and when it is not there, how another is named or made. Returns errno's code. */
int owners_no_directory(const char *dir, struct error *e);

#endif
