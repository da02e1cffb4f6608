/* bulk_file: valise user add --from and group member add --from: many by a table, as a spreadsheet writes it.
 *
 * Columns are address, name, password, groups, language, in that order or as a first line says. All lines are checked before anything is made, and every mistake
 * is told with its line; then they are done in order, and what goes wrong ends that, with what was done so far told. */
#include "cli/bulk_file.h"

#include <sysexits.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/count.h"
#include "base/csv.h"
#include "base/show.h"

enum {
    FILE_MAX = 16 << 20,
    LINES_MAX = 100000,
    LINE_TEXT_MAX = 8000, /* of all fields of a line, so that one fits into a request */
    ORDER_TEXT_MAX = 9000,
    ORDER_LINES_MAX = 100,
    GROUPS_MAX = 50,
    PASSWORD_LINE_MAX = 2000
};

enum column { COLUMN_ADDRESS, COLUMN_NAME, COLUMN_PASSWORD, COLUMN_GROUPS, COLUMN_LANGUAGE, COLUMNS };
static const char *const column_names[COLUMNS][4] = {
    { "address", "e-mail", "email", "adresse" }, { "name", "nom", NULL, NULL },        { "password", "mot de passe", NULL, NULL },
    { "groups", "group", "groupes", "groupe" },  { "language", "langue", NULL, NULL },
};

struct table {
    const struct cli *c;
    const char *file;
    bool members;                /* of a group: addresses only */
    int columns[CSV_FIELDS_MAX]; /* what each field is; -1: nothing */
    size_t column_n;
    json_t *lines;     /* {"line", "address", ...} */
    json_t *errors;    /* {"line", "text"} */
    json_t *generated; /* address: password */
    json_t *seen;      /* address in lower case: line */
    json_t *welcome;   /* user_welcome; may be NULL */
};

static void wrong(struct table *t, size_t line, const char *text)
{
    json_array_append_new(t->errors, json_pack("{s:I,s:s}", "line", (json_int_t)line, "text", text));
}

static int column_of(str field)
{
    for (int k = 0; k < COLUMNS; k++)
        for (size_t i = 0; i < 4 && column_names[k][i]; i++)
            if (str_ieq(field, str_from_z(column_names[k][i])))
                return k;
    return -1;
}

/* Whether the first record says what the columns are; then *RET_BAD may be one that is not known, *RET_TWICE one that is there already. */
static bool take_header(struct table *t, const str *fields, size_t n, str *ret_bad, str *ret_twice)
{
    int columns[CSV_FIELDS_MAX];
    bool header = false;
    *ret_bad = *ret_twice = (str){ 0 };
    for (size_t i = 0; i < n; i++) {
        columns[i] = column_of(fields[i]);
        header |= columns[i] == COLUMN_ADDRESS;
        if (columns[i] < 0 && fields[i].n)
            *ret_bad = fields[i];
        for (size_t k = 0; k < i && columns[i] >= 0; k++)
            if (columns[k] == columns[i])
                *ret_twice = fields[i];
    }
    if (header) {
        memcpy(t->columns, columns, n * sizeof *columns);
        t->column_n = n;
    }
    return header;
}

/* Names apart by blanks, commas, semicolons or bars. */
static json_t *groups_of(struct table *t, size_t line, str text)
{
    json_t *list = json_array();
    for (size_t i = 0; i < text.n;) {
        size_t n = 0;
        while (i + n < text.n && !strchr(" ,;|\n", text.p[i + n]))
            n++;
        if (n)
            json_array_append_new(list, json_stringn(text.p + i, n));
        i += n + 1;
    }
    if (json_array_size(list) > GROUPS_MAX)
        wrong(t, line, "a user is put into at most 50 groups here");
    return list;
}

/* Whether ADDRESS has no line yet. */
static bool is_first(struct table *t, str address, size_t line)
{
    char low[400], text[80];
    if (address.n >= sizeof low)
        return true; /* it is refused as an address */
    for (size_t i = 0; i < address.n; i++)
        low[i] = ascii_lower(address.p[i]);
    json_t *before = json_object_getn(t->seen, low, address.n);
    if (!before) {
        json_object_setn_new(t->seen, low, address.n, json_integer((json_int_t)line));
        return true;
    }
    (void)snprintf(text, sizeof text, "the address is in line %lld already", (long long)json_integer_value(before));
    wrong(t, line, text);
    return false;
}

static void take_password(struct table *t, size_t line, str address, str given, json_t *order)
{
    struct buf made;
    buf_init_secret(&made, 64);
    if (given.n) {
        json_object_set_new(order, "password", json_stringn(given.p, given.n));
    } else if (cli_value(t->c, "generate")) {
        cli_generate_password(&made);
        json_object_set_new(order, "password", json_stringn(made.p, made.n));
        json_object_setn_new(t->generated, address.p, address.n, json_stringn(made.p, made.n));
    }
    buf_done(&made);
}

static void take_record(struct table *t, size_t line, const str *fields, size_t n)
{
    str of[COLUMNS] = { { 0 } };
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size += fields[i].n;
        if (str_find_byte(fields[i], '\0', 0) < fields[i].n) {
            wrong(t, line, "a field holds a NUL byte, which no address, name or password has; save the table as CSV in UTF-8");
            return;
        }
        if (i >= t->column_n && fields[i].n) {
            wrong(t, line,
                  t->members ? "a line has an address and nothing else"
                             : "there are more fields than columns: address, name, password, groups, language");
            return;
        }
        if (i < t->column_n && t->columns[i] >= 0)
            of[t->columns[i]] = fields[i];
    }
    if (size > LINE_TEXT_MAX) {
        wrong(t, line, "the line is longer than 8000 bytes");
        return;
    }
    if (!of[COLUMN_ADDRESS].n) {
        wrong(t, line, "the address is missing");
        return;
    }
    if (!is_first(t, of[COLUMN_ADDRESS], line))
        return;
    json_t *order =
        json_pack("{s:I,s:o}", "line", (json_int_t)line, "address", json_stringn(of[COLUMN_ADDRESS].p, of[COLUMN_ADDRESS].n));
    if (of[COLUMN_NAME].n && !t->members)
        json_object_set_new(order, "name", json_stringn(of[COLUMN_NAME].p, of[COLUMN_NAME].n));
    if (!t->members) {
        take_password(t, line, of[COLUMN_ADDRESS], of[COLUMN_PASSWORD], order);
        if (of[COLUMN_LANGUAGE].n)
            json_object_set_new(order, "language", json_stringn(of[COLUMN_LANGUAGE].p, of[COLUMN_LANGUAGE].n));
        json_object_set_new(order, "groups", groups_of(t, line, of[COLUMN_GROUPS]));
    }
    json_array_append_new(t->lines, order);
}

static int read_table(struct table *t, str text, struct error *e)
{
    struct arena a = ARENA_INIT(2 * FILE_MAX);
    struct csv csv;
    str fields[CSV_FIELDS_MAX], bad, twice;
    size_t n, line;
    bool first = true;
    int r = csv_init(&csv, text, e);
    while (r == 0 && (r = csv_next(&csv, &a, fields, &n, &line, e)) == 1) {
        bool header = first && take_header(t, fields, n, &bad, &twice);
        first = false;
        r = 0;
        if (header && bad.n && !t->members)
            r = error_set(e, ERR_SYNTAX,
                          "line %zu: there is no column '%.*s'; columns are address, name, password, groups, language", line,
                          STR_ARG(bad));
        else if (header && twice.n)
            r = error_set(e, ERR_SYNTAX, "line %zu: '%.*s' is a column that is there already; leave one of them out", line,
                          STR_ARG(twice));
        else if (!header && json_array_size(t->lines) == LINES_MAX)
            r = error_set(e, ERR_LIMIT, "more than %d lines; cut the file", LINES_MAX);
        else if (!header)
            take_record(t, line, fields, n);
    }
    arena_done(&a);
    if (r == 0 && !json_array_size(t->lines) && !json_array_size(t->errors))
        r = error_set(e, ERR_SYNTAX, "there is no address in it");
    return r;
}

static int read_file(struct table *t)
{
    struct error e = ERROR_NONE, why = ERROR_NONE;
    struct buf text;
    buf_init_secret(&text, FILE_MAX);
    int fd = strcmp(t->file, "-") == 0 ? 0 : beneath_start_file(t->file, &e);
    int err = fd < 0 ? fd : beneath_read_open(fd, t->file, &text, &e);
    if (fd > 0)
        (void)close(fd);
    if (err == 0 && (err = read_table(t, buf_str(&text), &why)))
        (void)error_set(&e, err, "%s: %s", t->file, why.text);
    buf_done(&text);
    return err ? cli_fail_files(t->c, &e) : 0;
}

/* --- orders --- */

/* COMMAND for the lines from AT on, as many as fit; *AT goes behind them. */
static json_t *next_order(struct table *t, const char *command, bool check, size_t *at)
{
    json_t *list = json_array();
    size_t size = 0;
    while (*at < json_array_size(t->lines) && json_array_size(list) < ORDER_LINES_MAX) {
        json_t *line = json_array_get(t->lines, *at);
        char *text = json_dumps(line, JSON_ENSURE_ASCII | JSON_COMPACT);
        size_t n = text ? strlen(text) : 0;
        if (text)
            secret_wipe(text, n);
        free(text);
        if (size && size + n > ORDER_TEXT_MAX * 5)
            break;
        size += n;
        json_array_append(list, line);
        ++*at;
    }
    json_t *order = json_pack("{s:s,s:b,s:b,s:o}", "command", command, "check", (int)check, "skip-existing",
                              cli_value(t->c, "skip-existing") != NULL, t->members ? "members" : "users", list);
    if (t->welcome && !check)
        json_object_set(order, "welcome", t->welcome);
    if (t->members)
        json_object_set_new(order, "group", json_string(t->c->words[0]));
    else if (cli_value(t->c, "role"))
        json_object_set_new(order, "role", json_string(cli_value(t->c, "role")));
    return order;
}

/* Has all lines checked, or done up to the first that fails: who was, and who was there, to DONE and THERE. 0 or an exit status. */
static int run(struct table *t, bool check, json_t *done, json_t *there)
{
    int status = 0;
    for (size_t at = 0; status == 0 && at < json_array_size(t->lines) && (check || !json_array_size(t->errors));) {
        json_t *reply = NULL;
        status = cli_call_apart(t->c, next_order(t, t->members ? "group.members.add" : "users.add", check, &at), &reply);
        if (status == 0) {
            json_array_extend(done, json_object_get(reply, "done"));
            json_array_extend(there, json_object_get(reply, "there"));
            json_array_extend(t->errors, json_object_get(reply, "errors"));
        }
        json_decref(reply);
    }
    return status;
}

/* --- what came of it --- */

static int by_line(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "line"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "line"));
    return x < y ? -1 : x > y;
}

/* The passwords that were made, of those who are in DONE: address: password. */
static json_t *passwords_of(const struct table *t, const json_t *done)
{
    json_t *list = json_object(), *each;
    size_t i;
    json_array_foreach(done, i, each)
    {
        json_t *password = json_object_get(t->generated, cli_string(each));
        if (password)
            json_object_set(list, cli_string(each), password);
    }
    return list;
}

static int say_errors(const struct table *t, const char *what, const json_t *done, bool in_file)
{
    size_t n = json_array_size(t->errors);
    json_t **list = calloc(n, sizeof *list), *sorted = json_array();
    require(list);
    for (size_t i = 0; i < n; i++)
        list[i] = json_array_get(t->errors, i);
    qsort(list, n, sizeof *list, by_line);
    for (size_t i = 0; i < n; i++) {
        char text[600];
        (void)snprintf(text, sizeof text, "%s: line %lld: %s", t->file,
                       (long long)json_integer_value(json_object_get(list[i], "line")),
                       cli_string(json_object_get(list[i], "text")));
        show_replace(text);
        (void)fprintf(stderr, "valise: %s\n", text);
        json_array_append(sorted, list[i]);
    }
    (void)fprintf(stderr, "valise: %s\n", what);
    json_t *v = json_pack("{s:b,s:s,s:s,s:o,s:O}", "ok", 0, "error", "syntax", "text", what, "errors", sorted, "added", done);
    if (!in_file)
        json_object_set_new(v, "passwords", passwords_of(t, done));
    if (t->c->json)
        cli_print_json(v);
    json_decref(v);
    free(list);
    return EX_DATAERR;
}

/* The passwords that were made, of those who were added, to FD, one a line, or to standard output. */
static int give_passwords(const struct table *t, const json_t *done, int fd)
{
    struct error e = ERROR_NONE;
    struct buf text;
    json_t *list = passwords_of(t, done), *password;
    const char *address;
    int err = 0;
    buf_init_secret(&text, (size_t)LINES_MAX * PASSWORD_LINE_MAX);
    json_object_foreach(list, address, password)
        buf_add_all(&text, str_from_z(address), STR(" "), str_from_z(cli_string(password)), STR("\n"));
    if (fd >= 0)
        err = beneath_write_open(fd, "the file of passwords", buf_str(&text), &e);
    else if (!t->c->json)
        (void)printf("%.*s", STR_ARG(buf_str(&text)));
    if (fd >= 0 && err == 0)
        err = beneath_sync(fd, "the file of passwords", &e);
    json_decref(list);
    buf_done(&text);
    return err ? cli_fail_files(t->c, &e) : 0;
}

static void say_done(const struct table *t, const json_t *done, const json_t *there, bool dry, bool in_file)
{
    size_t n = json_array_size(done), old = json_array_size(there);
    if (t->c->json) {
        json_t *v = json_pack("{s:b,s:b,s:O,s:O}", "ok", 1, "dry-run", (int)dry, "added", done, "there", there);
        if (!dry && !in_file)
            json_object_set_new(v, "passwords", passwords_of(t, done));
        cli_print_json(v);
        json_decref(v);
        return;
    }
    const char *counted = t->members ? COUNT(n, "member", "members") : COUNT(n, "user", "users");
    (void)printf("%s %s", counted, dry ? "would be added" : n == 1 ? "is added" : "are added");
    if (old)
        (void)printf(", %s there already", COUNT(old, "is", "are"));
    (void)printf("\n");
}

static int apply(struct table *t, json_t *done, json_t *there, int passwords_fd)
{
    char text[200];
    int status = run(t, false, done, there);
    bool whole = status == 0 && !json_array_size(t->errors);
    if (whole)
        say_done(t, done, there, false, passwords_fd >= 0);
    int given = give_passwords(t, done, passwords_fd);
    (void)snprintf(text, sizeof text, "%s; give the same file again%s",
                   COUNT(json_array_size(done), "was added before that line, and stays", "were added before that line, and stay"),
                   t->members ? "" : " with --skip-existing");
    if (status == 0 && !whole)
        status = say_errors(t, text, done, passwords_fd >= 0);
    return status ? status : given;
}

static int work(struct table *t, int passwords_fd)
{
    bool dry = cli_value(t->c, "dry-run") != NULL;
    json_t *done = json_array(), *there = json_array();
    int status = run(t, true, done, there);
    if (status == 0 && json_array_size(t->errors)) {
        json_array_clear(done);
        status = say_errors(t, "nothing was changed; mend these lines and try again (--dry-run only checks)", done, true);
    } else if (status == 0 && dry) {
        say_done(t, done, there, true, false);
    } else if (status == 0) {
        json_array_clear(done);
        json_array_clear(there);
        status = apply(t, done, there, passwords_fd);
    }
    json_decref(done);
    json_decref(there);
    return status;
}

static struct table table_of(const struct cli *c, const char *file, bool members)
{
    return (struct table){ .c = c,
                           .file = file,
                           .members = members,
                           .columns = { COLUMN_ADDRESS, COLUMN_NAME, COLUMN_PASSWORD, COLUMN_GROUPS, COLUMN_LANGUAGE },
                           .column_n = members ? 1 : COLUMNS,
                           .lines = json_array(),
                           .errors = json_array(),
                           .generated = json_object(),
                           .seen = json_object() };
}

static void table_done(struct table *t)
{
    json_decref(t->lines);
    json_decref(t->errors);
    json_decref(t->generated);
    json_decref(t->seen);
    json_decref(t->welcome);
}

int bulk_read_users(const struct cli *c, const char *file, json_t **ret)
{
    struct table t = table_of(c, file, false);
    int status = read_file(&t);
    if (status == 0 && json_array_size(t.errors)) {
        json_t *nobody = json_array();
        status = say_errors(&t, "nothing was made; mend these lines and try again", nobody, true);
        json_decref(nobody);
    }
    if (status == 0)
        *ret = json_incref(t.lines);
    table_done(&t);
    return status;
}

int bulk_from_file(const struct cli *c, bool members)
{
    struct error e = ERROR_NONE;
    char name[BENEATH_NAME_MAX];
    const char *passwords = members ? NULL : cli_value(c, "passwords");
    struct table t = table_of(c, cli_value(c, "from"), members);
    int fd = -1, status = read_file(&t);
    if (status == 0 && !members)
        status = user_welcome(c, &t.welcome);
    if (status == 0 && passwords && !cli_value(c, "dry-run")) {
        int above = beneath_start_above(passwords, name, &e);
        fd = above < 0 ? above : beneath_create(above, name, BENEATH_MODE(0600), &e);
        if (above >= 0)
            (void)close(above);
        status = fd < 0 ? cli_fail_files(c, &e) : 0;
    }
    if (status == 0)
        status = work(&t, fd);
    if (fd >= 0)
        (void)close(fd);
    table_done(&t);
    return status;
}
