/* cli: see cli.h. Finding the command, its options, its help. */
#include "cli/cli.h"

#include <stdarg.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/commands.h"

static const struct cli_option common_options[] = {
    { "dir", "DIR", "the valise directory (default: $VALISE_DIR, else /var/lib/valise)" },
    { "json", NULL, "print JSON" },
    { "help", NULL, "print this" },
    { NULL, NULL, NULL },
};

int cli_exit_status(int code)
{
    switch (code) {
    case OK:
        return 0;
    case ERR_SYNTAX:
    case ERR_LIMIT:
    case ERR_CORRUPT:
        return EX_DATAERR;
    case ERR_NOTFOUND:
        return EX_NOUSER;
    case ERR_EXISTS:
        return EX_CANTCREAT;
    case ERR_REFUSED:
        return EX_NOPERM;
    case ERR_UNAVAILABLE:
        return EX_UNAVAILABLE;
    case ERR_TIMEOUT:
    case ERR_CONFLICT:
    case ERR_UNKNOWN:
    case ERR_FULL:
        return EX_TEMPFAIL;
    case ERR_IO:
        return EX_IOERR;
    default:
        return EX_SOFTWARE;
    }
}

int cli_fail(int code, const char *text)
{
    (void)fprintf(stderr, "valise: %s\n", text);
    return cli_exit_status(code);
}

/* --- help --- */

static void print_options(const struct cli_option *o)
{
    for (; o && o->name; o++) {
        char left[48];
        (void)snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        (void)printf("  %-24s %s\n", left, o->help);
    }
}

static int help_all(void)
{
    (void)printf("valise %s: the secure mail system of an organisation\n\nusage: valise COMMAND [OPTION]... [OPERAND]...\n\n", VALISE_VERSION);
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        char left[48];
        (void)snprintf(left, sizeof left, "%s%s%s", c->name, c->operands ? " " : "", c->operands ? c->operands : "");
        (void)printf("  %-28s %s\n", left, c->summary);
    }
    (void)printf("\nEvery command has:\n");
    print_options(common_options);
    (void)printf("\n`valise COMMAND --help` tells more. First steps: valise init --lab --domain mondomaine.fr --hostname mailhost.mondomaine.fr --dir lab\n");
    return 0;
}

static int help_command(const struct cli_command *c)
{
    (void)printf("usage: valise %s [OPTION]...%s%s\n\n%s.\n", c->name, c->operands ? " " : "", c->operands ? c->operands : "", c->summary);
    if (c->text)
        (void)printf("%s\n", c->text);
    (void)printf("\n");
    print_options(c->options);
    print_options(common_options);
    return 0;
}

/* --- finding the command --- */

/* The command that the first one or two words name; *RET_USED is how many. */
static const struct cli_command *find_command(int argc, char **argv, int *ret_used)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        str rest = str_from_z(c->name), word;
        int used = 0;
        bool all = true;
        while (all && str_split(&rest, ' ', &word)) {
            all = used + 1 < argc && str_eq(word, str_from_z(argv[used + 1]));
            used++;
        }
        if (all) {
            *ret_used = used;
            return c;
        }
    }
    return NULL;
}

static int unknown_command(int argc, char **argv)
{
    str given = str_from_z(argv[1]);
    (void)fprintf(stderr, "valise: there is no command '%s%s%s'", argv[1], argc > 2 && argv[2][0] != '-' ? " " : "",
                  argc > 2 && argv[2][0] != '-' ? argv[2] : "");
    const char *sep = "; there is";
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (str_starts(str_from_z(c->name), given)) {
            (void)fprintf(stderr, "%s '%s'", sep, c->name);
            sep = ",";
        }
    (void)fprintf(stderr, "\nTry `valise --help`.\n");
    return EX_USAGE;
}

/* --- options --- */

static int option_index(const struct cli_option *list, str name)
{
    for (int i = 0; list && list[i].name; i++)
        if (str_eq(name, str_from_z(list[i].name)))
            return i;
    return -1;
}

static int take_common(struct cli *c, int k, const char *value)
{
    if (k == 0)
        c->dir = value;
    else if (k == 1)
        c->json = true;
    return k == 2 ? -1 : 0;
}

/* Takes the option at argv[*i]. 0, an exit status, or -1 for --help. */
static int take_option(struct cli *c, int argc, char **argv, int *i)
{
    str word = str_from_z(argv[*i] + 2);
    size_t eq = str_find_byte(word, '=', 0);
    str name = str_sub(word, 0, eq);
    int own = option_index(c->command->options, name), common = option_index(common_options, name);
    if (own < 0 && common < 0) {
        (void)fprintf(stderr, "valise %s: there is no option --%.*s; `valise %s --help` lists them\n", c->command->name, STR_ARG(name),
                      c->command->name);
        return EX_USAGE;
    }
    const struct cli_option *o = own >= 0 ? &c->command->options[own] : &common_options[common];
    const char *value = "";
    if (o->value && eq < word.n)
        value = word.p + eq + 1;
    else if (o->value && *i + 1 < argc)
        value = argv[++*i];
    else if (o->value || eq < word.n) {
        (void)fprintf(stderr, "valise %s: --%s %s\n", c->command->name, o->name, o->value ? "needs a value" : "has no value");
        return EX_USAGE;
    }
    if (own < 0)
        return take_common(c, common, value);
    if (c->value_n[own] == CLI_REPEAT_MAX) {
        (void)fprintf(stderr, "valise %s: --%s is given too often\n", c->command->name, o->name);
        return EX_USAGE;
    }
    c->values[own][c->value_n[own]++] = value;
    return 0;
}

static int take_arguments(struct cli *c, int argc, char **argv, int from)
{
    bool options = true;
    for (int i = from; i < argc; i++) {
        str word = str_from_z(argv[i]);
        if (options && str_eq(word, STR("--"))) {
            options = false;
        } else if (options && str_starts(word, STR("--"))) {
            int r = take_option(c, argc, argv, &i);
            if (r)
                return r;
        } else if (c->word_n == CLI_WORDS_MAX) {
            (void)fprintf(stderr, "valise %s: more than %d operands\n", c->command->name, CLI_WORDS_MAX);
            return EX_USAGE;
        } else {
            c->words[c->word_n++] = argv[i];
        }
    }
    return 0;
}

static int check_operands(const struct cli *c)
{
    size_t least = 0;
    str rest = str_from_z(c->command->operands), word;
    bool open_ended = str_ends(rest, STR("..."));
    while (rest.n && str_split(&rest, ' ', &word))
        least++;
    if (c->word_n == least || (open_ended && c->word_n > least))
        return 0;
    (void)fprintf(stderr, "usage: valise %s [OPTION]...%s%s\n", c->command->name, least ? " " : "", least ? c->command->operands : "");
    return EX_USAGE;
}

const char *cli_value(const struct cli *c, const char *name)
{
    int k = option_index(c->command->options, str_from_z(name));
    return k >= 0 && c->value_n[k] ? c->values[k][c->value_n[k] - 1] : NULL;
}

const char *const *cli_values(const struct cli *c, const char *name, size_t *ret_n)
{
    int k = option_index(c->command->options, str_from_z(name));
    require(k >= 0);
    *ret_n = c->value_n[k];
    return c->values[k];
}

uint64_t cli_number(const struct cli *c, const char *name, uint64_t max, uint64_t fallback)
{
    const char *z = cli_value(c, name);
    uint64_t v = fallback;
    if (z && !str_to_u64(str_from_z(z), max, &v)) {
        (void)fprintf(stderr, "valise %s: --%s needs a number from 0 to %llu, not '%s'\n", c->command->name, name, (unsigned long long)max, z);
        exit(EX_USAGE);
    }
    return v;
}

int cli_main(int argc, char **argv)
{
    int used = 0;
    if (argc < 2 || str_eq(str_from_z(argv[1]), STR("--help")) || str_eq(str_from_z(argv[1]), STR("help")))
        return help_all();
    if (str_eq(str_from_z(argv[1]), STR("--version"))) {
        (void)printf("valise %s\n", VALISE_VERSION);
        return 0;
    }
    struct cli c = { .command = find_command(argc, argv, &used) };
    if (!c.command)
        return unknown_command(argc, argv);
    int r = take_arguments(&c, argc, argv, used + 1);
    if (r == -1)
        return help_command(c.command);
    if (r == 0)
        r = check_operands(&c);
    if (r)
        return r;
    if (!c.dir)
        c.dir = getenv("VALISE_DIR");
    if (!c.dir)
        c.dir = "/var/lib/valise";
    return c.command->run(&c);
}
