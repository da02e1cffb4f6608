/* options: long options of the load generators, parsed and documented from one table. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "net.h"

enum options_kind { OPTIONS_NUMBER, OPTIONS_TEXT, OPTIONS_FLAG, OPTIONS_TLS };

struct options_entry {
    const char *name;
    enum options_kind kind;
    void *value; /* long *, const char **, int *, enum net_tls * */
    const char *help;
};

/* Parses ARGV by TABLE (ended by a NULL name), with --help; prints a message and exits with 64 (EX_USAGE) on a mistake. Returns the
 * index of the first argument that is no option. */
int options_parse(int argc, char **argv, const char *usage, const struct options_entry *table);

/* PATTERN with its single "%d" replaced by N (bounded copy into RET, NUL-terminated). A pattern without "%d" is copied as it is. */
void options_expand(const char *pattern, long n, char *ret, size_t size);

#endif
