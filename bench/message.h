/* message: synthetic mail of an exact size, each with its own Message-ID. */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include <stddef.h>

/* A template whose numbered places are overwritten for each message. */
struct message {
    char *text; /* complete, CRLF line ends, no line begins with a dot */
    size_t size;
    char *places[2]; /* in Message-ID and Subject: 12 digits each */
    unsigned run;    /* differs between runs, so that Message-IDs do too */
};

/* A message of exactly SIZE bytes, or of its header's size when that is larger. */
void message_init(struct message *m, size_t size);
/* Makes it message number N. */
void message_number(struct message *m, unsigned long n);
void message_done(struct message *m);

#endif
