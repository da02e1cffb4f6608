/* settings: what valise.conf may say, for its manual page. The end-to-end test of the page compares the names with what the server reads. */
#ifndef VALISE_CLI_SETTINGS_H
#define VALISE_CLI_SETTINGS_H

struct cli_setting {
    const char *section; /* NULL: outside of sections */
    const char *name;
    const char *value; /* the default, or what is expected */
    const char *text;
};

struct cli_section {
    const char *name;
    const char *text;
};

/* Both end with name NULL. */
extern const struct cli_setting cli_settings[];
extern const struct cli_section cli_sections[];

#endif
