/* completion: valise completion. Writes the completion of the command line for bash, zsh and fish from the table of commands.
 *
 * Each script walks the words so far along the same tree: a node is a command or the beginning of some ("user", "user app-password"), its words
 * are what may follow. A node that is a command has options, and takes files where it has operands. */
#include "base/buf.h"
#include "cli/commands.h"

/* --- the tree --- */

/* The word of NAME that follows node PATH (empty: the root); empty when NAME is not below it. */
static str word_below(str name, str path)
{
    if (path.n && (!str_starts(name, path) || name.n <= path.n || name.p[path.n] != ' '))
        return (str){ 0 };
    str rest = path.n ? str_from(name, path.n + 1) : name;
    return str_sub(rest, 0, str_find_byte(rest, ' ', 0));
}

/* Whether an earlier command has WORD below PATH too. */
static bool was_seen(const struct cli_command *c, str path, str word)
{
    for (const struct cli_command *k = cli_commands; k < c; k++)
        if (str_eq(word_below(str_from_z(k->name), path), word))
            return true;
    return false;
}

/* The node that ends with WORD below PATH, a part of NAME. */
static str node_of(str name, str path, str word)
{
    return str_sub(name, 0, (path.n ? path.n + 1 : 0) + word.n);
}

static const char *summary_of(str node)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (str_eq(str_from_z(c->name), node))
            return c->summary;
    return "more commands";
}

static bool has_words(str path)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (word_below(str_from_z(c->name), path).n)
            return true;
    return false;
}

/* Calls FN for each word below PATH, once. */
static void each_word(str path, void (*fn)(str path, str word, str node))
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        str name = str_from_z(c->name), word = word_below(name, path);
        if (word.n && !was_seen(c, path, word))
            fn(path, word, node_of(name, path, word));
    }
}

/* Calls FN for each node below PATH, and for those below them. */
static void (*node_fn)(str node);
static void visit(str path, str word, str node)
{
    (void)path;
    (void)word;
    node_fn(node);
    each_word(node, visit);
}

static void each_node(void (*fn)(str node))
{
    node_fn = fn;
    each_word(STR(""), visit);
}

/* TEXT between single quotes; QUOTE stands for one inside. */
static void print_quoted(str text, const char *quote)
{
    (void)putchar('\'');
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\'')
            (void)fputs(quote, stdout);
        else
            (void)putchar(text.p[i]);
    (void)putchar('\'');
}

static void print_alternative(str node)
{
    (void)printf("|'%.*s'", STR_ARG(node));
}

/* --- bash --- */

static void bash_word(str path, str word, str node)
{
    (void)path;
    (void)node;
    (void)printf(" %.*s", STR_ARG(word));
}

static void bash_words(str node)
{
    if (!has_words(node))
        return;
    (void)printf("        '%.*s') words=\"", STR_ARG(node));
    each_word(node, bash_word);
    (void)printf("\" ;;\n");
}

static void bash_options(const struct cli_option *o, bool valued)
{
    for (; o && o->name; o++)
        if (!valued || o->value)
            (void)printf(" --%s", o->name);
}

static void print_bash(void)
{
    (void)printf("# bash completion for valise(1); written by `valise completion bash`.\n"
                 "_valise()\n{\n"
                 "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} node=\"\" words=\"\" options=\"\" "
                 "valued=\"\" i\n"
                 "    COMPREPLY=()\n"
                 "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                 "        case \"${node:+$node }${COMP_WORDS[i]}\" in\n"
                 "        ''");
    each_node(print_alternative);
    (void)printf(") node=\"${node:+$node }${COMP_WORDS[i]}\" ;;\n        esac\n    done\n    case $node in\n        '') "
                 "words=\"--help --version");
    each_word(STR(""), bash_word);
    (void)printf("\" ;;\n");
    each_node(bash_words);
    (void)printf("    esac\n    case $node in\n");
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        (void)printf("        '%s') options=\"", c->name);
        bash_options(cli_common_options, false);
        bash_options(c->options, false);
        (void)printf("\"; valued=\"");
        bash_options(c->options, true);
        (void)printf(" \" ;;\n");
    }
    (void)printf("    esac\n"
                 "    if [ \"$prev\" = --dir ]; then\n"
                 "        COMPREPLY=($(compgen -d -- \"$cur\"))\n"
                 "    elif [[ $prev == --* && $valued == *\" $prev \"* ]]; then\n"
                 "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                 "    elif [[ $cur == -* && -n $options ]]; then\n"
                 "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
                 "    else\n"
                 "        [ -n \"$words\" ] && COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                 "        [[ -z $words || -n $options ]] && COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
                 "    fi\n"
                 "}\n"
                 "complete -o filenames -F _valise valise\n");
}

/* --- zsh --- */

static void zsh_pair(str word, const char *help)
{
    struct buf b = BUF_INIT(1000);
    buf_add_all(&b, word, STR(":"), str_from_z(help));
    (void)putchar(' ');
    print_quoted(buf_str(&b), "'\\''");
    buf_done(&b);
}

static void zsh_word(str path, str word, str node)
{
    (void)path;
    zsh_pair(word, summary_of(node));
}

static void zsh_words(str node)
{
    if (!has_words(node))
        return;
    (void)printf("        ('%.*s') subs=(", STR_ARG(node));
    each_word(node, zsh_word);
    (void)printf(" ) ;;\n");
}

static void zsh_options(const struct cli_option *o)
{
    for (; o && o->name; o++) {
        char word[64];
        (void)snprintf(word, sizeof word, "--%s", o->name);
        zsh_pair(str_from_z(word), o->help);
    }
}

static void print_zsh(void)
{
    (void)printf("#compdef valise\n# zsh completion for valise(1); written by `valise completion zsh`.\n"
                 "_valise() {\n"
                 "    local cur=${words[CURRENT]} prev=${words[CURRENT-1]} node=\"\" valued=\" \" i\n"
                 "    local -a subs opts\n"
                 "    for ((i = 2; i < CURRENT; i++)); do\n"
                 "        case \"${node:+$node }${words[i]}\" in\n"
                 "            (''");
    each_node(print_alternative);
    (void)printf(") node=\"${node:+$node }${words[i]}\" ;;\n        esac\n    done\n    case $node in\n        ('') subs=(");
    each_word(STR(""), zsh_word);
    (void)printf(" ) ;;\n");
    each_node(zsh_words);
    (void)printf("    esac\n    case $node in\n");
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        (void)printf("        ('%s') opts=(", c->name);
        zsh_options(cli_common_options);
        zsh_options(c->options);
        (void)printf(" ); valued=\"");
        bash_options(c->options, true);
        (void)printf(" \" ;;\n");
    }
    (void)printf("    esac\n"
                 "    if [[ $prev == --dir ]]; then\n"
                 "        _files -/\n"
                 "    elif [[ $prev == --* && $valued == *\" $prev \"* ]]; then\n"
                 "        _files\n"
                 "    elif [[ $cur == -* ]]; then\n"
                 "        _describe option opts\n"
                 "    else\n"
                 "        (( $#subs )) && _describe command subs\n"
                 "        (( $#opts )) && _files\n"
                 "    fi\n"
                 "    return 0\n"
                 "}\n"
                 "if [[ ${funcstack[1]} == _valise ]]; then _valise \"$@\"; else compdef _valise valise; fi\n");
}

/* --- fish --- */

static void fish_word(str path, str word, str node)
{
    (void)printf("complete -c valise -f -n \"__valise_at '%.*s'\" -a '%.*s' -d ", STR_ARG(path), STR_ARG(word));
    print_quoted(str_from_z(summary_of(node)), "\\'");
    (void)putchar('\n');
}

static void fish_words(str node)
{
    each_word(node, fish_word);
}

static void fish_name(str node)
{
    (void)printf(" '%.*s'", STR_ARG(node));
}

static void fish_options(const char *command, const struct cli_option *o)
{
    for (; o && o->name; o++) {
        (void)printf("complete -c valise -n \"__valise_at '%s'\" -l '%s'%s -d ", command, o->name, o->value ? " -r" : "");
        print_quoted(str_from_z(o->help), "\\'");
        (void)putchar('\n');
    }
}

static void print_fish(void)
{
    (void)printf("# fish completion for valise(1); written by `valise completion fish`.\n"
                 "function __valise_at\n"
                 "    set -l node ''\n"
                 "    for word in (commandline -opc)[2..]\n"
                 "        set -l next (string trim -- \"$node $word\")\n"
                 "        if contains -- \"$next\"");
    each_node(fish_name);
    (void)printf("\n            set node $next\n        end\n    end\n    test \"$node\" = \"$argv[1]\"\nend\n");
    each_word(STR(""), fish_word);
    each_node(fish_words);
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        fish_options(c->name, cli_common_options);
        fish_options(c->name, c->options);
    }
}

int cmd_completion(struct cli *c)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
        if (str_eq(str_from_z(c->words[0]), str_from_z(shells[i].shell))) {
            shells[i].print();
            return 0;
        }
    return cli_usage(c, "completion: SHELL is bash, zsh or fish, not '%s'", c->words[0]);
}
