/* key_files: see key_files.h. */
#include "role/key_files.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "pki/pki.h"

enum { FILE_NAME_MAX = 512 };

struct search {
    const char *folder;
    int dir;
    str id;
    const struct owner *keeper;
    bool of_root;     /* the folder is root's */
    struct error why; /* of the first file that cannot be read */
};

static bool may_read(const struct owner *o, const struct stat *st)
{
    return st->st_uid == o->uid ? st->st_mode & S_IRUSR : st->st_gid == o->gid ? st->st_mode & S_IRGRP : st->st_mode & S_IROTH;
}

/* Whether NAME holds the key; WHY says what is wrong with the file, code 0 when it is well and has another key, or is not there. */
static bool has_key(const struct search *s, const char *name, struct error *why)
{
    struct pki_key *key = NULL;
    struct stat st;
    char path[FILE_NAME_MAX + 16], id[65];
    bool here = strcmp(s->folder, ".") == 0;
    (void)snprintf(path, sizeof path, "%s%s%.*s", here ? "" : s->folder, here ? "" : "/", FILE_NAME_MAX, name);
    *why = ERROR_NONE;
    int err = pki_key_load(path, &key, why);
    if (err == ERR_NOTFOUND)
        *why = ERROR_NONE;
    bool found = err == 0 && pki_key_id(key, id) == 0 && str_eq(s->id, (str){ id, 64 });
    if (found && s->keeper && beneath_look(s->dir, name, &st, NULL) == 0 && !may_read(s->keeper, &st)) {
        (void)error_set(why, ERR_REFUSED, "keeper may not read the key file %s; chgrp it to keeper's group, chmod 640", path);
        found = false;
    }
    pki_key_free(key);
    return found;
}

/* "keys/server.key" for "tls/server.pem": what is there is most likely meant. */
static void usual_name(str chain, char ret[FILE_NAME_MAX])
{
    size_t slash = str_rfind_byte(chain, '/');
    str base = str_from(chain, slash < chain.n ? slash + 1 : 0);
    if (str_ends(base, STR(".pem")))
        base = str_sub(base, 0, base.n - 4);
    (void)snprintf(ret, FILE_NAME_MAX, "%.*s.key", STR_ARG(str_sub(base, 0, BENEATH_NAME_MAX)));
}

static bool is_anywhere(struct search *s, struct error *e)
{
    struct beneath_names names = { 0 };
    bool found = false;
    if (beneath_list(s->dir, &names, e))
        return false;
    for (size_t i = 0; i < names.n && !found; i++) {
        str name = str_from_z(names.list[i]);
        struct error why;
        if (!str_ends(name, STR(".key")) || str_eq(name, STR("ca.key")))
            continue;
        found = has_key(s, names.list[i], &why);
        if (!found && why.code && !s->why.code)
            s->why = why;
    }
    beneath_names_free(&names);
    return found;
}

static int find(struct search *s, str chain, struct error *e)
{
    char usual[FILE_NAME_MAX];
    struct error own = ERROR_NONE, listing = ERROR_NONE;
    const char *where = strcmp(s->folder, ".") == 0 ? "in keys/, " : "";
    usual_name(chain, usual);
    if (has_key(s, usual, &own) || is_anywhere(s, &listing))
        return 0;
    if (listing.code)
        return error_set(e, ERR_NOTFOUND, "keys/: %s", listing.text);
    if (own.code)
        s->why = own;
    if (s->why.code)
        return error_set(e, ERR_NOTFOUND, "%.*s: its private key is not to be had: %s%s%s", STR_ARG(chain), where, s->why.text,
                         s->why.code == ERR_REFUSED && s->of_root ? " (`valise upgrade --owners' as root does that)" : "");
    if (beneath_exists(s->dir, usual))
        return error_set(e, ERR_NOTFOUND,
                         "%.*s: keys/%s is another certificate's private key, and no file keys/*.key is this one's; `valise cert "
                         "import --replace' brings both",
                         STR_ARG(chain), usual);
    return error_set(
        e, ERR_NOTFOUND,
        "%.*s: no file keys/*.key holds its private key; put it there with mode 600 (as root, `valise upgrade --owners' "
        "then lets keeper read it)",
        STR_ARG(chain));
}

int key_files_find(const char *folder, str chain, str id, const struct owner *keeper, struct error *e)
{
    struct stat st;
    struct search s = { .folder = folder, .id = id, .keeper = keeper, .dir = beneath_directory(AT_FDCWD, folder, e) };
    if (s.dir < 0)
        return error_set(e, ERR_NOTFOUND, "keys/ cannot be opened; it holds the private keys of the certificates");
    s.of_root = fstat(s.dir, &st) == 0 && st.st_uid == 0;
    int err = find(&s, chain, e);
    (void)close(s.dir);
    return err;
}
