/* cmd_id: ID (RFC 2971). What the client says of itself is logged. */
#include "imap/session_private.h"

#include "base/log.h"
#include "imap/syntax_private.h"

enum { ID_FIELDS_MAX = 30, ID_FIELD_MAX = 30, ID_VALUE_MAX = 1024 };

/* id_params_list = "(" *(string SP nstring) ")" / nil (RFC 2971 section 4) */
static int parse_params(struct scan *args, struct arena *a, str *ret_name, str *ret_version)
{
    if (imap_scan_word(args, STR("NIL")))
        return 0;
    if (!scan_byte(args, '('))
        return ERR_SYNTAX;
    for (unsigned i = 0; !scan_byte(args, ')'); i++) {
        str field, value;
        if (i == ID_FIELDS_MAX)
            return ERR_LIMIT;
        if ((i && !scan_byte(args, ' ')) || imap_parse_string(args, a, &field) < 0 || !scan_byte(args, ' ') ||
            imap_parse_nstring(args, a, &value) < 0)
            return ERR_SYNTAX;
        if (field.n > ID_FIELD_MAX || value.n > ID_VALUE_MAX)
            return ERR_LIMIT;
        if (str_ieq(field, STR("name")))
            *ret_name = value;
        else if (str_ieq(field, STR("version")))
            *ret_version = value;
    }
    return 0;
}

IMAP_HANDLER(id)
{
    str name = STR(""), version = STR("");
    int r = scan_byte(args, ' ') ? parse_params(args, &s->arena, &name, &version) : ERR_SYNTAX;
    if (r < 0 || !scan_done(args))
        return imap_bad_arguments(s, r);
    buf_reset(&s->client);
    buf_add_all(&s->client, str_sub(name, 0, IMAP_ID_TOLD_MAX), version.n ? STR("/") : STR(""),
                str_sub(version, 0, IMAP_ID_TOLD_MAX));
    buf_add(&s->out, STR("* ID (\"name\" \"valise\" \"version\" \"" VALISE_VERSION "\")\r\n"));
    return imap_ok(s);
}
