/* maildir: names in a Maildir++ as Dovecot and Courier lay it out, and in Dovecot's LAYOUT=fs. A message is a file in "cur" or "new", its flags are letters in its name; a
 * folder is a directory ".Work.2026" beside them, in modified UTF-7, with a directory of messages of its own. Keywords are small letters, whose names stand in
 * the folder's file "dovecot-keywords". */
#ifndef VALISE_ARCHIVE_MAILDIR_H
#define VALISE_ARCHIVE_MAILDIR_H

#include "archive/keyword.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "store/mail.h"

enum { MAILDIR_KEYWORDS_MAX = 26 };

struct maildir_keywords {
    str names[MAILDIR_KEYWORDS_MAX]; /* empty: the letter has none */
};

/* What Courier keeps in the folder's file "courierimapkeywords/:list": names of keywords, one a line, an empty line, and lines "FILE:0 2" with the numbers of the
 * keywords that FILE has, which is named without its flags. */
struct maildir_courier {
    str text;
    str *names;
    size_t n;
    struct map files; /* to where in TEXT the numbers stand */
    struct map newer; /* to a str: names of keywords, one a line */
};
/* Reads TEXT, which must live as long; names in A. What is malformed is left out. ERR_LIMIT; *RET is to be freed with maildir_courier_done either way. */
int maildir_courier_parse(str text, struct arena *a, struct maildir_courier *ret) MUST_USE;
/* What a file beside ":list", called FILE as a message without its flags, says of it: TEXT, names of keywords, one a line, in place of what the list has. It is not
 * in the list yet. Kept in A. ERR_LIMIT. */
int maildir_courier_replace(struct maildir_courier *c, str file, str text, struct arena *a) MUST_USE;
void maildir_courier_done(struct maildir_courier *c);

/* Flags of the file NAME, after ":2,", or ";2," or "!2," as programs of Windows copy it: the letters D, F, R, S and T, P (passed on) as $Forwarded, keywords of K and, when it is not NULL, of C. Names of keywords in A;
 * *RET_LOST counts those that are more than a message can have. ERR_LIMIT. */
int maildir_name_parse(str name, const struct maildir_keywords *k, const struct maildir_courier *c, struct arena *a,
                       struct mail_flags *ret, uint32_t *ret_lost) MUST_USE;
/* Appends a name for a message of SIZE bytes that came at RECEIVED seconds and has SYSTEM flags and the keywords of which LETTERS has bits. UNIQUE is
 * what tells it from others of that second. */
void maildir_name_add(struct buf *b, int64_t received, uint64_t unique, uint64_t size, uint64_t system, uint32_t letters);

/* Reads the file "dovecot-keywords": lines of a number and a name. What is malformed is left out. The names point into TEXT. */
void maildir_keywords_parse(str text, struct maildir_keywords *ret);
/* The letter (0 to 25) of NAME, which becomes the next free one's when it has none and is kept as it is; -1 when all are taken. */
int maildir_keyword_letter(struct maildir_keywords *k, str name);
void maildir_keywords_add(struct buf *b, const struct maildir_keywords *k);

/* Appends the directory of mailbox NAME (not INBOX, which is the Maildir itself). A dot in a level is written as "\2e", as Dovecot's listescape does. */
void maildir_folder_add(struct buf *b, str name);
/* The mailbox of directory FOLDER, in A. ERR_SYNTAX for what is none, ERR_LIMIT. */
int maildir_folder_parse(str folder, struct arena *a, str *ret) MUST_USE;
/* One level of a mailbox's name in LAYOUT=fs: directory FOLDER, in modified UTF-7, with ".sbd" at its end where Thunderbird keeps what is below. The same. */
int maildir_level_parse(str folder, struct arena *a, str *ret) MUST_USE;

#endif
