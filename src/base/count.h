/* count: numbers with what they count, in English: "1 message", "2 messages". The words of letters, in each language, are in dsn/words. */
#ifndef VALISE_BASE_COUNT_H
#define VALISE_BASE_COUNT_H

enum { COUNT_MAX = 200 };

/* Writes to TEXT the number N and behind it ONE, or MANY unless N is 1, which go on as the sentence does: "mailbox has", "mailboxes have". Returns TEXT;
 * what is longer is cut. */
const char *count_in(char text[COUNT_MAX], long long n, const char *one, const char *many);

/* The same for an argument of a printf: the text lives as long as the block in which it stands. */
#define COUNT(n, one, many) count_in((char[COUNT_MAX]){ 0 }, (long long)(n), one, many)

#endif
