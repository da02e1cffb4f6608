/* password: where a new password comes from. See cli.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/random.h"
#include "cli/cli.h"

enum { PASSWORD_MAX = 1024 };

void cli_generate_password(struct buf *out)
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789";
    for (int i = 0; i < 16; i++) {
        if (i && i % 4 == 0)
            buf_add_byte(out, '-');
        buf_add_byte(out, letters[random_below(sizeof letters - 1)]);
    }
}

/* Ctrl-C as a byte: see ask_once. */
enum { INTERRUPT = 3 };

/* One line of descriptor 0, byte by byte so that nothing behind it is eaten. On a TERMINAL Ctrl-C ends it: ERR_EOF. */
static int read_line(struct buf *out, bool terminal)
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
        if (terminal && c == INTERRUPT)
            return ERR_EOF;
        buf_add_byte(out, c);
    }
    if (out->n && out->p[out->n - 1] == '\r')
        buf_truncate(out, out->n - 1);
    return buf_error(out);
}

/* Without echo. Ctrl-C would leave the terminal like that, so it comes as a byte that ends the line, and takes effect afterwards.
 * */
static int ask_once(const char *prompt, struct buf *out)
{
    struct termios old, quiet;
    if (tcgetattr(0, &old) != 0)
        return ERR_IO;
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    quiet.c_cc[VEOL] = INTERRUPT;
    (void)fputs(prompt, stderr);
    (void)tcsetattr(0, TCSAFLUSH, &quiet);
    int err = read_line(out, true);
    (void)tcsetattr(0, TCSAFLUSH, &old);
    (void)fputc('\n', stderr);
    if (err == ERR_EOF)
        (void)raise(SIGINT);
    return err;
}

static int ask_twice(const struct cli *c, struct buf *out)
{
    struct buf again;
    buf_init_secret(&again, PASSWORD_MAX);
    int err = ask_once("New password: ", out);
    if (err == 0)
        err = ask_once("Once more: ", &again);
    bool same = str_eq_secret(buf_str(out), buf_str(&again));
    buf_done(&again);
    if (err == 0 && !same)
        return cli_fail(c, ERR_SYNTAX, "the two passwords differ");
    return err ? cli_fail(c, err, "the password cannot be read") : 0;
}

int cli_password(const struct cli *c, struct buf *out)
{
    int status = 0;
    buf_init_secret(out, PASSWORD_MAX);
    if (cli_value(c, "generate") && cli_value(c, "password-stdin"))
        return cli_usage(c, "%s: --generate and --password-stdin exclude each other; give one of them", c->command->name);
    if (cli_value(c, "generate")) {
        cli_generate_password(out);
    } else if (cli_value(c, "password-stdin")) {
        status = read_line(out, false)
                     ? cli_fail(c, ERR_LIMIT, "the password on standard input cannot be read or is longer than 1024 bytes")
                     : 0;
    } else if (isatty(0)) {
        status = ask_twice(c, out);
    } else {
        return cli_usage(c, "%s: give --password-stdin or --generate, or call it on a terminal", c->command->name);
    }
    if (status == 0 && out->n == 0)
        return cli_fail(c, ERR_SYNTAX, "an empty password is refused");
    return status;
}

/* One line of the file or descriptor that --passphrase-file names: "-" is standard input, as is /dev/stdin. */
static int read_passphrase(const char *path, struct buf *out, struct error *e)
{
    int fd = strcmp(path, "-") == 0 ? 0 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), err = 0;
    char c;
    ssize_t n = 0;
    if (fd < 0)
        return error_set(e, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
    while (err == 0 && (n = read(fd, &c, 1)) != 0 && !(n > 0 && c == '\n')) {
        if (n > 0)
            buf_add_byte(out, c);
        else if (errno != EINTR)
            err = error_set(e, ERR_IO, "%s: %s", path, strerrordesc_np(errno));
    }
    if (fd > 0)
        (void)close(fd);
    if (err == 0 && buf_error(out))
        err = error_set(e, ERR_LIMIT, "%s: a passphrase has at most %d bytes", path, PASSWORD_MAX);
    if (out->n && out->p[out->n - 1] == '\r')
        buf_truncate(out, out->n - 1);
    return err ? err : out->n ? 0 : error_set(e, ERR_SYNTAX, "%s: no passphrase in its first line", path);
}

int cli_passphrase(const struct cli *c, const char *prompt, bool fresh, struct buf *out, struct error *e)
{
    const char *path = cli_value(c, "passphrase-file");
    struct buf again;
    buf_init_secret(out, PASSWORD_MAX);
    if (path)
        return read_passphrase(path, out, e);
    if (!isatty(0))
        return error_set(e, ERR_REFUSED,
                         "no terminal to ask for the passphrase; --passphrase-file FILE gives it (- for standard input)");
    int err = ask_once(prompt, out);
    if (err == 0 && fresh) {
        buf_init_secret(&again, PASSWORD_MAX);
        err = ask_once("Once more: ", &again);
        if (err == 0 && !str_eq_secret(buf_str(out), buf_str(&again)))
            err = error_set(e, ERR_SYNTAX, "the two passphrases differ");
        buf_done(&again);
        return err;
    }
    return err ? error_set(e, err, "the passphrase cannot be read") : 0;
}

int cli_present_password(const struct cli *c, struct buf *out)
{
    int err = 0;
    if (cli_value(c, "password-stdin"))
        err = read_line(out, false);
    else if (isatty(0))
        err = ask_once("Present password: ", out);
    else
        return cli_usage(c, "%s: give --password-stdin, or call it on a terminal", c->command->name);
    if (err)
        return cli_fail(c, err, "the password cannot be read or is longer than 1024 bytes");
    return out->n ? 0 : cli_fail(c, ERR_SYNTAX, "an empty password is refused");
}
