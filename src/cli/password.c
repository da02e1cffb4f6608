/* password: where a new password comes from. See cli.h. */
#include <errno.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/random.h"
#include "cli/cli.h"

enum { PASSWORD_MAX = 1024 };

void cli_generate_password(struct buf *out)
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789_";
    for (int i = 0; i < 16; i++) {
        if (i && i % 4 == 0)
            buf_add_byte(out, '-');
        buf_add_byte(out, letters[random_below(31)]);
    }
}

/* One line of descriptor 0, byte by byte so that nothing behind it is eaten. */
static int read_line(struct buf *out)
{
    char c;
    ssize_t n;
    while ((n = read(0, &c, 1)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (c == '\n')
            break;
        buf_add_byte(out, c);
    }
    if (out->n && out->p[out->n - 1] == '\r')
        buf_truncate(out, out->n - 1);
    return buf_error(out);
}

static int ask_once(const char *prompt, struct buf *out)
{
    struct termios old, quiet;
    if (tcgetattr(0, &old) != 0)
        return ERR_IO;
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)fputs(prompt, stderr);
    (void)tcsetattr(0, TCSAFLUSH, &quiet);
    int err = read_line(out);
    (void)tcsetattr(0, TCSAFLUSH, &old);
    (void)fputc('\n', stderr);
    return err;
}

static int ask_twice(struct buf *out)
{
    struct buf again;
    buf_init_secret(&again, PASSWORD_MAX);
    int err = ask_once("New password: ", out);
    if (err == 0)
        err = ask_once("Once more: ", &again);
    bool same = str_eq_secret(buf_str(out), buf_str(&again));
    buf_done(&again);
    if (err == 0 && !same)
        return cli_fail(ERR_SYNTAX, "the two passwords differ");
    return err ? cli_fail(err, "the password cannot be read") : 0;
}

int cli_password(const struct cli *c, struct buf *out)
{
    int status = 0;
    buf_init_secret(out, PASSWORD_MAX);
    if (cli_value(c, "generate")) {
        cli_generate_password(out);
        (void)fprintf(c->json ? stderr : stdout, "password: %.*s\n", STR_ARG(buf_str(out)));
    } else if (cli_value(c, "password-stdin")) {
        status = read_line(out) ? cli_fail(ERR_LIMIT, "the password on standard input cannot be read or is longer than 1024 bytes") : 0;
    } else if (isatty(0)) {
        status = ask_twice(out);
    } else {
        (void)fprintf(stderr, "valise %s: give --password-stdin or --generate, or call it on a terminal\n", c->command->name);
        return EX_USAGE;
    }
    if (status == 0 && out->n == 0)
        return cli_fail(ERR_SYNTAX, "an empty password is refused");
    return status;
}
