/* standing: whether who has logged in could do so still, and who is told when that changes.
 *
 *  S1  A login knows the generation in which its credentials were looked up. A change that takes credentials back raises the generation in the same
 *      hold of the lock that shows the change: what was looked up before is older, whenever the login itself is finished.
 *  S2  The watcher is called after the table shows the change and before the change's call returns.
 *  S3  Generations are of this process. Where another one has changed the rows, whatever looks different counts as taken back. */
#include "directory/change_private.h"

static str key_of(const engine_part *id)
{
    return (str){ (const char *)id->b, sizeof id->b };
}

void standing_raise(struct directory *d, const engine_part *id, enum change_ends ends)
{
    if (ends != CHANGE_ENDS_PASSWORD && ends != CHANGE_ENDS_ALL)
        return;
    struct standing *s = map_get(&d->standings, key_of(id));
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            panic("out of memory for an account's logins");
        map_put(&d->standings, key_of(id), s);
    }
    s->password = ++d->generation;
    if (ends == CHANGE_ENDS_ALL)
        s->all = d->generation;
}

void standing_forget(struct directory *d, const engine_part *id)
{
    free(map_remove(&d->standings, key_of(id)));
}

void standing_compare(struct directory *d, const struct table *before, const struct table *now)
{
    str key;
    void *value;
    for (size_t iter = 0; map_next(&before->by_id, &iter, &key, &value);) {
        const struct entry *old = value, *n = table_by_id(now, &old->id);
        if (old->kind != DIRECTORY_ACCOUNT || !n)
            continue;
        if (old->role != n->role || (old->enabled && !n->enabled))
            standing_raise(d, &old->id, CHANGE_ENDS_ALL);
        else if (!str_eq(old->hash, n->hash))
            standing_raise(d, &old->id, CHANGE_ENDS_PASSWORD);
    }
}

void standing_done(struct directory *d)
{
    str key;
    void *value;
    for (size_t iter = 0; map_next(&d->standings, &iter, &key, &value);)
        free(value);
    map_done(&d->standings);
}

bool directory_login_stands(struct directory *d, engine_part id, const struct directory_credential *c)
{
    pthread_rwlock_rdlock(&d->lock);
    const struct entry *n = table_by_id(&d->table, &id);
    const struct standing *s = map_get(&d->standings, key_of(&id));
    bool stands = n && n->kind == DIRECTORY_ACCOUNT && n->enabled && (!s || c->generation >= s->all);
    if (stands && c->kind == DIRECTORY_BY_PASSWORD)
        stands = !s || c->generation >= s->password;
    else if (stands && c->kind == DIRECTORY_BY_APP_PASSWORD)
        stands = app_passwords_have(n->apps, c->tag);
    pthread_rwlock_unlock(&d->lock);
    return stands;
}

void directory_set_watcher(struct directory *d, const struct directory_watcher *w)
{
    d->watcher = *w;
}

void directory_set_memory(struct directory *d, const struct directory_memory *m)
{
    d->memory = *m;
}

/* Forgetting is for whom it is no use any more: whether it is done or not, a changed hash fits no proof of before. */
void standing_tell(struct directory *d, const engine_part *id)
{
    if (d->memory.forget)
        d->memory.forget(d->memory.ctx, id);
    if (d->watcher.changed)
        d->watcher.changed(d->watcher.ctx, id);
}
