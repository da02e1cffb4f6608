/* commands: the table of commands and what holds for all of them. HELP is generated from it. */
#include "smtp/session_private.h"

#include "base/log.h"

/* RFC 3207 section 4 lets NOOP, EHLO, STARTTLS and QUIT through where TLS is required, and no other. */
static const struct smtp_command commands[] = {
    { STR_INIT("EHLO"), SMTP_STAGE_ANY,
      SMTP_COMMAND_BEFORE_TLS | SMTP_COMMAND_BEFORE_AUTH | SMTP_COMMAND_JUNK | SMTP_COMMAND_SMTP, SMTP_REPLY_SEQUENCE,
      smtp_cmd_ehlo, "RFC 5321 section 4.1.1.1", "EHLO your.name: begins, and lists what is offered" },
    { STR_INIT("HELO"), SMTP_STAGE_ANY, SMTP_COMMAND_BEFORE_AUTH | SMTP_COMMAND_JUNK | SMTP_COMMAND_SMTP, SMTP_REPLY_SEQUENCE,
      smtp_cmd_helo, "RFC 5321 section 4.1.1.1", "HELO your.name: begins without extensions" },
    { STR_INIT("LHLO"), SMTP_STAGE_ANY, SMTP_COMMAND_BEFORE_TLS | SMTP_COMMAND_JUNK | SMTP_COMMAND_LMTP, SMTP_REPLY_SEQUENCE,
      smtp_cmd_ehlo, "RFC 2033 section 4.1", "LHLO your.name: begins, and lists what is offered" },
    { STR_INIT("MAIL"), SMTP_STAGE_READY, 0, SMTP_REPLY_NESTED_MAIL, smtp_cmd_mail, "RFC 5321 section 4.1.1.2",
      "MAIL FROM:<you@example.org> [SIZE=bytes] [BODY=7BIT|8BITMIME|BINARYMIME] [SMTPUTF8]: begins a message",
      "also [RET=FULL|HDRS] [ENVID=id]: what a report on its delivery returns" },
    { STR_INIT("RCPT"), SMTP_STAGE_MAIL | SMTP_STAGE_RCPT, 0, SMTP_REPLY_MAIL_FIRST, smtp_cmd_rcpt, "RFC 5321 section 4.1.1.3",
      "RCPT TO:<friend@example.org>: adds a recipient",
      "also [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;address]: when a report is wanted" },
    { STR_INIT("DATA"), SMTP_STAGE_RCPT, SMTP_COMMAND_NO_ARGUMENT, SMTP_REPLY_RCPT_FIRST, smtp_cmd_data,
      "RFC 5321 section 4.1.1.4", "DATA: the message follows; a line that holds a dot only ends it" },
    { STR_INIT("BDAT"), SMTP_STAGE_RCPT | SMTP_STAGE_CHUNK, SMTP_COMMAND_CHUNK, SMTP_REPLY_RCPT_FIRST, smtp_cmd_bdat,
      "RFC 3030 section 2", "BDAT bytes [LAST]: a piece of the message follows, of that length" },
    { STR_INIT("RSET"), SMTP_STAGE_ANY, SMTP_COMMAND_BEFORE_AUTH | SMTP_COMMAND_JUNK | SMTP_COMMAND_NO_ARGUMENT,
      SMTP_REPLY_SEQUENCE, smtp_cmd_rset, "RFC 5321 section 4.1.1.5", "RSET: forgets the message begun" },
    { STR_INIT("NOOP"), SMTP_STAGE_ANY, SMTP_COMMAND_BEFORE_TLS | SMTP_COMMAND_BEFORE_AUTH | SMTP_COMMAND_JUNK,
      SMTP_REPLY_SEQUENCE, smtp_cmd_noop, "RFC 5321 section 4.1.1.9", "NOOP: does nothing" },
    { STR_INIT("QUIT"), SMTP_STAGE_ANY, SMTP_COMMAND_BEFORE_TLS | SMTP_COMMAND_BEFORE_AUTH | SMTP_COMMAND_NO_ARGUMENT,
      SMTP_REPLY_SEQUENCE, smtp_cmd_quit, "RFC 5321 section 4.1.1.10", "QUIT: ends the session" },
    { STR_INIT("STARTTLS"), SMTP_STAGE_ANY, SMTP_COMMAND_BEFORE_TLS | SMTP_COMMAND_BEFORE_AUTH | SMTP_COMMAND_NO_ARGUMENT,
      SMTP_REPLY_SEQUENCE, smtp_cmd_starttls, "RFC 3207 section 4", "STARTTLS: goes on under TLS" },
    { STR_INIT("AUTH"), SMTP_STAGE_READY, SMTP_COMMAND_BEFORE_AUTH | SMTP_COMMAND_SUBMISSION, SMTP_REPLY_AUTH_IN_TRANSACTION,
      smtp_cmd_auth, "RFC 4954 section 4", "AUTH mechanism [response]: logs in" },
    { STR_INIT("VRFY"), SMTP_STAGE_ANY, SMTP_COMMAND_JUNK, SMTP_REPLY_SEQUENCE, smtp_cmd_vrfy, "RFC 5321 section 4.1.1.6",
      "VRFY name: whether it is there, for administrators; for others always 252" },
    { STR_INIT("EXPN"), SMTP_STAGE_ANY, SMTP_COMMAND_JUNK | SMTP_COMMAND_HIDDEN, SMTP_REPLY_SEQUENCE, smtp_cmd_expn,
      "RFC 5321 section 4.1.1.7", "EXPN list: who is on it, for administrators" },
    { STR_INIT("XCLIENT"), SMTP_STAGE_START | SMTP_STAGE_READY,
      SMTP_COMMAND_BEFORE_AUTH | SMTP_COMMAND_SMTP | SMTP_COMMAND_HIDDEN, SMTP_REPLY_XCLIENT_IN_TRANSACTION, smtp_cmd_xclient,
      "Postfix XCLIENT Howto", "XCLIENT attribute=value ...: of relays of ours, whose session this is" },
    { STR_INIT("HELP"), SMTP_STAGE_ANY, SMTP_COMMAND_BEFORE_AUTH | SMTP_COMMAND_JUNK, SMTP_REPLY_SEQUENCE, smtp_cmd_help,
      "RFC 5321 section 4.1.1.8", "HELP [command]: this" },
};

const struct smtp_command *smtp_commands(size_t *ret_n)
{
    *ret_n = sizeof(commands) / sizeof(commands[0]);
    return commands;
}

bool smtp_command_exists(const struct smtp_config *config, const struct smtp_command *c)
{
    return !(c->flags & (config->lmtp ? SMTP_COMMAND_SMTP : SMTP_COMMAND_LMTP));
}

static const struct smtp_command *find(const struct smtp_config *config, str verb)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (str_ieq(commands[i].name, verb) && smtp_command_exists(config, &commands[i]))
            return &commands[i];
    }
    return NULL;
}

/* Whether the command may be said now: *REFUSAL is the answer if not. */
static bool may_run(const struct smtp_session *s, const struct smtp_command *c, str argument, enum smtp_reply *refusal)
{
    bool needs_tls = s->config->tls == SMTP_TLS_REQUIRED || s->config->certificate_required;
    enum smtp_stage stage = smtp_session_stage(s);
    if (s->is_unwelcome && c->run != smtp_cmd_quit)
        *refusal = SMTP_REPLY_SEQUENCE;
    else if (needs_tls && !smtp_session_tls(s)->active && !(c->flags & SMTP_COMMAND_BEFORE_TLS))
        *refusal = SMTP_REPLY_TLS_FIRST;
    else if ((c->flags & SMTP_COMMAND_SUBMISSION) && !s->config->submission)
        *refusal = SMTP_REPLY_NO_AUTH; /* the one command for users only */
    else if (stage == SMTP_STAGE_START && !(c->stages & stage))
        *refusal = s->config->lmtp ? SMTP_REPLY_LHLO_FIRST : SMTP_REPLY_HELO_FIRST;
    else if (s->config->submission && !s->is_authenticated && !(c->flags & SMTP_COMMAND_BEFORE_AUTH))
        *refusal = SMTP_REPLY_AUTH_FIRST;
    else if (!(c->stages & stage) && stage == SMTP_STAGE_CHUNK)
        *refusal = SMTP_REPLY_IN_CHUNKS;
    else if (!(c->stages & stage))
        *refusal = stage == SMTP_STAGE_READY && c->wrong_stage == SMTP_REPLY_RCPT_FIRST ? SMTP_REPLY_MAIL_FIRST : c->wrong_stage;
    else if ((c->flags & SMTP_COMMAND_NO_ARGUMENT) && argument.n)
        *refusal = SMTP_REPLY_NO_ARGUMENT;
    else
        return true;
    return false;
}

/* RFC 3207 section 4.1: whoever is under TLS without the certificate that it takes is told so at every command but QUIT. The handshake itself takes
 * all: a client of TLS 1.3 would not learn in it why it is refused. */
static bool lacks_security(const struct smtp_session *s, const struct smtp_command *c)
{
    const struct tls_info *tls = smtp_session_tls(s);
    return s->config->certificate_required && tls->active && !tls->client_verified && !(c && c->run == smtp_cmd_quit);
}

/* A browser that a hostile page makes post to this port would otherwise have its headers refused and its body run as
 * commands. */
static bool is_http(str verb)
{
    static const str methods[] = { STR_INIT("GET"),     STR_INIT("POST"),    STR_INIT("PUT"),    STR_INIT("HEAD"),
                                   STR_INIT("OPTIONS"), STR_INIT("CONNECT"), STR_INIT("DELETE"), STR_INIT("PATCH"),
                                   STR_INIT("TRACE"),   STR_INIT("PRI") };
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (str_eq(methods[i], verb))
            return true;
    }
    return false;
}

enum conn_next smtp_command_run(struct smtp_session *s, str line)
{
    str verb, argument;
    enum smtp_reply refusal;
    smtp_line_split(line, &verb, &argument);
    const struct smtp_command *c = find(s->config, verb);
    if (lacks_security(s, c)) {
        smtp_say(s, SMTP_REPLY_LACK_OF_SECURITY);
        return CONN_WAIT;
    }
    if (!c) {
        smtp_say(s, is_http(verb) ? SMTP_REPLY_FOREIGN_PROTOCOL : SMTP_REPLY_UNKNOWN_COMMAND);
        return CONN_WAIT;
    }
    if (c->flags & SMTP_COMMAND_JUNK)
        s->junk++;
    if (!may_run(s, c, argument, &refusal)) {
        /* RFC 5321 section 3.3: DATA after recipients that were all refused may be answered 554 "no valid recipients". RFC 2033
         * section 4.2 wants 503. */
        if (refusal == SMTP_REPLY_RCPT_FIRST && s->transaction && s->transaction->recipient_refused_n && !s->config->lmtp)
            refusal = SMTP_REPLY_NO_VALID_RECIPIENT;
        if (c->flags & SMTP_COMMAND_CHUNK)
            smtp_bdat_refuse(s, argument, refusal);
        else
            smtp_say(s, refusal);
        return CONN_WAIT;
    }
    return c->run(s, argument);
}
