/* admin_private: what the files behind admin.h share. */
#ifndef VALISE_ROLE_ADMIN_PRIVATE_H
#define VALISE_ROLE_ADMIN_PRIVATE_H

#include "role/admin.h"
#include "role/role.h"

/* The text member KEY of REQUEST, empty when there is none. */
str admin_text(const json_t *request, const char *key);
/* Whether REQUEST, a removal, takes along what leads to the name. */
bool admin_with_references(const json_t *request);
/* S as JSON. */
json_t *admin_json_text(str s);
/* {"ok": true}, or the error. */
json_t *admin_done(int err, const struct error *e);

/* A name and its mailboxes are two commits; whoever holds this sees both or neither. */
extern pthread_mutex_t admin_accounts_lock;

/* --- admin_directory.c --- */

json_t *admin_domain_add(struct admin *a, const json_t *request);
json_t *admin_domain_remove(struct admin *a, const json_t *request);
json_t *admin_domain_list(struct admin *a, const json_t *request);
json_t *admin_domain_alias_add(struct admin *a, const json_t *request);
json_t *admin_domain_alias_remove(struct admin *a, const json_t *request);
json_t *admin_domain_catch_all(struct admin *a, const json_t *request);
json_t *admin_user_add(struct admin *a, const json_t *request);
json_t *admin_user_passwd(struct admin *a, const json_t *request);
json_t *admin_user_role(struct admin *a, const json_t *request);
json_t *admin_user_legacy(struct admin *a, const json_t *request);
json_t *admin_user_enable(struct admin *a, const json_t *request);
json_t *admin_user_disable(struct admin *a, const json_t *request);
json_t *admin_user_language(struct admin *a, const json_t *request);
json_t *admin_user_list(struct admin *a, const json_t *request);
json_t *admin_app_password_add(struct admin *a, const json_t *request);
json_t *admin_app_password_remove(struct admin *a, const json_t *request);
json_t *admin_app_password_list(struct admin *a, const json_t *request);
json_t *admin_alias_add(struct admin *a, const json_t *request);
json_t *admin_alias_remove(struct admin *a, const json_t *request);
json_t *admin_alias_list(struct admin *a, const json_t *request);

/* New passwords follow the configuration in force; without a running server the defaults. */
void admin_apply_policy(struct admin *a);
/* Adds an account and its mailboxes, both or neither, and a welcome in it; WELCOME: as notes_welcome. */
int admin_add_account(struct admin *a, const struct directory_new_account *n, const json_t *welcome, struct error *e) MUST_USE;
/* The member "language" of REQUEST; unsaid when there is none. ERR_SYNTAX. */
int admin_language(const json_t *request, enum language *ret, struct error *e) MUST_USE;

/* --- admin_removal.c --- */

json_t *admin_user_remove(struct admin *a, const json_t *request);
json_t *admin_user_undelete(struct admin *a, const json_t *request);
json_t *admin_user_removed(struct admin *a, const json_t *request);
json_t *admin_user_rename(struct admin *a, const json_t *request);
/* Revokes the certificates of an account that is not in the directory any more, and deletes its mail. admin_accounts_lock is held. */
int admin_delete_mail(struct admin *a, engine_part id) MUST_USE;

/* --- admin_bulk.c --- */

json_t *admin_users_add(struct admin *a, const json_t *request);
json_t *admin_members_add(struct admin *a, const json_t *request);

/* --- admin_group.c --- */

json_t *admin_group_add(struct admin *a, const json_t *request);
json_t *admin_group_remove(struct admin *a, const json_t *request);
json_t *admin_group_list(struct admin *a, const json_t *request);
json_t *admin_group_senders(struct admin *a, const json_t *request);
json_t *admin_group_member_add(struct admin *a, const json_t *request);
json_t *admin_group_member_remove(struct admin *a, const json_t *request);

/* --- admin_quota.c --- */

json_t *admin_user_quota(struct admin *a, const json_t *request);
json_t *admin_domain_quota(struct admin *a, const json_t *request);
json_t *admin_group_quota(struct admin *a, const json_t *request);
json_t *admin_json_quota(const struct directory_quota *q);
/* Puts the quota that counts for account ADDRESS into its store. */
int admin_quota_apply(struct admin *a, str address) MUST_USE;
/* Runs CHANGE, then puts into their stores the quotas of all accounts for whom another counts than before. */
int admin_with_quotas(struct admin *a, int (*change)(struct admin *a, const json_t *request, struct error *e),
                      const json_t *request, struct error *e) MUST_USE;

/* --- admin_login.c --- */

json_t *admin_user_history(struct admin *a, const json_t *request);
json_t *admin_lockout_list(struct admin *a, const json_t *request);
json_t *admin_lockout_lift(struct admin *a, const json_t *request);
/* For the status: logins since the start, and who is locked out. */
json_t *admin_logins(struct admin *a);

#endif
