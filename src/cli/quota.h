/* quota: how quotas are shown. */
#ifndef VALISE_CLI_QUOTA_H
#define VALISE_CLI_QUOTA_H

#include "cli/cli.h"

enum { QUOTA_TEXT_MAX = 64 };

/* "1.5 GiB" in TEXT. */
const char *quota_size_text(long long bytes, char text[QUOTA_TEXT_MAX]);
/* "1.5 GiB, 1000 messages", or "none", for {"bytes": n, "messages": n}; in TEXT. */
const char *quota_text(const json_t *quota, char text[QUOTA_TEXT_MAX]);

#endif
