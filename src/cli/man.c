/* man: valise man. Writes valise(1) from the table of commands and valise.conf(5) from the table of settings, as roff for man(7). */
#include "base/buf.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "cli/topics.h"

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

/* A name for what the reader puts in, as NAME or "[ADDRESS] TARGET", which pages have in italics and in lower case. */
static void add_placeholder(struct buf *b, str text)
{
    char lower[128];
    size_t n = text.n < sizeof lower ? text.n : sizeof lower;
    for (size_t i = 0; i < n; i++)
        lower[i] = ascii_lower(text.p[i]);
    buf_add(b, STR("\\fI"));
    add_text(b, (str){ lower, n });
    buf_add(b, STR("\\fR"));
}

/* Whether WORD stands in capitals for an operand of C or the value of an option of it. */
static bool is_placeholder(const struct cli_command *c, str word)
{
    str rest = str_from_z(c->operands), one;
    bool found = false;
    while (rest.n && str_split(&rest, ' ', &one)) {
        size_t n = str_find(one, STR("..."));
        one = str_sub(one, 0, n);
        if (str_starts(one, STR("[")) && str_ends(one, STR("]")))
            one = str_sub(one, 1, one.n - 2);
        found |= str_eq(one, word);
    }
    for (const struct cli_option *o = c->options; o && o->name && !found; o++)
        found = o->value && str_eq(str_from_z(o->value), word);
    return word.n > 0 && found;
}

/* TEXT about C, with the placeholders of its usage as they stand there. */
static void add_about(struct buf *b, const struct cli_command *c, str text)
{
    for (size_t i = 0; i < text.n;) {
        size_t n = 0;
        while (i + n < text.n && text.p[i + n] >= 'A' && text.p[i + n] <= 'Z')
            n++;
        bool whole = n && (i == 0 || !(ascii_is_alnum(text.p[i - 1]) || strchr("-_", text.p[i - 1]))) &&
                     (i + n == text.n || !(ascii_is_alnum(text.p[i + n]) || strchr("-_", text.p[i + n])));
        if (whole && is_placeholder(c, str_sub(text, i, n)))
            add_placeholder(b, str_sub(text, i, n));
        else
            add_text(b, str_sub(text, i, n ? n : 1));
        i += n ? n : 1;
    }
    buf_add_byte(b, '\n');
}

/* A whole sentence from a summary, which has neither capital nor full stop. */
static void add_sentence(struct buf *b, const struct cli_command *c, str text)
{
    struct buf s = BUF_INIT(4096);
    buf_add_byte(&s, ascii_upper(text.n ? text.p[0] : ' '));
    buf_add(&s, str_from(text, 1));
    if (!str_ends(text, STR(".")))
        buf_add_byte(&s, '.');
    add_about(b, c, buf_str(&s));
    buf_done(&s);
}

static void add_options(struct buf *b, const struct cli_command *c, const struct cli_option *o)
{
    for (; o && o->name; o++) {
        buf_add(b, STR(".TP\n\\fB\\-\\-"));
        add_text(b, str_from_z(o->name));
        buf_add(b, STR("\\fR"));
        if (o->value) {
            buf_add_byte(b, ' ');
            add_placeholder(b, str_from_z(o->value));
        }
        buf_add_byte(b, '\n');
        add_sentence(b, c, str_from_z(o->help));
    }
}

static void add_command(struct buf *b, const struct cli_command *c)
{
    buf_add(b, STR(".SS \"valise "));
    add_text(b, str_from_z(c->name));
    if (c->operands) {
        buf_add_byte(b, ' ');
        add_placeholder(b, str_from_z(c->operands));
    }
    buf_add(b, STR("\"\n"));
    add_sentence(b, c, str_from_z(c->summary));
    if (c->text)
        add_about(b, c, str_from_z(c->text));
    add_options(b, c, c->options);
}

static void add_title(struct buf *b, const char *name, const char *section, const char *what)
{
    buf_addf(b, ".TH %s %s \"\" \"valise %s\" \"valise\"\n.SH NAME\n%s \\- ", name, section, VALISE_VERSION, name);
    add_line(b, "", str_from_z(what));
}

static void add_files(struct buf *b)
{
    buf_add(b, STR(".SH FILES\n"));
    for (const struct cli_file *f = cli_files; f->path; f++) {
        buf_add(b, STR(".TP\n\\fI"));
        add_text(b, str_from_z(f->path));
        buf_add(b, STR("\\fR\n"));
        add_line(b, "", str_from_z(f->says));
    }
}

static void add_example(struct buf *b, bool first, const char *says, const char *line)
{
    if (says) {
        if (!first)
            buf_add(b, STR(".PP\n"));
        add_line(b, "", str_from_z(says));
    }
    buf_add(b, STR(".PP\n.RS 4\n.nf\n\\fB"));
    for (str rest = str_from_z(line), one; str_split(&rest, '\n', &one);) {
        add_text(b, one);
        buf_add_byte(b, '\n');
    }
    buf_add(b, STR("\\fR\n.fi\n.RE\n"));
}

static void add_examples(struct buf *b)
{
    buf_add(b, STR(".SH EXAMPLES\n"));
    for (const struct cli_example *e = cli_examples; e->line; e++)
        add_example(b, e == cli_examples, e->says, e->line);
}

static void write_commands(struct buf *b)
{
    static const struct cli_command every = { .options = cli_common_options };
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
    add_options(b, &every, cli_common_options);
    buf_add(b, STR(".SH \"EXIT STATUS\"\n"));
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        buf_addf(b, ".TP\n.B %s\n", statuses[i].status);
        add_line(b, "", str_from_z(statuses[i].meaning));
    }
    buf_add(b, STR(".SH ENVIRONMENT\n.TP\n.B VALISE_DIR\n"));
    add_line(b, "", STR("The directory when --dir is not given."));
    add_files(b);
    buf_add(b, STR(".SH LIMITS\n"));
    add_line(b, "",
             STR("Mail is kept byte for byte, whatever its form. IMAP counts at most 1000 parts of a message, fewer where their "
                 "descriptions are more than "
                 "60 000 bytes, and 32 levels of parts within parts: what follows is bytes of the last part that is counted "
                 "(BODY[999] of a "
                 "multipart), where deeper ones begin they are bytes of the part around them, and numbers beyond are NIL. BODY[] "
                 "has it "
                 "all, and `valise export' too. A mailbox has 56 keywords in use at the same time, of 64 characters each."));
    add_examples(b);
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
    buf_add(b, STR(".SH FILES\n.TP\n\\fI/var/lib/valise/valise.conf\\fR\n"));
    add_line(b, "",
             STR("The file, where neither --dir nor VALISE_DIR names another directory. `valise check --config' reads it without "
                 "a server."));
    buf_add(b, STR(".SH EXAMPLES\n"));
    add_example(
        b, true, "A server with one certificate, which takes mail in on port 25 and lets its users in on 465 and 993:",
        "hostname = \"mail.example.org\"\nmessage-size-max = 50M\nlistener smtp {\n    protocol = \"smtp\"\n    port = 25\n"
        "    addresses = {\"0.0.0.0\", \"::\"}\n}\nlistener submissions {\n    protocol = \"submission\"\n    port = 465\n"
        "    tls = \"implicit\"\n    addresses = {\"0.0.0.0\", \"::\"}\n}\nlistener imaps {\n    protocol = \"imap\"\n    port = "
        "993\n"
        "    tls = \"implicit\"\n    addresses = {\"0.0.0.0\", \"::\"}\n}\ncertificate default {\n    chain = "
        "\"tls/server.pem\"\n}");
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
