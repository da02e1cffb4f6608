/* fetch_ahead: emails of a FETCH that were read before the peer could take them; see fetch_private.h. An email never changes, and its body can be read for the grace
 * time when it is removed meanwhile. */
#include "imap/fetch_private.h"

static str keep(struct imap_ahead *a, str s)
{
    char *to = a->bytes + a->bytes_n;
    if (s.n)
        memcpy(to, s.p, s.n);
    a->bytes_n += s.n;
    return (str){ to, s.n };
}

bool imap_ahead_add(struct imap_ahead *a, const struct mail_email *email)
{
    if (a->next == a->n)
        a->n = a->next = a->bytes_n = 0;
    size_t need = email->structure.n + email->fields.n + email->prefix.n;
    if (a->n == IMAP_EMAILS_AHEAD || need > IMAP_EMAILS_AHEAD_BYTES - a->bytes_n)
        return false;
    struct mail_email *e = &a->list[a->n++];
    *e = *email;
    e->structure = keep(a, email->structure);
    e->fields = keep(a, email->fields);
    e->prefix = keep(a, email->prefix);
    return true;
}

const struct mail_email *imap_ahead_take(struct imap_ahead *a, uint64_t email)
{
    if (a->next < a->n && a->list[a->next].id == email)
        return &a->list[a->next++];
    a->n = a->next = a->bytes_n = 0;
    return NULL;
}
