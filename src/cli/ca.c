/* ca: valise ca show|export: the root certificate of a directory, read from its file. */
#include "base/clock.h"
#include "cli/cert_private.h"

static int read_ca(const struct cli *c, struct buf *pem, struct error *e)
{
    char path[CERT_PATH_MAX];
    int err = cert_path(c, path, e, "ca.pem");
    return err ? err : pki_file_read(path, pem, e);
}

void cert_day(int64_t seconds, char out[24])
{
    struct date d = date_from_unix(seconds, 0);
    (void)snprintf(out, 24, "%04u-%02u-%02u %02u:%02u UTC", (unsigned)d.year % 10000, (unsigned)d.month % 100,
                   (unsigned)d.day % 100, (unsigned)d.hour % 100, (unsigned)d.minute % 100);
}

static json_t *scope_json(const struct pki_scope *scope)
{
    static const char *const kinds[] = { [PKI_NAME_DNS] = "dns", [PKI_NAME_IP] = "ip", [PKI_NAME_EMAIL] = "email" };
    json_t *list = json_array();
    for (size_t i = 0; i < scope->name_n; i++)
        json_array_append_new(list, json_pack("{s:s,s:s%}", "kind", kinds[scope->names[i].kind], "name", scope->names[i].text.p,
                                              scope->names[i].text.n));
    return list;
}

static void print_scope(const struct pki_scope *scope)
{
    static const char *const kinds[] = { [PKI_NAME_DNS] = "servers", [PKI_NAME_IP] = "addresses", [PKI_NAME_EMAIL] = "mail" };
    if (!scope->limited)
        (void)puts("speaks for   ANYBODY: see valise ca renew --help");
    else if (!scope->narrow)
        (void)puts("speaks for   programs and URIs of ANYBODY: see valise ca renew --help");
    for (size_t i = 0; i < scope->name_n; i++)
        (void)printf("speaks for   %-9s %.*s\n", kinds[scope->names[i].kind], STR_ARG(scope->names[i].text));
}

int cmd_ca_show(struct cli *c)
{
    struct error e = ERROR_NONE;
    struct buf pem = BUF_INIT(PKI_PEM_MAX);
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_description d;
    struct pki_scope scope;
    char from[24], to[24];
    int err = read_ca(c, &pem, &e);
    if (err == 0)
        err = pki_certificate_describe(buf_str(&pem), &a, &d, &e);
    if (err == 0)
        err = pki_scope_read(buf_str(&pem), &a, &scope, &e);
    int status = err ? cli_fail_files(c, &e) : 0;
    if (err == 0 && c->json) {
        json_t *v = json_pack("{s:b,s:s%,s:s%,s:s%,s:s%,s:s%,s:I,s:I,s:b,s:b,s:o}", "ok", 1, "subject", d.subject.p, d.subject.n,
                              "serial", d.serial.p, d.serial.n, "key", d.key_kind.p, d.key_kind.n, "key-id", d.key_id.p,
                              d.key_id.n, "fingerprint", d.fingerprint.p, d.fingerprint.n, "not-before", (json_int_t)d.not_before,
                              "not-after", (json_int_t)d.not_after, "limited", (int)scope.limited, "narrow", (int)scope.narrow,
                              "speaks-for", scope_json(&scope));
        cli_print_json(v);
        json_decref(v);
    } else if (err == 0) {
        cert_day(d.not_before, from);
        cert_day(d.not_after, to);
        (void)printf(
            "subject      %.*s\nkey          %.*s\nkey id       %.*s\nvalid        %s to %s\nfingerprint  SHA-256 %.*s\n",
            STR_ARG(d.subject), STR_ARG(d.key_kind), STR_ARG(d.key_id), from, to, STR_ARG(d.fingerprint));
        print_scope(&scope);
    }
    arena_done(&a);
    buf_done(&pem);
    return status;
}

int cmd_ca_export(struct cli *c)
{
    struct error e = ERROR_NONE;
    struct buf pem = BUF_INIT(PKI_PEM_MAX), der = BUF_INIT(PKI_PEM_MAX);
    const char *file = cli_value(c, "out");
    int err = read_ca(c, &pem, &e);
    if (err == 0 && cli_value(c, "der"))
        err = pki_certificate_to_der(buf_str(&pem), &der, &e);
    str bytes = cli_value(c, "der") ? buf_str(&der) : buf_str(&pem);
    if (err == 0 && file)
        err = pki_file_write(file, bytes, 0644, true, &e);
    else if (err == 0 && (fwrite(bytes.p, 1, bytes.n, stdout) != bytes.n || fflush(stdout) != 0))
        err = error_set(&e, ERR_IO, "the certificate cannot be written to standard output");
    int status = err ? cli_fail_files(c, &e) : 0;
    buf_done(&pem);
    buf_done(&der);
    return status;
}
