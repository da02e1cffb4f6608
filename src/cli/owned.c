/* owned: see owned.h. */
#include "cli/owned.h"

#include <errno.h>
#include <unistd.h>

#include "config/config.h"
#include "role/owners.h"

enum { CONFIG_MAX = 1 << 20 };

struct lines {
    json_t *list;
    size_t n;
};

static void add_line(void *ctx, const char *line)
{
    struct lines *l = ctx;
    if (l->n++ < OWNED_LINES_MAX)
        json_array_append_new(l->list, json_string(line));
}

/* The users that valise.conf names; it is not believed to be root's yet, and nothing else is taken from it. */
static int find_users(int dir, struct owners *ret, struct error *e)
{
    struct buf text = BUF_INIT(CONFIG_MAX);
    struct config *config = NULL;
    int err = beneath_read(dir, "valise.conf", &text, e);
    if (err == 0)
        err = config_parse("valise.conf", buf_str(&text), &config, e);
    if (err == 0)
        err = owners_find(config->user, ret, e);
    config_free(config);
    buf_done(&text);
    return err;
}

int owned_look_for_users(const struct cli *c, struct error *e)
{
    struct owners o;
    struct stat st;
    if (geteuid() != 0)
        return 0;
    int dir = beneath_start(c->dir, e);
    if (dir < 0)
        return dir;
    int err = fstat(dir, &st) == 0 && st.st_uid == 0 ? find_users(dir, &o, e) : 0;
    (void)close(dir);
    return err;
}

int owned_compare(const struct cli *c, bool mend, bool take, json_t *list, struct error *e)
{
    struct lines lines = { .list = list };
    struct owners o;
    struct stat st;
    char more[64];
    bool root = geteuid() == 0;
    int dir = beneath_start(c->dir, e);
    if (dir < 0)
        return owners_no_directory(c->dir, e);
    int err = fstat(dir, &st) == 0 ? 0 : error_set(e, err_from_errno(errno), "%s: %s", c->dir, strerrordesc_np(errno));
    bool systems = err == 0 && (st.st_uid == 0 || take);
    if (err == 0 && root) {
        int found = find_users(dir, &o, e);
        systems = systems || (found == 0 && st.st_uid == o.core.uid);
        err = systems ? found : 0;
    }
    if (err == 0 && systems && root)
        err = owners_compare(dir, &o, mend, add_line, &lines, e);
    else if (err == 0 && !systems && !mend)
        err = owners_compare(dir, NULL, false, add_line, &lines, e);
    (void)close(dir);
    if (lines.n > OWNED_LINES_MAX) {
        (void)snprintf(more, sizeof more, "and %zu more", lines.n - OWNED_LINES_MAX);
        json_array_append_new(list, json_string(more));
    }
    return err;
}
