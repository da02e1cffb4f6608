/* rights: see rights.h. */
#include "role/rights.h"

#include "role/sealer.h"

#define MAY(operation) (1u << (operation))

/* All that may be done. */
static const struct {
    enum rights_role role;
    enum rights_purpose purpose;
    unsigned operations;
} table[] = {
    { RIGHTS_MX, RIGHTS_TLS_MX, MAY(RIGHTS_SIGN_13) | MAY(RIGHTS_SIGN_12) },
    { RIGHTS_MX, RIGHTS_TICKETS_MX, MAY(RIGHTS_HAND_OUT) },
    { RIGHTS_CORE, RIGHTS_TLS_CORE, MAY(RIGHTS_SIGN_13) | MAY(RIGHTS_SIGN_12) },
    { RIGHTS_CORE, RIGHTS_TICKETS_CORE, MAY(RIGHTS_HAND_OUT) },
    { RIGHTS_CORE, RIGHTS_CA, MAY(RIGHTS_ISSUE) },
    { RIGHTS_CORE, RIGHTS_SEAL, MAY(RIGHTS_DO_SEAL) | MAY(RIGHTS_DO_UNSEAL) },
    { RIGHTS_CORE, RIGHTS_LOGINS, MAY(RIGHTS_ASK_LOGIN) | MAY(RIGHTS_REMEMBER_LOGIN) | MAY(RIGHTS_FORGET_LOGIN) },
};
enum { ROWS = sizeof table / sizeof table[0] };

static const char *const role_names[RIGHTS_ROLES] = { [RIGHTS_MX] = "mx", [RIGHTS_CORE] = "core" };

static const struct {
    const char *name, *keys;
} purposes_told[RIGHTS_PURPOSES] = {
    [RIGHTS_TLS_MX] = { "tls of mx", "keys/*.key of certificates shown to strangers, on listeners of protocol smtp" },
    [RIGHTS_TLS_CORE] = { "tls of core", "keys/*.key of certificates shown to users, on all other listeners" },
    [RIGHTS_TICKETS_MX] = { "tickets of mx", "made anew each hour, for sessions that mx began" },
    [RIGHTS_TICKETS_CORE] = { "tickets of core", "made anew each hour, for sessions that core began" },
    [RIGHTS_CA] = { "ca", "keys/ca.key" },
    [RIGHTS_SEAL] = { "seal", SEALER_KEY ", of passwords that must be had back" },
    [RIGHTS_LOGINS] = { "logins", "in memory, of passwords that were right lately" },
};

static const char *const operation_names[RIGHTS_OPERATIONS] = {
    [RIGHTS_SIGN_13] = "sign-tls13",
    [RIGHTS_SIGN_12] = "sign-tls12",
    [RIGHTS_HAND_OUT] = "hand-out",
    [RIGHTS_ISSUE] = "issue",
    [RIGHTS_DO_SEAL] = "seal",
    [RIGHTS_DO_UNSEAL] = "unseal",
    [RIGHTS_ASK_LOGIN] = "ask-login",
    [RIGHTS_REMEMBER_LOGIN] = "remember-login",
    [RIGHTS_FORGET_LOGIN] = "forget-login",
};

bool rights_allow(enum rights_role role, unsigned purposes, enum rights_operation operation)
{
    for (size_t i = 0; i < ROWS; i++)
        if (table[i].role == role && purposes >> table[i].purpose & 1 && table[i].operations >> operation & 1)
            return true;
    return false;
}

bool rights_offer(enum rights_role role, enum rights_operation operation)
{
    return rights_allow(role, (1u << RIGHTS_PURPOSES) - 1, operation);
}

enum rights_role rights_role_of(enum config_protocol protocol)
{
    return protocol == CONFIG_SMTP ? RIGHTS_MX : RIGHTS_CORE;
}

unsigned rights_of_certificate(const struct config *c, size_t i)
{
    unsigned purposes = 0;
    for (size_t k = 0; k < c->listener_n; k++) {
        const struct config_listener *l = &c->listeners[k];
        if (l->tls == SMTP_TLS_OFF || !config_certificate_is_shown(&c->certificates[i], l->protocol))
            continue;
        purposes |= 1u << (rights_role_of(l->protocol) == RIGHTS_MX ? RIGHTS_TLS_MX : RIGHTS_TLS_CORE);
    }
    return purposes;
}

const char *rights_role_name(enum rights_role role)
{
    return role_names[role];
}

json_t *rights_json(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ROWS; i++) {
        json_t *operations = json_array();
        for (size_t k = 0; k < RIGHTS_OPERATIONS; k++)
            if (table[i].operations >> k & 1)
                json_array_append_new(operations, json_string(operation_names[k]));
        json_array_append_new(list, json_pack("{s:s,s:s,s:o,s:s}", "role", role_names[table[i].role], "purpose",
                                              purposes_told[table[i].purpose].name, "operations", operations, "keys",
                                              purposes_told[table[i].purpose].keys));
    }
    return json_pack("{s:b,s:o}", "ok", 1, "rights", list);
}
