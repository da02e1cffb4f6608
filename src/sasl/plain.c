/* plain: see plain.h. */
#include "sasl/plain.h"

#include <gsasl.h>

/* Appends IN prepared as a query string (RFC 4013): printable ASCII is what it is, anything else goes through the library. */
static int prepare(str in, struct buf *out)
{
    bool ascii = true;
    struct buf plain;
    char *prepared = NULL;
    for (size_t i = 0; i < in.n; i++)
        ascii = ascii && in.p[i] >= ' ' && in.p[i] <= '~';
    if (ascii) {
        buf_add(out, in);
        return buf_error(out);
    }
    buf_init_secret(&plain, SASL_RESPONSE_MAX + 1);
    buf_add(&plain, in);
    const char *z = buf_z(&plain);
    int r = z && gsasl_saslprep(z, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) == GSASL_OK ? 0 : ERR_SYNTAX;
    if (r == 0) {
        buf_add(out, str_from_z(prepared));
        r = buf_error(out);
    }
    if (prepared)
        secret_wipe(prepared, strlen(prepared));
    gsasl_free(prepared);
    buf_done(&plain);
    return r;
}

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd (RFC 4616 section 2); authcid and passwd have at least one character. */
int plain_take(str message, struct buf *authcid, struct buf *authzid, struct buf *password)
{
    str rest = message, zid, cid;
    if (!str_split(&rest, '\0', &zid) || !str_split(&rest, '\0', &cid) || !cid.n || !rest.n ||
        str_find_byte(rest, '\0', 0) < rest.n)
        return ERR_SYNTAX;
    buf_add(authzid, zid);
    int r = buf_error(authzid);
    if (r == 0)
        r = prepare(cid, authcid);
    if (r == 0)
        r = prepare(rest, password);
    return r == 0 && (!authcid->n || !password->n) ? ERR_SYNTAX : r;
}

int plain_take_name(str name, struct buf *authcid)
{
    if (!name.n || str_find_byte(name, '\0', 0) < name.n)
        return ERR_SYNTAX;
    int r = prepare(name, authcid);
    return r == 0 && !authcid->n ? ERR_SYNTAX : r;
}

/* LOGIN's password is not prepared: no document says so. */
int plain_take_password(str text, struct buf *password)
{
    if (!text.n || str_find_byte(text, '\0', 0) < text.n)
        return ERR_SYNTAX;
    buf_add(password, text);
    return buf_error(password);
}
