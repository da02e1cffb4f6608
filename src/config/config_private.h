/* config_private: what the parts of the configuration share. */
#ifndef VALISE_CONFIG_CONFIG_PRIVATE_H
#define VALISE_CONFIG_CONFIG_PRIVATE_H

#include <confuse.h>

#include "config/config.h"

/* The value of OPT that was read last. */
const char *config_last_string(cfg_opt_t *opt);
/* Whether every value is a network; a validating function of libconfuse. */
int config_check_network(cfg_t *cfg, cfg_opt_t *opt);
/* The networks of list OPTION in SEC. ERR_LIMIT. */
int config_take_networks(struct config *c, cfg_t *sec, const char *option, struct ip_networks *ret, struct error *e) MUST_USE;

/* Copies Z into C's arena. ERR_LIMIT. */
int config_keep(struct config *c, const char *z, str *ret, struct error *e) MUST_USE;

/* --- whole.c --- */

/* Whether each section, list, text in quotes and comment of TEXT is closed; an error names the file NAME and the line where one begins. ERR_SYNTAX. */
int config_check_whole(str text, const char *name, struct error *e) MUST_USE;

/* --- listener.c --- */

/* Registers what checks the options of a section "listener". */
void config_listener_checks(cfg_t *cfg);
/* Whether LIST[I] listens at a port of an address where none before it does. LINE of file NAME is where it is. ERR_SYNTAX. */
int config_check_places(const struct config_listener *list, size_t i, const char *name, int line, struct error *e) MUST_USE;
/* Fills L from section SEC of file NAME. ERR_SYNTAX, ERR_LIMIT. */
int config_take_listener(struct config *c, cfg_t *sec, struct config_listener *l, const char *name, struct error *e) MUST_USE;

/* --- limits.c --- */

enum { CONFIG_LIMIT_OPTIONS_MAX = 32 };

/* Writes the options of a section "limits", to be given to cfg_init; names lie in C's arena. */
int config_limit_options(struct config *c, cfg_opt_t ret[CONFIG_LIMIT_OPTIONS_MAX]) MUST_USE;
/* Registers what checks them. */
void config_limit_checks(cfg_t *cfg);
/* Fills c->limits from the sections and the general settings, which C has already. */
int config_take_limits(struct config *c, cfg_t *cfg, const char *name, struct error *e) MUST_USE;

#endif
