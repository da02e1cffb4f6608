/* unknown: see unknown.h. */
#include "cli/unknown.h"

#include "base/buf.h"
#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/help.h"

enum { COMMAND_WORDS_MAX = 3 };

/* What other programs call it. A word that is not here is looked for among those that are nearly written so. */
static const struct {
    const char *given, *meant;
} others[] = {
    { "start", "serve" },
    { "run", "serve" },
    { "restart", "reload" },
    { "adduser", "user add" },
    { "useradd", "user add" },
    { "deluser", "user remove" },
    { "userdel", "user remove" },
    { "passwd", "user passwd" },
    { "password", "user passwd" },
    { "verify", "check" },
    { "fsck", "check" },
    { "users", "user list" },
    { "sessions", "session list" },
    { "domains", "domain list" },
    { "groups", "group list" },
    { "aliases", "alias list" },
    { "certs", "cert list" },
    { "dump", "backup" },
    { "configtest", "check" },
    { "user password", "user passwd" },
    { "unlock", "lockout lift" },
};
static const struct {
    const char *given, *meant;
} verbs[] = { { "delete", "remove" }, { "del", "remove" }, { "rm", "remove" },    { "create", "add" },   { "new", "add" },
              { "ls", "list" },       { "show", "list" },  { "lock", "disable" }, { "unlock", "enable" } };

static size_t count_words(str text)
{
    size_t n = 0;
    str word;
    while (text.n && str_split(&text, ' ', &word))
        n++;
    return n;
}

/* The first N words from argv[1] on, with a space between two; fewer when an option comes. */
static str join(int argc, char **argv, size_t n, struct buf *b)
{
    buf_reset(b);
    for (int i = 1; i < argc && (size_t)i <= n && argv[i][0] != '-'; i++)
        buf_add_all(b, i > 1 ? STR(" ") : STR(""), str_from_z(argv[i]));
    return buf_str(b);
}

static str known_elsewhere(str given, str first, str last)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (str_ieq(given, str_from_z(others[i].given)))
            return str_from_z(others[i].meant);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        for (const struct cli_command *c = cli_commands; c->name && str_ieq(last, str_from_z(verbs[i].given)); c++) {
            str name = str_from_z(c->name);
            if (str_starts(name, first) && str_ends(name, str_from_z(verbs[i].meant)) &&
                name.n == first.n + 1 + strlen(verbs[i].meant))
                return name;
        }
    return (str){ 0 };
}

/* Offers the commands of WORDS words, and the beginnings of longer ones that have so many. */
static void offer_commands(struct nearest *n, size_t words)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        str name = str_from_z(c->name), rest = name, word;
        size_t end = 0;
        for (size_t i = 0; i < words && str_split(&rest, ' ', &word); i++)
            end = (size_t)(word.p + word.n - name.p);
        str head = str_sub(name, 0, end);
        if (count_words(head) == words && !str_eq(head, n->given))
            nearest_offer(n, head);
    }
}

/* The command that was meant, or the beginning of some, and perhaps another; points into the tables. */
static str find_meant(int argc, char **argv, size_t family_words, str *ret_other)
{
    struct buf b = BUF_INIT(4096);
    struct nearest best = { 0 };
    str meant = { 0 };
    for (size_t words = COMMAND_WORDS_MAX; words > 0 && meant.n == 0; words--) {
        str given = join(argc, argv, words, &b);
        if (given.n == 0 || count_words(given) != words)
            continue;
        size_t cut = str_rfind_byte(given, ' ');
        if (cut < given.n)
            meant = known_elsewhere(given, str_sub(given, 0, cut), str_from(given, cut + 1));
        else
            meant = known_elsewhere(given, (str){ 0 }, (str){ 0 });
        struct nearest n = nearest_to(given);
        offer_commands(&n, words);
        if (words <= family_words && meant.n == 0 && best.name.n == 0) /* "import pst" means neither import nor export */
            continue;
        if (n.name.n && (best.name.n == 0 || n.distance < best.distance))
            best = n;
    }
    /* One word for two, as useradd or user-add; and the two the other way round. */
    if (meant.n == 0 && argc > 2) {
        buf_reset(&b);
        buf_add_all(&b, str_from_z(argv[2]), STR(" "), str_from_z(argv[1]));
        for (const struct cli_command *c = cli_commands; c->name; c++)
            if (str_eq(str_from_z(c->name), buf_str(&b)))
                meant = str_from_z(c->name);
    }
    str first = join(argc, argv, 1, &b);
    for (const struct cli_command *c = cli_commands; c->name && meant.n == 0; c++) {
        char joined[NEAREST_NAME_MAX];
        (void)snprintf(joined, sizeof joined, "%s", c->name);
        for (char *p = joined; *p; p++)
            if (*p == ' ')
                *p = '-';
        if (strchr(c->name, ' ') && str_ieq(first, str_from_z(joined)))
            meant = str_from_z(c->name);
    }
    buf_done(&b);
    *ret_other = meant.n ? (str){ 0 } : best.other;
    return meant.n ? meant : best.name;
}

/* The commands that begin with the words FAMILY, as "user" or "user app-password": printed to OUT, which may be NULL. How many. */
static size_t print_family(FILE *out, str family)
{
    size_t n = 0;
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        str name = str_from_z(c->name);
        if (!str_starts(name, family) || name.n <= family.n || name.p[family.n] != ' ')
            continue;
        if (out)
            help_line(out, c);
        n++;
    }
    return n;
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

int unknown_command(const struct cli *c, int argc, char **argv)
{
    struct buf b = BUF_INIT(4096);
    if (argv[1][0] == '-') {
        struct nearest n = nearest_to(str_from_z(argv[1]));
        nearest_offer(&n, STR("--help"));
        nearest_offer(&n, STR("--version"));
        if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "-?") == 0)
            n.name = STR("--help");
        if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "-v") == 0)
            n.name = STR("--version");
        if (n.name.n)
            return cli_usage(c, "there is no %s; did you mean `valise %.*s`?", argv[1], STR_ARG(n.name));
        return cli_usage(
            c, "the command comes first, options after it, as `valise status %s`; `valise --help` lists the commands", argv[1]);
    }
    /* The longest family that the words begin with. */
    str family = { 0 };
    size_t depth = 0;
    for (size_t n = COMMAND_WORDS_MAX; n > 0 && depth == 0; n--) {
        str given = join(argc, argv, n, &b);
        if (given.n && count_words(given) == n && print_family(NULL, given)) {
            family = given;
            depth = n;
        }
    }
    struct buf name = BUF_INIT(4096);
    str other, meant = find_meant(argc, argv, depth, &other), given = join(argc, argv, depth + 1, &name);
    bool more = depth && given.n > family.n;
    int status;
    if (depth && !more && asks_help(argc, argv)) {
        (void)printf("usage: valise %.*s COMMAND [OPTION]... [OPERAND]...\n\n", STR_ARG(family));
        (void)print_family(stdout, family);
        status = 0;
    } else {
        if (depth && !more)
            status = cli_usage(c, "%.*s what? These commands there are:", STR_ARG(family));
        else if (meant.n)
            status = cli_usage(c, "there is no command '%.*s'; did you mean `valise %.*s`%s%.*s%s?%s", STR_ARG(given),
                               STR_ARG(meant), other.n ? " or `valise " : "", STR_ARG(other), other.n ? "`" : "",
                               depth ? " These commands there are:" : " `valise --help` lists all commands");
        else
            status = cli_usage(c, "there is no command '%.*s'; %s", STR_ARG(given),
                               depth ? "these there are:" : "`valise --help` lists them");
        if (depth)
            (void)print_family(stderr, family);
    }
    buf_done(&name);
    buf_done(&b);
    return status;
}

int unknown_option(const struct cli *c, str word)
{
    bool one_dash = !str_starts(word, STR("--"));
    struct nearest n = nearest_to(str_from(word, one_dash ? 1 : 2));
    for (const struct cli_option *o = c->command->options; o && o->name; o++)
        nearest_offer(&n, str_from_z(o->name));
    for (const struct cli_option *o = cli_common_options; o->name; o++)
        nearest_offer(&n, str_from_z(o->name));
    return cli_usage(c, "%s: there is no option %.*s%s%.*s%s `valise %s --help` lists %s", c->command->name, STR_ARG(word),
                     n.name.n ? "; did you mean --" : ";", STR_ARG(n.name), n.name.n ? "?" : "", c->command->name,
                     n.name.n ? "all options" : "those that there are");
}

const char *unknown_word(str given, str choices, char text[UNKNOWN_TEXT_MAX])
{
    struct nearest n = nearest_to(given);
    str word;
    while (choices.n && str_split(&choices, ' ', &word))
        nearest_offer(&n, word);
    (void)snprintf(text, UNKNOWN_TEXT_MAX, "%s%.*s%s", n.name.n ? "; did you mean '" : "", STR_ARG(n.name), n.name.n ? "'?" : "");
    return text;
}
