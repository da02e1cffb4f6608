/* prepare: one form of a password, whoever types it on whatever keyboard, and by whatever mechanism it arrives.
 *
 * Of two preparations the older is taken: SASLprep (RFC 4013), because SCRAM's clients apply it before they compute (RFC 5802 section 5.1) and the
 * server never sees what they had. What OpaqueString (RFC 8265 section 4.2) makes one, composed and decomposed letters, spaces of every kind, is one
 * there too. Code points that Unicode 3.2 had not yet are taken as they are, when set and when typed: such a password works wherever the client
 * does not refuse it. Controls, and right-to-left text mixed with other, have no prepared form.
 *
 * Before this, passwords were hashed as they came. They go on working: what was typed is tried as it is as well, when that is another form. */
#include "directory/directory_private.h"

#include <gsasl.h>

#include "base/utf8.h"

/* Version 2.2 of the library means the opposite by its one flag when it is built with libidn, so that both ways are tried. */
static bool prepare_z(const char *z, char **ret)
{
    return gsasl_saslprep(z, GSASL_ALLOW_UNASSIGNED, ret, NULL) == GSASL_OK || gsasl_saslprep(z, 0, ret, NULL) == GSASL_OK;
}

/* Printable ASCII is what it is; that spares the copies which the library frees without wiping them. */
static bool is_plain(str password)
{
    for (size_t i = 0; i < password.n; i++)
        if (password.p[i] < ' ' || password.p[i] > '~')
            return false;
    return password.n > 0 && password.n <= DIRECTORY_PASSWORD_MAX;
}

int password_prepare(str password, struct buf *ret)
{
    if (is_plain(password)) {
        buf_add(ret, password);
        return buf_error(ret) == 0 ? 0 : ERR_SYNTAX;
    }
    struct buf plain;
    char *prepared = NULL;
    buf_init_secret(&plain, DIRECTORY_PASSWORD_MAX + 1);
    buf_add(&plain, str_sub(password, 0, DIRECTORY_PASSWORD_MAX));
    bool fits = password.n <= DIRECTORY_PASSWORD_MAX && utf8_valid(password) && str_find_byte(password, '\0', 0) == password.n;
    const char *z = fits ? buf_z(&plain) : NULL;
    bool ok = z && prepare_z(z, &prepared) && prepared[0];
    if (ok)
        buf_add(ret, str_from_z(prepared));
    if (prepared)
        secret_wipe(prepared, strlen(prepared));
    gsasl_free(prepared);
    buf_done(&plain);
    return ok && buf_error(ret) == 0 ? 0 : ERR_SYNTAX;
}

int password_fits(struct gate *g, const struct directory_cost *cost, str hash, str password, bool *ret_is_old)
{
    struct buf prepared;
    buf_init_secret(&prepared, 4 * DIRECTORY_PASSWORD_MAX);
    bool has = password_prepare(password, &prepared) == 0;
    bool differs = has && !str_eq(buf_str(&prepared), password);
    int r = password_check(g, cost, hash, has ? buf_str(&prepared) : password);
    *ret_is_old = false;
    if (r == ERR_REFUSED && differs) {
        r = password_check(g, cost, hash, password);
        *ret_is_old = r == 0;
    }
    buf_done(&prepared);
    return r;
}
