/* welcome: the administrator's own texts of welcome to new users. */
#include <fcntl.h>
#include <unistd.h>

#include "base/beneath.h"
#include "cli/cli.h"
#include "cli/owner.h"
#include "role/notes.h"

/* The administrator's own welcome in DIR, FILE, into TEXTS under TAG; false when there is none. A mistake is in E. */
static bool read_welcome(int dir, const char *file, const char *tag, json_t *texts, struct error *e)
{
    struct buf b = BUF_INIT(NOTES_WELCOME_MAX);
    int fd = owner_open_file(dir, file, NULL, e), err = fd < 0 ? fd : beneath_read_open(fd, file, &b, e);
    if (fd >= 0)
        (void)close(fd);
    json_t *text = err ? NULL : json_stringn(b.n ? b.p : "", b.n);
    if (err == ERR_LIMIT)
        (void)error_set(e, err, "%s is larger than %d bytes; shorten it", file, NOTES_WELCOME_MAX);
    else if (err == 0 && !text)
        (void)error_set(e, ERR_SYNTAX, "%s is not UTF-8; convert it, as by iconv -f latin1 -t utf8", file);
    else if (err == ERR_NOTFOUND)
        *e = (struct error){ 0 };
    if (text)
        json_object_set_new(texts, tag, text);
    buf_done(&b);
    return text != NULL;
}

int user_welcome(const struct cli *c, json_t **ret)
{
    struct error e = ERROR_NONE;
    int dir = beneath_start(c->dir, &e);
    *ret = NULL;
    if (dir < 0)
        return 0; /* the call that follows says so, in its own words */
    json_t *texts = json_object();
    for (enum language l = LANGUAGE_EN; l < LANGUAGE_N && e.code == 0; l++) {
        char file[64], tag[8];
        (void)snprintf(tag, sizeof tag, "%.*s", STR_ARG(language_tag(l)));
        (void)snprintf(file, sizeof file, "welcome.%s.txt", tag);
        if (!read_welcome(dir, file, tag, texts, &e) && e.code == 0)
            (void)read_welcome(dir, "welcome.txt", tag, texts, &e);
    }
    (void)close(dir);
    if (e.code == 0) {
        *ret = texts;
        return 0;
    }
    json_decref(texts);
    return cli_fail_files(c, &e);
}

/* Notes each {place} of TEXT, from FILE, that the letter has no value for; braces around something else than a name are none. */
static void note_places(const char *file, str text, struct buf *notes)
{
    for (size_t open; (open = str_find_byte(text, '{', 0)) < text.n;) {
        text = str_from(text, open + 1);
        size_t n = 0;
        while (n < text.n && (ascii_is_alpha(text.p[n]) || text.p[n] == '-' || text.p[n] == '_'))
            n++;
        str place = str_sub(text, 0, n);
        if (n && n < text.n && text.p[n] == '}' && !notes_welcome_knows(place))
            buf_addf(notes, "%s: {%.*s} is sent as it stands; what is filled in is %s\n", file, STR_ARG(place),
                     notes_welcome_places);
    }
}

int welcome_check(const struct cli *c, struct buf *notes)
{
    json_t *texts = NULL;
    bool general = false; /* welcome.txt was looked at */
    struct cli here = *c;
    here.dir = ".";
    int status = user_welcome(&here, &texts);
    for (enum language l = LANGUAGE_EN; l < LANGUAGE_N && status == 0 && texts; l++) {
        char file[64];
        (void)snprintf(file, sizeof file, "welcome.%.*s.txt", STR_ARG(language_tag(l)));
        const json_t *text = json_object_getn(texts, language_tag(l).p, language_tag(l).n);
        bool own = beneath_exists(AT_FDCWD, file);
        if (text && (own || !general))
            note_places(own ? file : "welcome.txt", (str){ json_string_value(text), json_string_length(text) }, notes);
        general = general || (text && !own);
    }
    json_decref(texts);
    return status;
}
