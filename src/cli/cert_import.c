/* cert_import: valise cert import: key and certificate of another CA, new or in the place of the former ones. */
#include "base/clock.h"
#include "cli/cert_private.h"
#include "pki/import.h"

/* Whether the file of the key, which others may read, is none at all: then that is said (E), not its mode, which suits a certificate. */
static bool is_no_key(struct pki_import_files f, struct buf *key, struct arena *a, struct error *e)
{
    struct error said = ERROR_NONE;
    struct pki_import seen = { 0 };
    struct buf chain = BUF_INIT(PKI_PEM_MAX);
    int err = pki_file_read(f.key_name, key, &said);
    f.key = buf_str(key);
    if (err == 0)
        err = pki_import_read(&f, a, &seen, &chain, &said);
    pki_key_free(seen.key);
    buf_done(&chain);
    if (err == ERR_SYNTAX)
        *e = said;
    return err == ERR_SYNTAX;
}

/* Everything of both files is read before anything is changed. */
static int read_files(const struct cli *c, struct arena *a, struct pki_import *ret, struct buf *chain)
{
    struct error e = ERROR_NONE;
    struct buf pem = BUF_INIT(PKI_PEM_MAX), key;
    struct pki_import_files f = { .chain_name = cli_value(c, "chain"),
                                  .key_name = cli_value(c, "key"),
                                  .server = str_from_z(c->words[0]),
                                  .now = clock_real_ms() / 1000 };
    buf_init_secret(&key, PKI_PEM_MAX);
    int err = pki_file_read(f.chain_name, &pem, &e);
    f.chain = buf_str(&pem);
    if (err == 0) {
        err = pki_key_read(f.key_name, &key, &e);
        if (err == ERR_REFUSED && is_no_key(f, &key, a, &e))
            err = ERR_SYNTAX;
    }
    f.key = buf_str(&key);
    if (err == 0)
        err = pki_import_read(&f, a, ret, chain, &e);
    buf_done(&key);
    buf_done(&pem);
    return err ? cli_fail_files(c, &e) : 0;
}

static bool has_name(const struct pki_description *d, str name)
{
    for (size_t i = 0; i < d->name_n; i++)
        if (str_ieq(d->names[i].text, name))
            return true;
    return false;
}

/* What is there gives way by itself to what is for the same names with the same key; else only when that was asked for. */
static int check_there(const struct cli *c, const struct cert_there *there, const struct pki_import *fresh)
{
    struct error e = ERROR_NONE;
    const struct pki_description *old = &there->description;
    if (!there->is_there || cli_value(c, "replace"))
        return 0;
    if (!there->is_readable)
        (void)error_set(&e, ERR_EXISTS, "%s or its key is there already, and not whole; --replace puts these in its place",
                        there->chain);
    else if (there->is_ours)
        (void)error_set(&e, ERR_EXISTS, "%s is there already, of this directory's own CA; --replace puts this one in its place",
                        there->chain);
    else if (!str_eq(old->key_id, fresh->first.key_id))
        (void)error_set(&e, ERR_EXISTS, "%s is there already, with another key; --replace puts this one and its key in its place",
                        there->chain);
    for (size_t i = 0; i < old->name_n && e.code == 0; i++)
        if (!has_name(&fresh->first, old->names[i].text))
            (void)error_set(&e, ERR_EXISTS,
                            "%s is for %.*s too, and the new one is not; --replace puts it in its place all the same",
                            there->chain, STR_ARG(old->names[i].text));
    return e.code ? cli_fail(c, e.code, e.text) : 0;
}

int cmd_cert_import(struct cli *c)
{
    struct buf chain = BUF_INIT(PKI_PEM_MAX);
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_import fresh = { 0 };
    struct cert_there there;
    char dir[CERT_PATH_MAX];
    if (!cli_value(c, "chain") || !cli_value(c, "key"))
        return cli_usage(c, "--chain FILE and --key FILE are needed");
    int status = cert_directory(c, dir);
    if (status == 0)
        status = read_files(c, &a, &fresh, &chain);
    bool rsa = status == 0 && str_starts(fresh.first.key_kind, STR("RSA"));
    if (status == 0)
        status = cert_server_look(c, c->words[0], rsa, &a, &there);
    if (status == 0)
        status = check_there(c, &there, &fresh);
    if (status == 0)
        status = cert_server_place(c, &there, fresh.key, buf_str(&chain));
    if (status == 0 && fresh.certificate_n == 1 && !fresh.is_self_signed && !c->json)
        (void)fprintf(stderr,
                      "valise: note: %s holds one certificate only; most CAs have another between it and their root, without "
                      "which clients refuse it (certbot: fullchain.pem)\n",
                      cli_value(c, "chain"));
    pki_key_free(fresh.key);
    arena_done(&a);
    buf_done(&chain);
    return status;
}
