/* signing: see signing.h. */
#include "role/signing.h"

void signing_init(struct signing *s, unsigned processors)
{
    *s = (struct signing){ .processors = processors ? processors : 1 };
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    for (size_t i = 0; i < RIGHTS_ROLES; i++) {
        const char *name = rights_role_name((enum rights_role)i);
        s->roles[i].made_metric = metric_get(METRIC_SIGNATURES, "for", name, "result", "made", NULL);
        s->roles[i].refused_metric = metric_get(METRIC_SIGNATURES, "for", name, "result", "refused", NULL);
        s->roles[i].at_ms = INT64_MIN;
    }
}

void signing_done(struct signing *s)
{
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}

/* A bucket of one second. */
static bool take_share(const struct signing *s, struct signing_role *r, int64_t now_ms)
{
    uint64_t a_ms = (uint64_t)SIGNING_RATE * s->processors, full = a_ms * 1000;
    uint64_t passed = r->at_ms == INT64_MIN || now_ms - r->at_ms > 1000 ? 1000
                      : now_ms > r->at_ms                               ? (uint64_t)(now_ms - r->at_ms)
                                                                        : 0;
    r->left = r->left + passed * a_ms > full ? full : r->left + passed * a_ms;
    r->at_ms = now_ms > r->at_ms ? now_ms : r->at_ms;
    if (r->left < 1000)
        return false;
    r->left -= 1000;
    return true;
}

int signing_begin(struct signing *s, enum rights_role role, int64_t now_ms)
{
    struct signing_role *r = &s->roles[role];
    pthread_mutex_lock(&s->lock);
    bool ok = take_share(s, r, now_ms);
    while (ok && role == RIGHTS_MX && s->busy >= s->processors)
        pthread_cond_wait(&s->changed, &s->lock);
    if (ok && role == RIGHTS_MX)
        s->busy++;
    pthread_mutex_unlock(&s->lock);
    if (ok)
        return 0;
    atomic_fetch_add(&r->refused, 1);
    metric_add(r->refused_metric, 1);
    return ERR_LIMIT;
}

void signing_end(struct signing *s, enum rights_role role, bool made)
{
    struct signing_role *r = &s->roles[role];
    if (role == RIGHTS_MX) {
        pthread_mutex_lock(&s->lock);
        s->busy--;
        pthread_cond_signal(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
    atomic_fetch_add(made ? &r->made : &r->refused, 1);
    metric_add(made ? r->made_metric : r->refused_metric, 1);
}
