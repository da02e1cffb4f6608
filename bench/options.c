/* options: long options of the load generators, parsed and documented from one table. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const char *const argument_name[] = {
    [OPTIONS_NUMBER] = "=N", [OPTIONS_TEXT] = "=TEXT", [OPTIONS_FLAG] = "", [OPTIONS_TLS] = "=no|starttls|implicit"
};

static void help(const char *usage, const struct options_entry *table)
{
    printf("usage: %s\n\n", usage);
    for (; table->name; table++)
        printf("  --%s%-*s %s\n", table->name, (int)(34 - strlen(table->name)), argument_name[table->kind], table->help);
}

static int set(const struct options_entry *e, const char *text)
{
    char *end;
    switch (e->kind) {
    case OPTIONS_NUMBER:
        errno = 0;
        *(long *)e->value = strtol(text, &end, 10);
        return errno == 0 && end != text && *end == 0 && *(long *)e->value >= 0 ? 0 : -1;
    case OPTIONS_TEXT:
        *(const char **)e->value = text;
        return 0;
    case OPTIONS_FLAG:
        *(int *)e->value = 1;
        return 0;
    case OPTIONS_TLS:
        return net_tls_parse(text, e->value);
    }
    abort();
}

int options_parse(int argc, char **argv, const char *usage, const struct options_entry *table)
{
    struct option longs[64] = { 0 };
    size_t n = 0;
    for (const struct options_entry *e = table; e->name && n < 62; e++, n++)
        longs[n] = (struct option){ e->name, e->kind == OPTIONS_FLAG ? no_argument : required_argument, NULL, 0 };
    longs[n] = (struct option){ "help", no_argument, NULL, 'h' };
    for (;;) {
        int index = 0;
        switch (getopt_long(argc, argv, "", longs, &index)) {
        case -1:
            return optind;
        case 'h':
            help(usage, table);
            exit(EX_OK);
        case 0:
            if (set(&table[index], optarg) == 0)
                break;
            fprintf(stderr, "%s: --%s does not take \"%s\"\n", argv[0], table[index].name, optarg);
            exit(EX_USAGE);
        default:
            fprintf(stderr, "%s: try --help\n", argv[0]);
            exit(EX_USAGE);
        }
    }
}

void options_expand(const char *pattern, long n, char *ret, size_t size)
{
    const char *mark = strstr(pattern, "%d");
    if (mark)
        snprintf(ret, size, "%.*s%ld%s", (int)(mark - pattern), pattern, n, mark + 2);
    else
        snprintf(ret, size, "%s", pattern);
}
