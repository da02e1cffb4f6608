/* cli: see cli.h. Finding the command, its options, its help. */
#include "cli/cli.h"

#include <stdarg.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/amount.h"
#include "base/show.h"
#include "cli/advice.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/unknown.h"

const struct cli_option cli_common_options[] = {
    { "dir", "DIR", "the valise directory (default: $VALISE_DIR, else /var/lib/valise)" },
    { "json", NULL, "print JSON" },
    { "help", NULL, "print this" },
    { NULL, NULL, NULL },
};

static int exit_status(int code)
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

int cli_fail_with(const struct cli *c, int status, int code, const char *text)
{
    char plain[2048]; /* arguments are no UTF-8 unless their giver wants it, and JSON is */
    (void)snprintf(plain, sizeof plain, "%s", text);
    advice_add(c->dir ? c->dir : ".", plain, sizeof plain);
    show_replace(plain);
    (void)fprintf(stderr, "valise: %s\n", plain);
    if (c->json) {
        json_t *v = json_pack("{s:b,s:s,s:s}", "ok", 0, "error", err_name(code), "text", plain);
        cli_print_json(v);
        json_decref(v);
    }
    return status;
}

int cli_fail(const struct cli *c, int code, const char *text)
{
    return cli_fail_with(c, exit_status(code), code, text);
}

int cli_fail_files(const struct cli *c, const struct error *e)
{
    return cli_fail_with(c, e->code == ERR_NOTFOUND ? EX_NOINPUT : exit_status(e->code), e->code, e->text);
}

int cli_usage(const struct cli *c, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return cli_fail_with(c, EX_USAGE, ERR_SYNTAX, text);
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

static bool has_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
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
    return k == 2 ? -1 : 0;
}

/* Takes the option at argv[*i]. 0, an exit status, or -1 for --help. */
static int take_option(struct cli *c, int argc, char **argv, int *i)
{
    str word = str_from_z(argv[*i]);
    size_t eq = str_find_byte(word, '=', 0);
    str name = str_from(str_sub(word, 0, eq), 2);
    int own = option_index(c->command->options, name), common = option_index(cli_common_options, name);
    if (own < 0 && common < 0)
        return unknown_option(c, str_sub(word, 0, eq));
    const struct cli_option *o = own >= 0 ? &c->command->options[own] : &cli_common_options[common];
    const char *value = "";
    if (o->value && eq < word.n)
        value = word.p + eq + 1;
    else if (o->value && *i + 1 < argc)
        value = argv[++*i];
    else if (o->value || eq < word.n)
        return o->value
                   ? cli_usage(c, "%s: --%s needs a value: --%s %s, %s", c->command->name, o->name, o->name, o->value, o->help)
                   : cli_usage(c, "%s: --%s has no value; leave out %.*s", c->command->name, o->name,
                               STR_ARG(str_from(word, eq)));
    if (own < 0)
        return take_common(c, common, value);
    if (c->value_n[own] == CLI_REPEAT_MAX)
        return cli_usage(c, "%s: --%s is given more than %d times", c->command->name, o->name, CLI_REPEAT_MAX);
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
        } else if (options && word.n > 1 && word.p[0] == '-') {
            if (word.n > 2)
                return unknown_option(c, word);
            return cli_usage(c, "%s: there is no option %s; options begin with two dashes, and `valise %s --help` lists them",
                             c->command->name, argv[i], c->command->name);
        } else if (c->word_n == CLI_WORDS_MAX) {
            return cli_usage(c, "%s: more than %d operands", c->command->name, CLI_WORDS_MAX);
        } else {
            c->words[c->word_n++] = argv[i];
        }
    }
    return 0;
}

static int check_operands(const struct cli *c)
{
    size_t least = 0, optional = 0;
    str rest = str_from_z(c->command->operands), word;
    bool open_ended = str_ends(rest, STR("..."));
    for (size_t i = 0; i < c->word_n; i++)
        if (c->words[i][0] == '\0')
            return cli_usage(c, "%s: an operand is empty; is a variable of the shell not set? valise %s [OPTION]... %s",
                             c->command->name, c->command->name, c->command->operands ? c->command->operands : "");
    while (rest.n && str_split(&rest, ' ', &word))
        *(word.p[0] == '[' ? &optional : &least) += 1;
    if ((c->word_n >= least && c->word_n <= least + optional) || (open_ended && c->word_n > least))
        return 0;
    const char *operands = c->command->operands;
    if (c->word_n > least + optional && least + optional)
        return cli_usage(c,
                         "%s: '%s' is too much: valise %s [OPTION]... %s; what has a blank in it stands in quotes, as \"2 GiB\"",
                         c->command->name, c->words[least + optional], c->command->name, operands);
    return cli_usage(c, "%s wants %s%s: valise %s [OPTION]...%s%s; `valise %s --help` tells more", c->command->name,
                     operands ? operands : "no operand",
                     c->word_n == 0          ? ""
                     : least + optional == 0 ? ", but got some"
                                             : "",
                     c->command->name, operands ? " " : "", operands ? operands : "", c->command->name);
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

int cli_number(const struct cli *c, const char *name, uint64_t min, uint64_t max, uint64_t *ret)
{
    const char *z = cli_value(c, name);
    uint64_t n = 0;
    if (z && (!str_to_u64(str_from_z(z), max, &n) || n < min))
        return cli_usage(c, "%s: --%s needs a number from %llu to %llu, not '%s'", c->command->name, name,
                         (unsigned long long)min, (unsigned long long)max, z);
    if (z)
        *ret = n;
    return 0;
}

int cli_duration(const struct cli *c, const char *name, uint64_t unit, uint64_t max, uint64_t *ret)
{
    const char *z = cli_value(c, name);
    if (!z || amount_seconds(str_from_z(z), unit, max, ret))
        return 0;
    bool days = unit == AMOUNT_DAY;
    return cli_usage(
        c,
        "%s: --%s needs a time of at most %llu %s: a number alone counts %s, or write it " AMOUNT_TIME_FORMS "; '%s' is not that",
        c->command->name, name, (unsigned long long)(max / unit), days ? "days" : "seconds", days ? "days" : "seconds", z);
}

int cli_main(int argc, char **argv)
{
    int used = 0;
    if (argc < 2 || str_eq(str_from_z(argv[1]), STR("--help")))
        return help_all();
    if (str_eq(str_from_z(argv[1]), STR("--version")) || (argc == 2 && str_eq(str_from_z(argv[1]), STR("version")))) {
        (void)printf("valise %s\n", VALISE_VERSION);
        return 0;
    }
    struct cli c = { .command = find_command(argc, argv, &used), .json = has_word(argc, argv, "--json") };
    if (!c.command)
        return unknown_command(&c, argc, argv);
    int r = take_arguments(&c, argc, argv, used + 1);
    if (r == -1)
        return help_command(c.command);
    if (r == 0)
        r = check_operands(&c);
    if (r)
        return r;
    if (!c.dir)
        c.dir = getenv("VALISE_DIR");
    if (!c.dir || !c.dir[0])
        c.dir = "/var/lib/valise";
    r = c.command->run(&c);
    /* A full disk behind standard output must not look like success. */
    return fflush(stdout) == 0 && !ferror(stdout) ? r : r ? r : EX_IOERR;
}
