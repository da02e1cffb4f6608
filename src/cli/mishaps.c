/* mishaps: see mishaps.h. */
#include "cli/mishaps.h"

#include <sysexits.h>

#include "base/show.h"

void mishaps_init(struct mishaps *m, struct progress *progress, bool quiet)
{
    *m = (struct mishaps){ .list = json_array(), .progress = progress, .quiet = quiet };
}

void mishaps_done(struct mishaps *m)
{
    json_decref(m->list);
    m->list = NULL;
}

/* JSON is UTF-8, names of files are whatever their giver wanted. */
static json_t *plain(const char *text)
{
    char copy[1024];
    (void)snprintf(copy, sizeof copy, "%s", text);
    show_replace(copy);
    return json_string(copy);
}

void mishaps_add(struct mishaps *m, const char *what, const char *reason)
{
    m->n++;
    if (m->n <= MISHAPS_NAMED)
        json_array_append_new(m->list, json_pack("{s:o,s:o}", "name", plain(what), "reason", plain(reason)));
    if (m->quiet || m->n > MISHAPS_NAMED)
        return;
    if (m->progress)
        progress_wipe(m->progress);
    struct buf line = BUF_INIT(1 << 16);
    show_line(str_from_z(what), &line);
    buf_add(&line, STR(": "));
    show_line(str_from_z(reason), &line);
    (void)fprintf(stderr, "valise: left out: %.*s\n", STR_ARG(buf_str(&line)));
    buf_done(&line);
    if (m->n == MISHAPS_NAMED)
        (void)fprintf(stderr, "valise: further ones are counted, not named\n");
}

void mishaps_add_json(const struct mishaps *m, json_t *v)
{
    (void)json_object_set_new(v, "failed", json_integer((json_int_t)m->n));
    (void)json_object_set(v, "failures", m->list);
    if (m->n)
        (void)json_object_set_new(v, "ok", json_false());
}

int mishaps_status(const struct mishaps *m, bool worse, const char *saying)
{
    if (m->n && !m->quiet)
        (void)fprintf(stderr, "valise: %llu %s were left out, for the reasons above; everything else was done\n",
                      (unsigned long long)m->n, saying);
    return m->n || worse ? EX_DATAERR : 0;
}
