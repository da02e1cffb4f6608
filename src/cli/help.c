/* help: see help.h. */
#include "cli/help.h"

#include "base/buf.h"
#include "base/nearest.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/topics.h"

enum { WIDTH = 80, LEFT = 30 };

/* TEXT to OUT, word by word, from column AT on; lines after the first begin at column INDENT. */
static void wrap(FILE *out, int at, int indent, str text)
{
    str word;
    bool fresh = true;
    while (text.n && str_split(&text, ' ', &word)) {
        int n = columns_of(word);
        if (!fresh && at + 1 + n > WIDTH) {
            (void)fprintf(out, "\n%*s", indent, "");
            at = indent;
            fresh = true;
        }
        (void)fprintf(out, "%s%.*s", fresh ? "" : " ", STR_ARG(word));
        at += n + !fresh;
        fresh = false;
    }
    (void)fputc('\n', out);
}

/* LEFT and RIGHT of it; below it where LEFT is long. */
static void pair(FILE *out, const char *left, const char *right)
{
    int n = 2 + columns_of(str_from_z(left));
    (void)fprintf(out, "  %s", left);
    if (n >= LEFT)
        (void)fprintf(out, "\n%*s", LEFT, "");
    else
        (void)fprintf(out, "%*s", LEFT - n, "");
    wrap(out, LEFT, LEFT, str_from_z(right));
}

static void print_options(const struct cli_option *o)
{
    for (; o && o->name; o++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        pair(stdout, left, o->help);
    }
}

void help_line(FILE *out, const struct cli_command *c)
{
    char left[96];
    (void)snprintf(left, sizeof left, "%s%s%s", c->name, c->operands ? " " : "", c->operands ? c->operands : "");
    pair(out, left, c->summary);
}

static void print_topic(const struct cli_topic *t)
{
    (void)printf("\n%s (valise help %s):\n", t->title, t->name);
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (cli_topic_has(t, c))
            help_line(stdout, c);
}

static void print_example(const struct cli_example *e)
{
    if (e->says) {
        (void)printf("\n  ");
        wrap(stdout, 2, 2, str_from_z(e->says));
    }
    (void)printf("    ");
    str rest = str_from_z(e->line), word;
    int at = 4;
    bool fresh = true;
    while (rest.n && str_split(&rest, ' ', &word)) { /* a line that is too long goes on as a shell takes it */
        if (!fresh && at + 3 + (int)word.n > WIDTH) {
            (void)printf(" \\\n        ");
            at = 8;
            fresh = true;
        }
        at += (int)word.n + !fresh;
        (void)printf("%s%.*s", fresh ? "" : " ", STR_ARG(word));
        fresh = false;
    }
    (void)printf("\n");
}

static int help_topic(const struct cli_topic *t)
{
    print_topic(t);
    (void)printf("\nExamples:\n");
    for (const struct cli_example *e = cli_examples; e->line; e++)
        if (strcmp(e->topic, t->name) == 0)
            print_example(e);
    (void)printf("\n`valise COMMAND --help` tells more of each.\n");
    return 0;
}

int help_all(void)
{
    (void)printf("valise %s: the secure mail system of an organisation\n\nusage: valise COMMAND [OPTION]... [OPERAND]...\n",
                 VALISE_VERSION);
    for (const struct cli_topic *t = cli_topics; t->name; t++)
        print_topic(t);
    (void)printf("\nEvery command has:\n");
    print_options(cli_common_options);
    (void)printf("\n`valise COMMAND --help` tells more, `valise help TOPIC` has examples.\n\nFirst steps:\n");
    print_example(&cli_examples[0]);
    print_example(&cli_examples[1]);
    return 0;
}

int help_command(const struct cli_command *c)
{
    (void)printf("usage: valise %s [OPTION]...%s%s\n\n", c->name, c->operands ? " " : "", c->operands ? c->operands : "");
    struct buf b = BUF_INIT(4096);
    buf_add_all(&b, str_from_z(c->summary), STR("."));
    wrap(stdout, 0, 0, buf_str(&b));
    buf_done(&b);
    if (c->text)
        wrap(stdout, 0, 0, str_from_z(c->text));
    (void)printf("\n");
    print_options(c->options);
    print_options(cli_common_options);
    char begin[64];
    (void)snprintf(begin, sizeof begin, "valise %s", c->name);
    bool any = false;
    for (const struct cli_example *e = cli_examples; e->line; e++)
        if (str_starts(str_from_z(e->line), str_from_z(begin)) &&
            (e->line[strlen(begin)] == ' ' || e->line[strlen(begin)] == '\0')) {
            if (!any)
                (void)printf("\nExamples:\n");
            any = true;
            print_example(e);
        }
    return 0;
}

/* `valise help`, `valise help TOPIC`, `valise help COMMAND`. */
int cmd_help(struct cli *c)
{
    struct buf b = BUF_INIT(4096);
    for (size_t i = 0; i < c->word_n; i++)
        buf_add_all(&b, i ? STR(" ") : STR(""), str_from_z(c->words[i]));
    str given = buf_str(&b);
    struct nearest n = nearest_to(given);
    int status = -1;
    if (given.n == 0)
        status = help_all();
    for (const struct cli_command *k = cli_commands; k->name && status < 0; k++) {
        if (str_eq(str_from_z(k->name), given))
            status = help_command(k);
        nearest_offer(&n, str_from_z(k->name));
    }
    for (const struct cli_topic *t = cli_topics; t->name && status < 0; t++) {
        if (str_eq(str_from_z(t->name), given) ||
            (c->word_n == 1 && str_find(str_from_z(t->commands), given) < strlen(t->commands)))
            status = help_topic(t);
        nearest_offer(&n, str_from_z(t->name));
    }
    if (status < 0)
        status = cli_usage(c, "there is no topic and no command '%.*s'%s%.*s%s; `valise help` lists them", STR_ARG(given),
                           n.name.n ? "; did you mean `valise help " : "", STR_ARG(n.name), n.name.n ? "`?" : "");
    buf_done(&b);
    return status;
}
