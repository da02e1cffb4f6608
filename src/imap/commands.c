/* commands: the table of commands, and the capabilities that follow from it (RFC 3501 section 6). */
#include "imap/session_private.h"

enum {
    ANY = IMAP_NOT_AUTHENTICATED | IMAP_AUTHENTICATED | IMAP_SELECTED,
    NONAUTH = IMAP_NOT_AUTHENTICATED,
    AUTH = IMAP_AUTHENTICATED | IMAP_SELECTED,
    SELECTED = IMAP_SELECTED,
    UID = IMAP_CMD_UID,
    NO_EXPUNGE = IMAP_CMD_NO_EXPUNGE,
    NO_ARGS = IMAP_CMD_NO_ARGUMENTS
};

#define ROW(name, states, flags, usage, capability, function, rfc)                                                               \
    {                                                                                                                            \
        STR_INIT(name), states, flags, STR_INIT(usage), STR_INIT(capability), imap_cmd_##function, rfc                           \
    }

static const struct imap_command table[] = {
    ROW("APPEND", AUTH, 0, "mailbox [(flags)] [date-time] {size} ...", "MULTIAPPEND", append, "3501 6.3.11, 3502"),
    ROW("AUTHENTICATE", NONAUTH, 0, "mechanism [initial-response]", "", authenticate, "3501 6.2.2, 4959"),
    ROW("CAPABILITY", ANY, NO_ARGS, "nothing", "", capability, "3501 6.1.1"),
    ROW("CHECK", SELECTED, NO_ARGS, "nothing", "", check, "3501 6.4.1"),
    ROW("CLOSE", SELECTED, NO_ARGS, "nothing", "", close, "3501 6.4.2"),
    ROW("COPY", SELECTED, UID, "sequence-set mailbox", "UIDPLUS", copy, "3501 6.4.7, 4315"),
    ROW("CREATE", AUTH, 0, "mailbox [(USE (special-use))]", "CREATE-SPECIAL-USE", create, "3501 6.3.3, 6154"),
    ROW("DELETE", AUTH, 0, "mailbox", "", delete, "3501 6.3.4"),
    ROW("ENABLE", AUTH, 0, "capability ...", "ENABLE", enable, "5161, 7162"),
    ROW("EXAMINE", AUTH, 0, "mailbox [(CONDSTORE, QRESYNC (...))]", "", examine, "3501 6.3.2, 7162"),
    ROW("EXPUNGE", SELECTED, UID, "nothing (with UID: a sequence-set)", "", expunge, "3501 6.4.3, 4315"),
    ROW("FETCH", SELECTED, UID | NO_EXPUNGE, "sequence-set item, or (item ...) [(CHANGEDSINCE modseq [VANISHED])]", "BINARY",
        fetch, "3501 6.4.5, 3516, 7162"),
    ROW("GETQUOTA", AUTH, 0, "quota-root", "QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE", getquota, "9208"),
    ROW("GETQUOTAROOT", AUTH, 0, "mailbox", "", getquotaroot, "9208"),
    ROW("ID", ANY, 0, "NIL or (\"field\" \"value\" ...)", "ID", id, "2971"),
    ROW("IDLE", AUTH, NO_ARGS, "nothing", "IDLE", idle, "2177"),
    ROW("LIST", AUTH, 0, "[(options)] reference pattern [RETURN (options)]", "CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE",
        list, "3501 6.3.8, 3348, 5258, 5819, 6154"),
    ROW("LOGIN", NONAUTH, 0, "user password", "", login, "3501 6.2.3"),
    ROW("LOGOUT", ANY, NO_ARGS, "nothing", "", logout, "3501 6.1.3"),
    ROW("LSUB", AUTH, 0, "reference pattern", "", lsub, "3501 6.3.9"),
    ROW("MOVE", SELECTED, UID, "sequence-set mailbox", "MOVE", move, "6851"),
    ROW("NAMESPACE", AUTH, NO_ARGS, "nothing", "NAMESPACE", namespace, "2342"),
    ROW("NOOP", ANY, NO_ARGS, "nothing", "", noop, "3501 6.1.2"),
    ROW("RENAME", AUTH, 0, "mailbox mailbox", "", rename, "3501 6.3.5"),
    ROW("SEARCH", SELECTED, UID | NO_EXPUNGE, "[RETURN (MIN MAX ALL COUNT)] [CHARSET name] key ...", "ESEARCH", search,
        "3501 6.4.4, 4731"),
    ROW("SELECT", AUTH, 0, "mailbox [(CONDSTORE, QRESYNC (...))]", "QRESYNC", select, "3501 6.3.1, 7162"),
    ROW("STARTTLS", NONAUTH, NO_ARGS, "nothing", "", starttls, "3501 6.2.1"),
    ROW("STATUS", AUTH, 0, "mailbox (item ...)", "STATUS=SIZE", status, "3501 6.3.10, 8438"),
    ROW("STORE", SELECTED, UID | NO_EXPUNGE, "sequence-set [(UNCHANGEDSINCE modseq)] [+|-]FLAGS[.SILENT] (flag ...)", "CONDSTORE",
        store, "3501 6.4.6, 7162"),
    ROW("SUBSCRIBE", AUTH, 0, "mailbox", "", subscribe, "3501 6.3.6"),
    ROW("UNSELECT", SELECTED, NO_ARGS, "nothing", "UNSELECT", unselect, "3691"),
    ROW("UNSUBSCRIBE", AUTH, 0, "mailbox", "", unsubscribe, "3501 6.3.7"),
};

const struct imap_command *imap_commands(size_t *ret_n)
{
    *ret_n = sizeof table / sizeof *table;
    return table;
}

const struct imap_command *imap_command_find(str name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (str_ieq(table[i].name, name))
            return &table[i];
    }
    return NULL;
}

/* RFC 3501 section 7.2.1; SASL-IR RFC 4959. What a login needs is said only before it.
 *
 * LITERAL+ rather than LITERAL- (RFC 7888 section 5: not both). What LITERAL- saves a server, having to swallow a large literal
 * that it does not want, costs nothing here: an unwanted one is skipped as it comes and never in memory. And clients gain a round
 * trip for each message they upload. */
void imap_write_capabilities(struct imap_session *s, struct buf *b)
{
    buf_add(b, STR("IMAP4rev1 LITERAL+ SASL-IR"));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].capability.n)
            buf_add_all(b, STR(" "), table[i].capability);
    }
    if (s->state != IMAP_NOT_AUTHENTICATED)
        return;
    if (conn_can_starttls(s->conn))
        buf_add(b, STR(" STARTTLS"));
    if (!imap_login_allowed(s) || !sasl_offers_password(&s->config->auth))
        buf_add(b, STR(" LOGINDISABLED"));
    size_t n;
    const struct sasl_mechanism *mechanisms = sasl_mechanisms(&n);
    for (size_t i = 0; i < n; i++) {
        if (imap_login_allowed(s) && sasl_lists(&s->config->auth, s->conn, &mechanisms[i]))
            buf_add_all(b, STR(" AUTH="), mechanisms[i].name);
    }
}
