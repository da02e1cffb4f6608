/* csv: tables as spreadsheets write them (RFC 4180 section 2): fields with commas, semicolons or tabs between them, quotes around what has such in it. */
#ifndef VALISE_BASE_CSV_H
#define VALISE_BASE_CSV_H

#include "base/arena.h"
#include "base/err.h"

enum { CSV_FIELDS_MAX = 32 };

struct csv {
    str rest;
    char separator;
    size_t line; /* where the next record begins, from 1 */
};

/* Begins with TEXT, which must stay. A byte order mark and a line "sep=;" are passed over; without that line the separator is the one of comma,
 * semicolon and tab that the first line has most of. ERR_SYNTAX: it is UTF-16, or not UTF-8. */
int csv_init(struct csv *c, str text, struct error *e) MUST_USE;
/* The next record that is not blank: 1 with *RET_N fields in RET, blanks around unquoted ones taken off, and where it begins in *RET_LINE; text is in
 * TEXT, or in A where quotes were doubled. 0: there is none. ERR_SYNTAX with the line in E: a quote that is not closed, or something behind a closed
 * one; ERR_LIMIT: more than CSV_FIELDS_MAX fields, or no room in A. */
int csv_next(struct csv *c, struct arena *a, str ret[CSV_FIELDS_MAX], size_t *ret_n, size_t *ret_line, struct error *e) MUST_USE;

#endif
