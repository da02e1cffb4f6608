/* login: what SASL found, put to the directory. */
#ifndef VALISE_ROLE_LOGIN_H
#define VALISE_ROLE_LOGIN_H

#include "role/core.h"

/* What listener L offers, by its configuration and with what core C has. */
struct sasl_settings login_settings(struct core *c, const struct config_listener *l);

/* Decide about an attempt: authenticate of struct smtp_service and of struct imap_config. CTX is the struct core. */
int login_smtp(void *ctx, const struct sasl_attempt *attempt, struct arena *a, struct smtp_login *ret,
               int64_t *ret_delay_ms) MUST_USE;
int login_imap(void *ctx, const struct sasl_attempt *attempt, struct arena *a, struct imap_login *ret,
               int64_t *ret_delay_ms) MUST_USE;

#endif
