/* script: dialogues as text files, run against a session over memory.
 *
 * One claim per file; the file's name is the claim. A line is a directive:
 *
 *   # comment            and empty lines: ignored
 *   @ tls                the connection starts inside TLS; "@ starttls": TLS can be started; "@ whole": what is sent together is
 * read
 *                        together in every mode; "@ certificate ADDRESS": with @ tls, a certificate of our CA for ADDRESS was shown (RFC 5280
 *                        rfc822Name), "@ certificate -": one of somebody else's. Other words go to setup->option. Before the first C or S line.
 *                        For both protocols: "@ limit NAME VALUE" as in valise.conf, "@ networks N", "@ xclient-from N", "@ peer 2 ADDRESS" of C2.
 *   C: text              the client sends text and CRLF. "C2:" to "C4:" is another connection to the same server ("C" is "C1").
 *   C~: text             the client sends text with \r \n \t \0 \\ \xHH decoded and nothing added
 *   C*100: text          the same line 100 times ("C2*100:" on connection 2)
 *   S: text              the server's next line (without CRLF) is text; "..." in it stands for any run of bytes within the line
 *                        and so does "<...>", which is kept: the same in a later C line is what it stood for (once a line)
 *   S*: text             lines of the server are skipped until one matches
 *   E:                   the client closes its side            Z:   the server has closed and said nothing more
 *   T:                   the deadline passes                   Q:   the server is told to stop
 *   X:                   the login is taken back, and the session told
 *   N:                   the login is taken back, while the session does something else
 *   B:                   the peer stops reading                U:   it reads again
 *   ! words              a command of the runner: setup->command
 *
 * Before the client sends, and at the end of the file, everything the server said must have been expected: nothing is
 * overlooked. */
#ifndef VALISE_TESTS_SCRIPT_H
#define VALISE_TESTS_SCRIPT_H

#include "base/buf.h"
#include "sasl/sasl.h"

struct script_setup {
    const struct conn_ops *ops;
    void *ctx;                    /* for ops->open */
    size_t read_step, write_step; /* 0 = no bound */
    bool starttls, tls;           /* to begin with; "@" lines add to it */
    void *user;                   /* of the two functions below, which may be NULL */
    /* An "@" line that script does not know, before any connection is made. False when it is unknown. */
    bool (*option)(void *user, str words);
    /* A "!" line; false and a reason in WHY when the claim does not hold. */
    bool (*command)(void *user, str words, struct buf *why);
};

/* Runs the script in file PATH. True when all of it held; otherwise REPORT has "path:line: what was expected, what came". */
bool script_run(const char *path, const struct script_setup *setup, struct buf *report) MUST_USE;

/* What "@ auth NAMES" says: a listener's `auth' with the mechanisms NAMES, a space between them. False for an unknown one. */
bool script_auth(str names, struct sasl_settings *ret) MUST_USE;

/* Calls FN with the path of each .txt file of directory DIR in the order of names; *RET_N how many. False ends and is returned;
 * false too when DIR cannot be read or holds none. */
bool script_each(const char *dir, bool (*fn)(void *ctx, const char *path), void *ctx, size_t *ret_n) MUST_USE;

#endif
