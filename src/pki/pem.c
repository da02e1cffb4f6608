/* pem: why a text that should hold something in PEM form does not, with the line. */
#include "pki/pki_private.h"

static bool is_base64_line(str line)
{
    for (size_t i = 0; i < line.n; i++)
        if (!ascii_is_alnum(line.p[i]) && !strchr("+/= \t", line.p[i]))
            return false;
    return true;
}

/* What the line "-----BEGIN LABEL-----" begins; empty for every other line. */
static str label_of(str line)
{
    static const str begin = STR_INIT("-----BEGIN "), dashes = STR_INIT("-----");
    return str_starts(line, begin) && str_ends(line, dashes) && line.n > begin.n + dashes.n
               ? str_sub(line, begin.n, line.n - begin.n - dashes.n)
               : (str){ 0 };
}

int pki_pem_fail(str text, const char *what, struct error *e)
{
    str rest = text, line, label = { 0 }, wanted = str_from_z(what), other = { 0 };
    unsigned number = 0, begun = 0, other_at = 0;
    if (text.n == 0)
        return error_set(e, ERR_SYNTAX, "it is empty; a %s in PEM form is wanted", what);
    if (text.n > PKI_PEM_MAX)
        return error_set(e, ERR_SYNTAX, "larger than %d bytes, so it holds more than a %s", PKI_PEM_MAX, what);
    if (text.p[0] == 0x30)
        return error_set(
            e, ERR_SYNTAX,
            "it is in DER form, or PKCS #12, and PEM is wanted; `openssl x509 -inform der', `openssl pkey -inform der' or "
            "`openssl pkcs12 -nodes' writes that");
    while (rest.n && str_split(&rest, '\n', &line)) {
        number++;
        line = str_trim(line);
        str begins = label_of(line);
        if (begun == 0) {
            if (begins.n && str_iends(begins, wanted)) {
                begun = number;
                label = begins;
            } else if (begins.n && !other.n) {
                other = begins;
                other_at = number;
            }
            continue;
        }
        if (str_starts(line, STR("-----END ")))
            return error_set(e, ERR_SYNTAX, "lines %u to %u are damaged: what they hold is no %s", begun, number, what);
        if (begins.n)
            return error_set(e, ERR_SYNTAX, "line %u begins anew before the %s of line %u has ended", number, what, begun);
        if (!is_base64_line(line) && str_find_byte(line, ':', 0) == line.n)
            return error_set(e, ERR_SYNTAX, "line %u holds what is no Base64", number);
    }
    if (begun)
        return error_set(e, ERR_SYNTAX, "it is cut off: the line -----END %.*s----- is missing after line %u", STR_ARG(label),
                         number);
    if (other.n)
        return error_set(e, ERR_SYNTAX, "line %u begins a %.*s; a %s is wanted", other_at, STR_ARG(other), what);
    return error_set(e, ERR_SYNTAX, "there is no line -----BEGIN %s----- in it", what);
}
