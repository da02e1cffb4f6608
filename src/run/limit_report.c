/* limit_report: what the tallies hold, for people. See limit.h. */
#include "base/clock.h"
#include "run/limit_private.h"

/* Bounds what one look costs: only a flood of addresses fills more, and whoever looks then sees enough of it. */
enum { ROWS_MAX = 100000 };

/* What one tally has of one key. */
struct row {
    uint64_t key[3];
    struct limit_entry entry;
};

struct rows {
    struct row *list;
    size_t n, cap;
};

static struct row *add_row(struct rows *r)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 256;
        struct row *list = cap <= ROWS_MAX ? realloc(r->list, cap * sizeof *list) : NULL;
        if (!list)
            return NULL;
        r->list = list;
        r->cap = cap;
    }
    r->list[r->n] = (struct row){ .key = { 0 } };
    return &r->list[r->n++];
}

/* What slot S has to tell, if anything. A sibling's slot may hold whatever it likes (T2). */
static void take_slot(struct rows *rows, const struct tally_slot *s, const struct limit_rules *const rules[LIMIT_GROUPS],
                      int64_t now_ms)
{
    struct row row = { .entry = { .strikes = atomic_load(&s->strikes) } };
    for (size_t i = 0; i < 3; i++)
        row.key[i] = atomic_load(&s->key[i]);
    uint8_t group = limits_key_group(row.key[0]), scope = limits_key_scope(row.key[0]);
    if (!row.key[0] || group >= LIMIT_GROUPS || scope >= LIMIT_SCOPES || !rules[group])
        return;
    bool any = row.entry.strikes;
    row.entry.group = group;
    row.entry.scope = (enum limit_scope)scope;
    row.entry.counts[LIMIT_CONNECTIONS] = atomic_load(&s->connections);
    for (unsigned k = 1; k < LIMIT_KINDS; k++) {
        struct limit limit = rules[group]->limits[k][scope];
        if (limit.max)
            row.entry.counts[k] = limits_rate_of(s, (enum limit_kind)k, limit, now_ms);
    }
    for (unsigned k = 0; k < LIMIT_KINDS; k++)
        any = any || row.entry.counts[k];
    struct row *kept = any ? add_row(rows) : NULL;
    if (kept)
        *kept = row;
}

static void take_tally(struct rows *rows, const struct tally *t, const struct limit_rules *const rules[LIMIT_GROUPS],
                       struct limit_report *ret, int64_t now_ms)
{
    ret->untracked += atomic_load(&t->untracked);
    for (size_t g = 0; g < LIMIT_GROUPS; g++)
        for (size_t k = 0; k < LIMIT_KINDS; k++)
            for (size_t s = 0; s < LIMIT_SCOPES; s++)
                ret->strikes[g][k][s] += atomic_load(&t->strikes[g][k][s]);
    for (size_t set = 0; set < TALLY_SETS; set++)
        for (size_t i = 0; atomic_load(&t->used[set / 64]) >> set % 64 & 1 && i < TALLY_WAYS; i++)
            take_slot(rows, &t->slots[set][i], rules, now_ms);
}

static int compare_rows(const void *a, const void *b)
{
    return memcmp(((const struct row *)a)->key, ((const struct row *)b)->key, sizeof((const struct row *)a)->key);
}

static uint32_t plus(uint32_t a, uint32_t b)
{
    return a < UINT32_MAX - b ? a + b : UINT32_MAX;
}

/* Fills in who it is and which limits are reached, of an entry that is summed. */
static void complete(struct limit_entry *e, const uint64_t key[3], const struct limit_rules *rules)
{
    memcpy(e->account, &key[1], sizeof e->account);
    struct ip_address a = ip_address_from_16(&key[1]);
    e->network = e->scope == LIMIT_ADDRESS ? ip_address_network(&a, 32, rules->address_bits_6)
                                           : ip_address_network(&a, rules->network_bits_4, rules->network_bits_6);
    for (unsigned k = 0; k < LIMIT_KINDS; k++) {
        uint32_t max = rules->limits[k][e->scope].max;
        if (max && e->counts[k] >= max)
            e->limited |= (uint8_t)(1u << k);
    }
}

/* Limited ones first, then those with the most connections. */
static int compare_entries(const void *a, const void *b)
{
    const struct limit_entry *x = a, *y = b;
    if (!x->limited != !y->limited)
        return x->limited ? -1 : 1;
    uint32_t m = x->counts[LIMIT_CONNECTIONS], n = y->counts[LIMIT_CONNECTIONS];
    return m != n ? (m > n ? -1 : 1) : (x->strikes < y->strikes) - (x->strikes > y->strikes);
}

int limits_report(struct limits *l, const struct limit_rules *const rules[LIMIT_GROUPS], struct limit_report *ret)
{
    struct rows rows = { 0 };
    struct limit_report r = { 0 };
    int64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < l->n; i++)
        take_tally(&rows, l->all[i], rules, &r, now_ms);
    if (rows.n)
        qsort(rows.list, rows.n, sizeof *rows.list, compare_rows);
    r.entries = calloc(rows.n ? rows.n : 1, sizeof *r.entries);
    for (size_t i = 0; r.entries && i < rows.n; i++) {
        const struct row *row = &rows.list[i];
        struct limit_entry *last = r.n ? &r.entries[r.n - 1] : NULL;
        if (last && compare_rows(row, row - 1) == 0) {
            for (unsigned k = 0; k < LIMIT_KINDS; k++)
                last->counts[k] = plus(last->counts[k], row->entry.counts[k]);
            last->strikes = plus(last->strikes, row->entry.strikes);
        } else {
            r.entries[r.n++] = row->entry;
        }
        if (i + 1 == rows.n || compare_rows(row, row + 1) != 0)
            complete(&r.entries[r.n - 1], row->key, rules[r.entries[r.n - 1].group]);
    }
    free(rows.list);
    if (!r.entries)
        return ERR_LIMIT;
    r.tracked = r.n;
    if (r.n)
        qsort(r.entries, r.n, sizeof *r.entries, compare_entries);
    *ret = r;
    return 0;
}

void limits_report_done(struct limit_report *r)
{
    free(r->entries);
    *r = (struct limit_report){ 0 };
}
