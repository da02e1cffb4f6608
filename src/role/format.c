/* format: see format.h. */
#include "role/format.h"

#include "base/log.h"
#include "base/pack.h"
#include "role/certificates.h"

static const engine_part format_part = { "valise-format" };
static const str format_key = { "format", 6 };

static int separate(void *ctx, const struct directory_account *account)
{
    const struct admin *a = ctx;
    int err = mail_account_renumber(a->mail, account->id);
    return err == ERR_NOTFOUND ? 0 : err; /* the account of a crash between its two commits */
}

static int separate_all(struct admin *a, struct error *e)
{
    int err = directory_accounts(a->directory, (str){ NULL, 0 }, separate, a);
    return err ? error_set(e, err, "the mailboxes cannot be renumbered (%s)", err_name(err)) : 0;
}

static int enrich(void *ctx, const struct directory_account *account)
{
    const struct admin *a = ctx;
    int err = mail_account_enrich(a->mail, account->id);
    return err == ERR_NOTFOUND ? 0 : err;
}

static int enrich_all(struct admin *a, struct error *e)
{
    int err = directory_accounts(a->directory, (str){ NULL, 0 }, enrich, a);
    return err ? error_set(e, err, "the header fields of messages cannot be kept (%s)", err_name(err)) : 0;
}

static const struct store_step steps[] = {
    { 2, "each mailbox gets a UIDVALIDITY of its own, so that mail programs fetch folders other than INBOX anew, once", false,
      1 << 20, 0, separate_all },
    { 3, "a user's certificate logs in the user whom it was issued to, no longer whoever has the address", false, 1 << 20, 0,
      certificates_bind },
    { 4,
      "the header fields that mail programs list and search are kept beside the structure of each message, which a large store "
      "takes a while for",
      false, 1 << 20, 2048, enrich_all },
};
enum { STEPS = sizeof steps / sizeof steps[0] };
_Static_assert(STORE_FORMAT == STEPS + 1, "each format has the step to it");

const struct store_step *store_steps(uint32_t from, size_t *ret_n)
{
    *ret_n = from >= 1 && from < STORE_FORMAT ? STORE_FORMAT - from : 0;
    return *ret_n ? &steps[from - 1] : NULL;
}

int store_format(struct engine *g, uint32_t *ret)
{
    struct arena a = ARENA_INIT(4096);
    str value;
    int err = engine_get(g, format_part, &format_key, 1, ENGINE_SYNCED, &a, &value, NULL);
    if (err == 0 && !value.p) {
        *ret = 1;
    } else if (err == 0) {
        struct unpack u = unpack_init(value);
        uint32_t format = unpack_u32(&u);
        err = unpack_end(&u) || format == 0 ? ERR_CORRUPT : 0;
        if (err == 0)
            *ret = format;
    }
    arena_done(&a);
    return err;
}

static int write_format(struct engine *g, uint32_t format)
{
    struct buf b = BUF_INIT(8);
    pack_u32(&b, format);
    struct engine_txn *t = engine_begin(g, format_part, ENGINE_ANY_VERSION);
    engine_put(t, format_key, buf_str(&b));
    int err = engine_commit(t, NULL);
    buf_done(&b);
    return err;
}

static int take_step(struct admin *a, const struct store_step *s, struct error *e)
{
    int err = s->run(a, e);
    if (err == 0)
        err = write_format(a->engine, s->to);
    if (err)
        return error_set(e, err, "the store cannot be brought to format %u (%s); it is as it was, mend that and start again",
                         s->to, e && e->text[0] ? e->text : err_name(err));
    log_info("store-upgraded", LOG_NUM("format", s->to), LOG_Z("what", s->what));
    return 0;
}

int store_upgrade(struct admin *a, struct error *e)
{
    uint32_t format;
    size_t n;
    int err = store_format(a->engine, &format);
    if (err)
        return error_set(e, err, "the store's format cannot be read (%s)", err_name(err));
    if (format > STORE_FORMAT)
        return error_set(
            e, ERR_UNSUPPORTED,
            "the store has format %u and this valise knows %d at most: install the newer valise again, or restore a backup from "
            "before the upgrade",
            format, STORE_FORMAT);
    const struct store_step *s = store_steps(format, &n);
    for (size_t i = 0; i < n && err == 0; i++)
        err = take_step(a, &s[i], e);
    return err;
}
