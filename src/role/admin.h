/* admin: what an administrator can ask for, as JSON in and JSON out; the same code with the server running (in core, over the
 * control socket) and stopped (in the command itself, which opens the store).
 *
 * Request: {"command": "user.add", ...}. Reply: {"ok": true, ...} or {"ok": false, "error": "not-found", "text": "..."}.
 *
 *   status      reload      check [deep]
 *   domain.add|remove domain       domain.list                     domain.alias.add alias domain      domain.alias.remove alias
 *   domain.catch-all domain [address]                              domain.quota domain QUOTA
 *   user.add address password [role] [language] [welcome]          user.language address language     user.passwd address password     user.role address role     user.quota address [QUOTA]
 *   user.remove address|id [now] [with-references]  user.undelete address|id [as]  user.removed  user.rename address to [alias]
 *   user.enable|disable address          user.list [domain]        user.history address [since] [failed]
 *   user.app-password.add|remove address name                      user.app-password.list address
 *   user.legacy address mode [password]
 *   alias.add address targets[]    alias.remove address            alias.list [domain]
 *   group.add group [senders]      group.remove group              group.list [domain]                group.senders group senders
 *   group.member.add|remove group members[]                        group.quota group QUOTA
 *   users.add users[] [role] [check] [skip-existing]    group.members.add group members[] [check]
 *   session.list [address]         session.end id|address
 *   lockout.list                   lockout.lift what|all
 *
 * QUOTA is storage (bytes) and messages (what is missing has no limit), or none: true, or default: true. */
#ifndef VALISE_ROLE_ADMIN_H
#define VALISE_ROLE_ADMIN_H

#include <jansson.h>

#include "directory/directory.h"
#include "store/mail.h"

struct role_run;

struct admin {
    struct engine *engine;
    struct mail_store *mail;
    struct directory *directory;
    struct role_run *run;   /* NULL when the server does not run */
    struct channel *keeper; /* who has the keys: the server's, or an aide of the command (role/keeper.h); NULL: nobody */
};

/* Said in init, status and check of a system that has no administrator. */
#define ADMIN_NOBODY                                                                                                             \
    "nobody is an administrator: mail for postmaster goes to the first user, who may not answer it as postmaster, mail for "     \
    "abuse and hostmaster to nobody; `valise user role ADDRESS admin' makes one"

/* Carries out REQUEST and gives the reply, which is the caller's (json_decref). Never fails: errors are in the reply. Blocks. */
json_t *admin_run(struct admin *a, const json_t *request);
/* Deletes the mail of accounts whose removal was cut off, a few at a time. core does so now and then, and `check` first of all. Blocks. */
int admin_finish_removals(struct admin *a) MUST_USE;
/* {"ok": false, ...} for error CODE with TEXT. */
json_t *admin_error(int code, const char *text);
/* Why a listing failed with ERR, of a domain that the request may name: TEXT, or what is wrong with that domain. */
const char *admin_no_listing(int err, const char *text);

#endif
