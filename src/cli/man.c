/* man: valise man. Writes valise(1) from the table of commands and valise.conf(5) from the table of settings, as roff for man(7). */
#include "base/buf.h"
#include "cli/commands.h"
#include "cli/settings.h"

enum { PAGE_MAX = 1 << 20 };

/* TEXT as roff shows it: a hyphen is a minus sign to be copied, a backslash or a leading dot or quote is no request. */
static void add_text(struct buf *b, str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool at_start = b->n == 0 || b->p[b->n - 1] == '\n';
        if (at_start && (c == '.' || c == '\''))
            buf_add(b, STR("\\&"));
        if (c == '-')
            buf_add(b, STR("\\-"));
        else if (c == '\\')
            buf_add(b, STR("\\e"));
        else
            buf_add_byte(b, c);
    }
}

static void add_line(struct buf *b, const char *request, str text)
{
    buf_add(b, str_from_z(request));
    add_text(b, text);
    buf_add_byte(b, '\n');
}

/* A whole sentence from a summary, which has neither capital nor full stop. */
static void add_sentence(struct buf *b, str text)
{
    struct buf s = BUF_INIT(4096);
    buf_add_byte(&s, ascii_upper(text.n ? text.p[0] : ' '));
    buf_add(&s, str_from(text, 1));
    if (!str_ends(text, STR(".")))
        buf_add_byte(&s, '.');
    add_line(b, "", buf_str(&s));
    buf_done(&s);
}

static void add_options(struct buf *b, const struct cli_option *o)
{
    for (; o && o->name; o++) {
        buf_add(b, STR(".TP\n\\fB\\-\\-"));
        add_text(b, str_from_z(o->name));
        buf_add(b, STR("\\fR"));
        if (o->value) {
            buf_add(b, STR(" \\fI"));
            add_text(b, str_from_z(o->value));
            buf_add(b, STR("\\fR"));
        }
        buf_add_byte(b, '\n');
        add_sentence(b, str_from_z(o->help));
    }
}

static void add_command(struct buf *b, const struct cli_command *c)
{
    buf_add(b, STR(".SS \"valise "));
    add_text(b, str_from_z(c->name));
    if (c->operands) {
        buf_add_byte(b, ' ');
        add_text(b, str_from_z(c->operands));
    }
    buf_add(b, STR("\"\n"));
    add_sentence(b, str_from_z(c->summary));
    if (c->text)
        add_line(b, "", str_from_z(c->text));
    add_options(b, c->options);
}

static void add_title(struct buf *b, const char *name, const char *section, const char *what)
{
    buf_addf(b, ".TH %s %s \"\" \"valise %s\" \"valise\"\n.SH NAME\n%s \\- ", name, section, VALISE_VERSION, name);
    add_line(b, "", str_from_z(what));
}

static void write_commands(struct buf *b)
{
    static const struct {
        const char *status, *meaning;
    } statuses[] = {
        { "0", "Done." },
        { "64", "The command line is wrong." },
        { "65", "Data is damaged or malformed." },
        { "66", "There is no such file or directory." },
        { "67", "There is no such address or object." },
        { "69", "The server does not run or does not answer." },
        { "70", "A bug." },
        { "73", "It exists already or cannot be made." },
        { "74", "Reading or writing failed." },
        { "75", "Not now: try again later." },
        { "77", "Not allowed." },
        { "78", "The configuration is wrong." },
    };
    add_title(b, "valise", "1", "the secure mail system of an organisation");
    buf_add(b, STR(".SH SYNOPSIS\n.B valise\n.I COMMAND\n.RI [ OPTION ]...\n.RI [ OPERAND ]...\n.SH DESCRIPTION\n"));
    add_line(
        b, "",
        STR("Takes mail in by SMTP, keeps it in a store that loses no acknowledged message, serves it by IMAP, and has a "
            "certification "
            "authority of its own. Except where said otherwise a command works with the server running, through a socket in its "
            "directory, and stopped."));
    buf_add(b, STR(".SH COMMANDS\n"));
    for (const struct cli_command *c = cli_commands; c->name; c++)
        add_command(b, c);
    buf_add(b, STR(".SH \"OPTIONS OF EVERY COMMAND\"\n"));
    add_options(b, cli_common_options);
    buf_add(b, STR(".SH \"EXIT STATUS\"\n"));
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        buf_addf(b, ".TP\n.B %s\n", statuses[i].status);
        add_line(b, "", str_from_z(statuses[i].meaning));
    }
    buf_add(b, STR(".SH ENVIRONMENT\n.TP\n.B VALISE_DIR\n"));
    add_line(b, "", STR("The directory when --dir is not given."));
    buf_add(b, STR(".SH \"SEE ALSO\"\n.BR valise.conf (5)\n"));
}

static void add_setting(struct buf *b, const struct cli_setting *s)
{
    buf_add(b, STR(".TP\n\\fB"));
    add_text(b, str_from_z(s->name));
    buf_add(b, STR("\\fR = \\fI"));
    add_text(b, str_from_z(s->value));
    buf_add(b, STR("\\fR\n"));
    add_line(b, "", str_from_z(s->text));
}

static void write_settings(struct buf *b)
{
    add_title(b, "valise.conf", "5", "settings of valise");
    buf_add(b, STR(".SH DESCRIPTION\n"));
    add_line(
        b, "",
        STR("The file valise.conf in the directory of the server is read at start and at `valise reload'. It has lines of the "
            "form name = "
            "value, and sections of such lines in braces. Text stands in double quotes, a list in braces with commas between its "
            "values; what follows # on a line is a comment. A size is a number of bytes or has a unit, 500K, 50M or \"2 GiB\" "
            "(powers of "
            "1024); a length of time has one of s, min, h, d, w and y, as 15min, 36h or 90d: with a space before the unit they "
            "stand in quotes. A mistake is refused with its line, and the old settings stay in "
            "force."));
    buf_add(b, STR(".SH SETTINGS\n"));
    for (const struct cli_setting *s = cli_settings; s->name; s++) {
        if (!s->section)
            add_setting(b, s);
    }
    for (const struct cli_section *s = cli_sections; s->name; s++) {
        buf_addf(b, ".SH \"SECTION %s\"\n", s->name);
        add_line(b, "", str_from_z(s->text));
        for (const struct cli_setting *k = cli_settings; k->name; k++)
            if (k->section && str_eq(str_from_z(k->section), str_from_z(s->name)))
                add_setting(b, k);
    }
    buf_add(b, STR(".SH \"SEE ALSO\"\n.BR valise (1)\n"));
}

int cmd_man(struct cli *c)
{
    struct buf b = BUF_INIT(PAGE_MAX);
    if (cli_value(c, "conf"))
        write_settings(&b);
    else
        write_commands(&b);
    int err = buf_error(&b);
    if (err == 0 && fwrite(b.p, 1, b.n, stdout) != b.n)
        err = ERR_IO;
    buf_done(&b);
    return err ? cli_fail(c, err, "the page cannot be written") : 0;
}
