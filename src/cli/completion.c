/* completion: valise completion. Writes a completion function for bash from the table of commands. */
#include "cli/commands.h"

static void print_options(const struct cli_option *o, bool with_value)
{
    for (; o && o->name; o++)
        if (!with_value || o->value)
            (void)printf(" --%s", o->name);
}

/* First words, each once; they stand together in the table only by chance. */
static bool is_first(const struct cli_command *c, str word)
{
    for (const struct cli_command *k = cli_commands; k < c; k++) {
        str name = str_from_z(k->name);
        if (str_eq(str_sub(name, 0, str_find_byte(name, ' ', 0)), word))
            return false;
    }
    return true;
}

static void print_words(void)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        str name = str_from_z(c->name), word = str_sub(name, 0, str_find_byte(name, ' ', 0));
        if (is_first(c, word))
            (void)printf(" %.*s", STR_ARG(word));
    }
}

/* The second words of FIRST, when it has some. */
static void print_families(void)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        str name = str_from_z(c->name);
        size_t at = str_find_byte(name, ' ', 0);
        str first = str_sub(name, 0, at);
        if (at == name.n || !is_first(c, first))
            continue;
        (void)printf("        %.*s) words=\"", STR_ARG(first));
        const char *sep = "";
        for (const struct cli_command *k = c; k->name; k++) {
            str other = str_from_z(k->name);
            size_t end = str_find_byte(other, ' ', 0);
            if (end < other.n && str_eq(str_sub(other, 0, end), first)) {
                (void)printf("%s%.*s", sep, STR_ARG(str_from(other, end + 1)));
                sep = " ";
            }
        }
        (void)printf("\" ;;\n");
    }
}

static void print_cases(void)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        (void)printf("        \"%s\") options=\"", c->name);
        print_options(cli_common_options, false);
        print_options(c->options, false);
        (void)printf("\"; valued=\"");
        print_options(c->options, true);
        (void)printf(" \" ;;\n");
    }
}

static void print_bash(void)
{
    (void)printf("# bash completion for valise(1); written by `valise completion bash`.\n"
                 "_valise()\n{\n"
                 "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\"\" options=\"\" valued=\"\" "
                 "command=${COMP_WORDS[1]}\n"
                 "    COMPREPLY=()\n"
                 "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                 "        COMPREPLY=($(compgen -W \"--help --version");
    print_words();
    (void)printf("\" -- \"$cur\"))\n"
                 "        return\n"
                 "    fi\n"
                 "    case $command in\n");
    print_families();
    (void)printf("    esac\n"
                 "    if [ -n \"$words\" ]; then\n"
                 "        if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                 "            COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                 "            return\n"
                 "        fi\n"
                 "        command=\"$command ${COMP_WORDS[2]}\"\n"
                 "    fi\n"
                 "    case $command in\n");
    print_cases();
    (void)printf("    esac\n"
                 "    if [ \"$prev\" = --dir ]; then\n"
                 "        COMPREPLY=($(compgen -d -- \"$cur\"))\n"
                 "    elif [[ $prev == --* && $valued == *\" $prev \"* ]]; then\n"
                 "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                 "    elif [[ $cur == -* ]]; then\n"
                 "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
                 "    else\n"
                 "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                 "    fi\n"
                 "}\n"
                 "complete -o filenames -F _valise valise\n");
}

int cmd_completion(struct cli *c)
{
    if (!str_eq(str_from_z(c->words[0]), STR("bash")))
        return cli_usage(c, "completion: there is only bash, not '%s'", c->words[0]);
    print_bash();
    return 0;
}
