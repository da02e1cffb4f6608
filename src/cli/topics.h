/* topics: the commands in the order in which people look for them, with examples; for help and for the manual page. */
#ifndef VALISE_CLI_TOPICS_H
#define VALISE_CLI_TOPICS_H

#include "cli/cli.h"

struct cli_topic {
    const char *name, *title; /* "users", "Users and what they may do" */
    const char *commands;     /* the first words of its commands, divided by spaces; each command is in one topic */
};

struct cli_example {
    const char *topic, *says, *line; /* what it is for, and the line to type */
};

struct cli_file {
    const char *path, *says; /* below the directory, unless absolute */
};

/* Each ends with a NULL. */
extern const struct cli_topic cli_topics[];
extern const struct cli_example cli_examples[];
extern const struct cli_file cli_files[];

/* Whether command C is in topic T. */
bool cli_topic_has(const struct cli_topic *t, const struct cli_command *c);

#endif
