/* known: see known.h. */
#include "cli/known.h"

#include "base/count.h"
#include "base/log.h"

struct one {
    uint64_t email;
    char *digest; /* NULL: not asked for yet; empty when the message cannot be read */
};

/* The messages of one size that were not taken. */
struct same {
    struct one *list;
    size_t n, cap;
};

void known_init(struct known *k)
{
    *k = (struct known){ 0 };
    map_init(&k->sizes);
}

void known_done(struct known *k)
{
    size_t iter = 0;
    str size;
    void *value;
    while (map_next(&k->sizes, &iter, &size, &value)) {
        struct same *same = value;
        for (size_t i = 0; i < same->n; i++)
            free(same->list[i].digest);
        free(same->list);
        free(value);
    }
    map_done(&k->sizes);
}

static str key_of(const uint64_t *size)
{
    return (str){ (const char *)size, sizeof *size };
}

static int count_entry(void *ctx, const json_t *entry, struct error *e)
{
    struct known *k = ctx;
    uint64_t size = (uint64_t)json_integer_value(json_object_get(entry, "size"));
    struct same *same = map_get(&k->sizes, key_of(&size));
    if (!same) {
        same = calloc(1, sizeof *same);
        if (!same)
            panic("out of memory for the messages of a mailbox");
        (void)map_put(&k->sizes, key_of(&size), same);
    }
    if (same->n == same->cap) {
        same->cap = same->cap ? same->cap * 2 : 1;
        struct one *more = realloc(same->list, same->cap * sizeof *more);
        if (!more)
            panic("out of memory for the messages of a mailbox");
        same->list = more;
    }
    same->list[same->n++] = (struct one){ .email = (uint64_t)json_integer_value(json_object_get(entry, "email")) };
    return 0;
}

int known_read(struct known *k, struct port *p, str mailbox, struct error *e)
{
    k->port = p;
    return port_each(p, mailbox, count_entry, k, e);
}

/* Asks for digests of messages from LIST on, N of them, of which none was asked; *RET: how many there were. */
static int ask_some(struct known *k, struct one *list, size_t n, size_t *ret, struct error *e)
{
    json_t *emails = json_array(), *reply, *v;
    size_t i;
    for (i = 0; i < n && i < BULK_DIGESTS_MAX; i++)
        json_array_append_new(emails, json_integer((json_int_t)list[i].email));
    size_t asked = i;
    int err = bulk_call(&k->port->client, json_pack("{s:s,s:o}", "command", "bulk.digest", "emails", emails), (str){ NULL, 0 },
                        &reply, NULL, e);
    if (err)
        return err;
    const json_t *digests = json_object_get(reply, "digests");
    *ret = json_array_size(digests);
    if (*ret == 0 || *ret > asked)
        err = error_set(e, ERR_CORRUPT, "the server's answer has %s for %s", COUNT(*ret, "digest", "digests"),
                        COUNT(asked, "message", "messages"));
    json_array_foreach(digests, i, v)
    {
        const char *digest = json_string_value(v);
        if (err)
            break;
        list[i].digest = strdup(digest && strlen(digest) == BULK_DIGEST ? digest : "");
        if (!list[i].digest)
            panic("out of memory for the messages of a mailbox");
    }
    json_decref(reply);
    return err;
}

int known_take(struct known *k, str message, bool *ret, struct error *e)
{
    uint64_t size = message.n;
    struct same *same = map_get(&k->sizes, key_of(&size));
    char digest[BULK_DIGEST + 1];
    *ret = false;
    if (!same || same->n == 0)
        return 0;
    bulk_digest(message, digest);
    for (size_t i = 0; i < same->n; i++) {
        size_t n = 0, got;
        while (i + n < same->n && !same->list[i + n].digest)
            n++;
        int err = n ? ask_some(k, same->list + i, n, &got, e) : 0;
        if (err)
            return err;
        if (strcmp(same->list[i].digest, digest) != 0)
            continue;
        *ret = true;
        free(same->list[i].digest);
        memmove(&same->list[i], &same->list[i + 1], (same->n - i - 1) * sizeof *same->list);
        same->n--;
        return 0;
    }
    return 0;
}
