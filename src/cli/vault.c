/* vault: see vault.h. */
#include "cli/vault.h"

#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "base/count.h"
#include "base/random.h"
#include "cli/owner.h"

enum { STEP = 1 << 17, MANIFEST_MAX = 1 << 29 };

static const char purpose[] = "valise backup manifest";

/* --- hexadecimal --- */

static void to_hex(const char *bytes, size_t n, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = digits[(unsigned char)bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * n] = 0;
}

static bool from_hex(str text, size_t n, char *ret)
{
    if (text.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = ascii_hex_value(text.p[2 * i]), low = ascii_hex_value(text.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (char)(high * 16 + low);
    }
    return true;
}

/* --- streams --- */

/* Bytes that are counted and summed on their way to somebody. */
struct passing {
    EVP_MD_CTX *md;
    uint64_t n;
    tree_write_fn *fn;
    void *ctx;
};

static int pass(void *ctx, str bytes, struct error *e)
{
    struct passing *p = ctx;
    p->n += bytes.n;
    if (p->md && EVP_DigestUpdate(p->md, bytes.p, bytes.n) != 1)
        return error_set(e, ERR_INTERNAL, "no SHA-256");
    return p->fn ? p->fn(p->ctx, bytes, e) : 0;
}

/* All of FD through S. The number of bytes read. */
static int through(struct sealed *s, int fd, const char *name, uint64_t *ret_n, struct error *e)
{
    char *p = malloc(STEP);
    ssize_t n;
    int err = 0;
    if (!p)
        panic("out of memory for a file");
    *ret_n = 0;
    while (err == 0 && (n = read(fd, p, STEP)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = error_set(e, err_from_errno(errno), "%s: %s", name, strerrordesc_np(errno));
        else
            err = sealed_add(s, (str){ p, (size_t)n }, e);
        *ret_n += n > 0 ? (uint64_t)n : 0;
    }
    secret_wipe(p, STEP);
    free(p);
    return err ? err : sealed_end(s, e);
}

int vault_seal(int fd, const char *name, const char key[KEYBOX_SECRET], tree_write_fn *fn, void *ctx, uint64_t *ret_size,
               char sum[TREE_SUM_TEXT], struct error *e)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_n = 0;
    struct passing p = { .md = EVP_MD_CTX_new(), .fn = fn, .ctx = ctx };
    struct sealed s;
    int err = sealed_begin(&s, true, key, pass, &p, e);
    if (err == 0 && (!p.md || EVP_DigestInit_ex(p.md, EVP_sha256(), NULL) != 1))
        err = error_set(e, ERR_INTERNAL, "no SHA-256");
    if (err == 0)
        err = through(&s, fd, name, ret_size, e);
    if (err == 0 && EVP_DigestFinal_ex(p.md, digest, &digest_n) != 1)
        err = error_set(e, ERR_INTERNAL, "no SHA-256");
    if (err == 0)
        to_hex((const char *)digest, digest_n, sum);
    sealed_done(&s);
    EVP_MD_CTX_free(p.md);
    return err;
}

static int to_buf(void *ctx, str bytes, struct error *e)
{
    buf_add(ctx, bytes);
    return buf_error(ctx) ? error_set(e, ERR_LIMIT, "the manifest is too large") : 0;
}

int vault_seal_manifest(const struct vault_lock *l, str manifest, struct buf *out, char sum[TREE_SUM_TEXT], struct error *e)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_n = 0;
    char key[KEYBOX_SECRET];
    struct sealed s = { 0 };
    int err = keybox_derive(l->secret, buf_str(&l->keybox), purpose, key, e);
    if (err == 0)
        err = sealed_begin(&s, true, key, to_buf, out, e);
    if (err == 0)
        err = sealed_add(&s, manifest, e);
    if (err == 0)
        err = sealed_end(&s, e);
    if (err == 0 && EVP_Digest(out->p, out->n, digest, &digest_n, EVP_sha256(), NULL) != 1)
        err = error_set(e, ERR_INTERNAL, "no SHA-256");
    if (err == 0)
        to_hex((const char *)digest, digest_n, sum);
    sealed_done(&s);
    secret_wipe(key, sizeof key);
    return err;
}

/* --- keys of a new backup --- */

/* Whether the file NAME of --encrypt-to has a certificate in it: its key is the file beside it. */
static int check_certificate(const char *name, str text, struct error *e)
{
    if (str_find(text, STR("CERTIFICATE-----")) < text.n)
        return 0;
    if (str_find(text, STR("PRIVATE KEY-----")) < text.n)
        return error_set(e, ERR_SYNTAX, "%s holds a private key; --encrypt-to wants its certificate, and the key stays with you",
                         name);
    return error_set(e, ERR_SYNTAX,
                     "%s holds no certificate in PEM form; --encrypt-to wants one, as `valise cert issue --user` or openssl makes it",
                     name);
}

static int read_named(const char *path, size_t max, struct buf *out, struct error *e)
{
    buf_init_secret(out, max);
    int fd = beneath_start_file(path, e), err = fd < 0 ? fd : beneath_read_open(fd, path, out, e);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

int vault_lock_init(struct vault_lock *l, const struct cli *c, bool server)
{
    struct buf files[CLI_REPEAT_MAX] = { 0 }, passphrase = { 0 };
    str certificates[CLI_REPEAT_MAX];
    struct error e = ERROR_NONE;
    size_t n = 0;
    const char *const *names = cli_values(c, "encrypt-to", &n);
    bool asks = cli_value(c, "passphrase") || cli_value(c, "passphrase-file");
    int err = 0;
    *l = (struct vault_lock){ .keybox = BUF_INIT(KEYBOX_MAX) };
    if (n == 0 && !asks)
        return 0;
    if (asks)
        err = cli_passphrase(c, "Passphrase of the backup: ", true, &passphrase, &e);
    for (size_t i = 0; i < n && err == 0; i++) {
        err = read_named(names[i], KEYBOX_FILE_MAX, &files[i], &e);
        certificates[i] = buf_str(&files[i]);
        if (err == 0)
            err = check_certificate(names[i], certificates[i], &e);
    }
    random_bytes(l->secret, sizeof l->secret);
    if (server) {
        char id[KEYBOX_ID / 2];
        random_bytes(id, sizeof id);
        random_bytes(l->server_key, sizeof l->server_key);
        to_hex(id, sizeof id, l->server_id);
    }
    const struct keybox_to to = { certificates, n, buf_str(&passphrase), str_from_z(l->server_id), l->server_key };
    if (err == 0)
        err = keybox_close(l->secret, &to, &l->keybox, &e);
    for (size_t i = 0; i < n; i++)
        buf_done(&files[i]);
    buf_done(&passphrase);
    l->used = true;
    return err ? cli_fail(c, err, e.text) : 0;
}

void vault_lock_done(struct vault_lock *l)
{
    buf_done(&l->keybox);
    secret_wipe(l, sizeof *l);
}

static void server_key_path(const char *id, char ret[64])
{
    (void)snprintf(ret, 64, "keys/backup-%s.seal", id);
}

int vault_lock_keep(const struct vault_lock *l, int top, struct error *e)
{
    char path[64];
    if (!l->server_id[0])
        return 0;
    server_key_path(l->server_id, path);
    return beneath_write(top, path, (str){ l->server_key, sizeof l->server_key }, BENEATH_MODE(0600), false, e);
}

void vault_forget(int top, const char *former)
{
    char path[64];
    if (!former[0])
        return;
    server_key_path(former, path);
    (void)!beneath_remove(top, path, NULL);
}

void vault_piece_new(char name[VAULT_NAME], char key[KEYBOX_SECRET], char key_text[VAULT_KEY_TEXT])
{
    char random[(VAULT_NAME - 1) / 2];
    random_bytes(random, sizeof random);
    random_bytes(key, KEYBOX_SECRET);
    to_hex(random, sizeof random, name);
    to_hex(key, KEYBOX_SECRET, key_text);
}

/* --- looking at one --- */

/* Whether every file of MANIFEST is named as it may be, and has a piece and a key. */
static int check_files(const json_t *manifest, struct error *e)
{
    const json_t *file;
    char scratch[KEYBOX_SECRET];
    size_t i;
    int err = backup_list_whole(json_object_get(manifest, "files"), e);
    json_array_foreach(json_object_get(manifest, "files"), i, file)
    {
        str name = str_from_z(json_string_value(json_object_get(file, "path")));
        if (err == 0 && !backup_stays_below(name))
            err = error_set(e, ERR_CORRUPT, "a path leads out of the backup");
        if (err == 0 &&
            (!from_hex(str_from_z(json_string_value(json_object_get(file, "piece"))), (VAULT_NAME - 1) / 2, scratch) ||
             !from_hex(str_from_z(json_string_value(json_object_get(file, "key"))), KEYBOX_SECRET, scratch)))
            err = error_set(e, ERR_CORRUPT, "%.*s has no piece or no key", STR_ARG(name));
    }
    secret_wipe(scratch, sizeof scratch);
    return err;
}

static int read_keybox(struct vault *v, struct error *e)
{
    int fd = owner_open_file(v->g->fd, "keybox", NULL, e);
    int err = fd < 0 ? fd : beneath_read_open(fd, "keybox", &v->keybox, e);
    if (fd >= 0)
        (void)close(fd);
    if (err)
        return error_prefix(e, "%s", v->g->path);
    err = keybox_describe(buf_str(&v->keybox), &v->who, e);
    return err ? error_prefix(e, "%s/keybox is damaged", v->g->path) : 0;
}

int vault_look(struct vault *v, const struct backup_generation *g, struct error *e)
{
    *v = (struct vault){ .g = g, .keybox = BUF_INIT(KEYBOX_MAX) };
    int err = backup_manifest(g, &v->outside, e);
    if (err)
        return err;
    v->sealed = json_integer_value(json_object_get(v->outside, "version")) == VAULT_VERSION;
    if (v->sealed)
        return read_keybox(v, e);
    v->open = true;
    v->manifest = json_incref(v->outside);
    return 0;
}

void vault_close(struct vault *v)
{
    json_decref(v->outside);
    json_decref(v->manifest);
    buf_done(&v->keybox);
    *v = (struct vault){ 0 };
}

/* --- opening one --- */

/* What the directory of G is called, whatever the path was that led to it. */
static int real_name(const struct backup_generation *g, char ret[TREE_PATH_MAX], struct error *e)
{
    char link[64], path[TREE_PATH_MAX];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", g->fd);
    ssize_t n = readlink(link, path, sizeof path);
    if (n <= 0 || (size_t)n >= sizeof path)
        return error_set(e, n < 0 ? err_from_errno(errno) : ERR_LIMIT, "what its directory is called cannot be read from /proc");
    size_t slash = str_rfind_byte((str){ path, (size_t)n }, '/');
    str name = slash < (size_t)n ? str_from((str){ path, (size_t)n }, slash + 1) : (str){ path, (size_t)n };
    (void)snprintf(ret, TREE_PATH_MAX, "%.*s", STR_ARG(name));
    return 0;
}

/* An older backup under a newer one's name would bring back what was deleted and revoked in between. A stream, of which the server has no key, was given
 * its name by whoever unpacked it: that may be one of another kind. */
static int check_time(const struct vault *v, struct error *e)
{
    char name[TREE_PATH_MAX];
    str made = str_from_z(json_string_value(json_object_get(v->manifest, "made")));
    int err = real_name(v->g, name, e);
    if (err)
        return err;
    if (str_eq(str_from_z(name), made) || (!v->who.server_id[0] && !backup_is_name(str_from_z(name))))
        return 0;
    return error_set(e, ERR_CORRUPT, "it was made as %.*s and is called %s; somebody has renamed it, and only that name is taken",
                     STR_ARG(made), name);
}

/* The list, with the secret. */
static int open_manifest(struct vault *v, const char secret[KEYBOX_SECRET], struct error *e)
{
    char key[KEYBOX_SECRET];
    struct buf text;
    struct sealed s = { 0 };
    uint64_t n;
    json_error_t bad;
    buf_init_secret(&text, MANIFEST_MAX);
    int fd = owner_open_file(v->g->fd, "manifest", NULL, e);
    int err = fd < 0 ? fd : keybox_derive(secret, buf_str(&v->keybox), purpose, key, e);
    if (err == 0)
        err = sealed_begin(&s, false, key, to_buf, &text, e);
    if (err == 0)
        err = through(&s, fd, "manifest", &n, e);
    if (err == 0 && !(v->manifest = json_loadb(text.n ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &bad)))
        err = error_set(e, ERR_CORRUPT, "%s", bad.text);
    if (err == 0)
        err = check_files(v->manifest, e);
    if (err == 0)
        err = check_time(v, e);
    v->open = err == 0;
    if (err)
        (void)error_prefix(e, "%s/manifest", v->g->path);
    sealed_done(&s);
    buf_done(&text);
    secret_wipe(key, sizeof key);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

int vault_unlock_server(struct vault *v, int top, struct error *e)
{
    char path[64], secret[KEYBOX_SECRET];
    struct buf key;
    if (v->open)
        return 0;
    if (!v->who.server_id[0])
        return error_set(e, ERR_REFUSED, "this server has no key for it");
    server_key_path(v->who.server_id, path);
    buf_init_secret(&key, KEYBOX_SECRET);
    int err = beneath_read(top, path, &key, e);
    if (err == 0 && key.n != KEYBOX_SECRET)
        err = error_set(e, ERR_CORRUPT, "%s does not hold a key of %d bytes", path, KEYBOX_SECRET);
    if (err == 0)
        err = keybox_open_server(buf_str(&v->keybox), str_from_z(v->who.server_id), key.p, secret, e);
    if (err == 0)
        err = open_manifest(v, secret, e);
    secret_wipe(secret, sizeof secret);
    buf_done(&key);
    return err;
}

bool vault_has_key(const struct cli *c)
{
    return cli_value(c, "key") || cli_value(c, "p12") || cli_value(c, "passphrase") || cli_value(c, "passphrase-file");
}

/* With the private key of a file, whose password is asked for when it has one. */
static int unlock_file(struct vault *v, const struct cli *c, bool p12, struct buf *asked, char secret[KEYBOX_SECRET],
                       struct error *e)
{
    const char *path = cli_value(c, p12 ? "p12" : "key");
    struct buf file;
    int (*try)(str, str, str, char *, struct error *) = p12 ? keybox_open_p12 : keybox_open_key;
    int err = read_named(path, KEYBOX_FILE_MAX, &file, e);
    if (err == 0)
        err = try(buf_str(&v->keybox), buf_str(&file), buf_str(asked), secret, e);
    if (err == ERR_AGAIN && asked->n == 0 && (cli_value(c, "passphrase-file") || isatty(0))) {
        err = cli_passphrase(c, "Password of the key: ", false, asked, e);
        if (err == 0)
            err = try(buf_str(&v->keybox), buf_str(&file), buf_str(asked), secret, e);
    }
    if (err)
        (void)error_prefix(e, "%s", path);
    buf_done(&file);
    return err == ERR_AGAIN ? error_set(e, ERR_REFUSED, "%s: its password is wrong or missing; --passphrase-file gives it", path)
                            : err;
}

static int nobody(const struct vault *v, struct error *e)
{
    return error_set(e, ERR_REFUSED, "%s is encrypted, for %s%s%s; give %s%s", v->g->path,
                     v->who.certificates ? COUNT(v->who.certificates, "certificate", "certificates") : "",
                     v->who.certificates && v->who.passphrases ? " and " : "", v->who.passphrases ? "a passphrase" : "",
                     v->who.certificates ? "--key or --p12" : "",
                     !v->who.passphrases   ? ""
                     : v->who.certificates ? ", or --passphrase"
                                           : "--passphrase");
}

static int unlock_by_options(struct vault *v, const struct cli *c, struct buf *asked, struct error *e)
{
    char secret[KEYBOX_SECRET];
    int err = 0;
    if (cli_value(c, "key") || cli_value(c, "p12")) {
        err = unlock_file(v, c, !cli_value(c, "key"), asked, secret, e);
    } else {
        if (asked->n == 0)
            err = cli_passphrase(c, "Passphrase of the backup: ", false, asked, e);
        if (err == 0)
            err = keybox_open_passphrase(buf_str(&v->keybox), buf_str(asked), secret, e);
        if (err)
            (void)error_prefix(e, "%s", v->g->path);
    }
    if (err == 0)
        err = open_manifest(v, secret, e);
    secret_wipe(secret, sizeof secret);
    return err;
}

int vault_unlock(struct vault *v, const struct cli *c, struct buf *asked, struct error *e)
{
    struct buf once = { 0 };
    int err, top;
    if (v->open) /* one in the clear can be anybody's: whoever gives a key wants what only its owner could make or has checked */
        return vault_has_key(c) ? error_set(e, ERR_REFUSED,
                                            "%s is not encrypted, but a key or a passphrase was given: has somebody replaced it? "
                                            "If it is the one you mean, give none",
                                            v->g->path)
                                : 0;
    if (vault_has_key(c)) {
        err = unlock_by_options(v, c, asked ? asked : &once, e);
        buf_done(&once);
        return err;
    }
    top = beneath_start(c->dir, NULL);
    err = top < 0 ? top : vault_unlock_server(v, top, e);
    if (top >= 0)
        (void)close(top);
    return err == 0 || err == ERR_CORRUPT ? err : nobody(v, e);
}

/* --- files --- */

void vault_name(const struct vault *v, const json_t *file, char ret[TREE_PATH_MAX])
{
    (void)snprintf(ret, TREE_PATH_MAX, "%s/%s", v->sealed ? "pieces" : "files",
                   json_string_value(json_object_get(file, v->sealed ? "piece" : "path")));
}

/* How many bytes FILE has, and N came. */
static int check_size(const json_t *file, uint64_t n, struct error *e)
{
    json_int_t want = json_integer_value(json_object_get(file, "size"));
    return n == (uint64_t)want
               ? 0
               : error_set(e, ERR_CORRUPT, "it has %llu bytes instead of %lld", (unsigned long long)n, (long long)want);
}

static int check_sum(const char *want, const char *sum, struct error *e)
{
    return str_eq(str_from_z(want), str_from_z(sum)) ? 0 : error_set(e, ERR_CORRUPT, "its checksum is not that of the manifest");
}

/* What is wrong with the file NAME, which is PATH's piece (NULL: not known, or no piece). */
static int tell(const struct vault *v, const char *name, const char *path, int err, struct error *e)
{
    const char *damaged = err == ERR_CORRUPT ? " is damaged" : "";
    if (err && path)
        (void)error_prefix(e, "%s/%s (%s)%s", v->g->path, name, path, damaged);
    else if (err)
        (void)error_prefix(e, "%s/%s%s", v->g->path, name, damaged);
    return err;
}

static int read_sealed(int fd, const char *name, const json_t *file, struct passing *p, struct error *e)
{
    char key[KEYBOX_SECRET];
    struct sealed s = { 0 };
    uint64_t n;
    int err = from_hex(str_from_z(json_string_value(json_object_get(file, "key"))), KEYBOX_SECRET, key)
                  ? sealed_begin(&s, false, key, pass, p, e)
                  : error_set(e, ERR_CORRUPT, "it has no key");
    if (err == 0)
        err = through(&s, fd, name, &n, e);
    sealed_done(&s);
    secret_wipe(key, sizeof key);
    return err;
}

int vault_read(const struct vault *v, const json_t *file, tree_write_fn *fn, void *ctx, struct error *e)
{
    char name[TREE_PATH_MAX], sum[TREE_SUM_TEXT];
    struct passing p = { .fn = fn, .ctx = ctx };
    vault_name(v, file, name);
    int fd = owner_open_file(v->g->fd, name, NULL, e);
    if (fd < 0)
        return error_prefix(e, "%s", v->g->path);
    int err = v->sealed ? read_sealed(fd, name, file, &p, e) : tree_read(fd, name, pass, &p, &p.n, sum, e);
    if (err == 0)
        err = check_size(file, p.n, e);
    if (err == 0 && !v->sealed)
        err = check_sum(json_string_value(json_object_get(file, "sha256")), sum, e);
    (void)close(fd);
    return tell(v, name, v->sealed ? json_string_value(json_object_get(file, "path")) : NULL, err, e);
}

int vault_check_sealed(const struct vault *v, const char *name, uint64_t size, const char *sum, struct error *e)
{
    char got[TREE_SUM_TEXT];
    uint64_t n = 0;
    int fd = owner_open_file(v->g->fd, name, NULL, e);
    if (fd < 0)
        return error_prefix(e, "%s", v->g->path);
    int err = tree_read(fd, name, NULL, NULL, &n, got, e);
    if (err == 0 && n != size)
        err = error_set(e, ERR_CORRUPT, "it has %llu bytes instead of %llu", (unsigned long long)n, (unsigned long long)size);
    if (err == 0)
        err = check_sum(sum, got, e);
    (void)close(fd);
    return tell(v, name, NULL, err, e);
}
