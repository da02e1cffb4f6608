/* header_fields: the fields of a stored header of any size, read in bounded memory: a field that is larger than the window comes in
 * pieces. */
#ifndef VALISE_IMAP_HEADER_FIELDS_H
#define VALISE_IMAP_HEADER_FIELDS_H

#include "base/buf.h"
#include "store/mail.h"

enum { IMAP_HEADER_WINDOW = 256 * 1024 };

struct imap_header_fields {
    struct source *source; /* NULL: all is in the window */
    struct buf own;
    str window;
    size_t at;   /* what follows was not given out */
    bool ended;  /* the source is */
    bool inside; /* a field whose beginning was given out */
    char name[128];
    size_t name_n; /* of that field */
};

/* A field or a piece of one. Views live until the next call. */
struct imap_header_piece {
    str name;         /* empty for a line that is no field */
    str whole, value; /* as message_header_field's; of a later piece both are what comes */
    bool first, last;
};

/* Reads the SIZE bytes from OFFSET on of EMAIL, a header. */
void imap_header_fields_open(struct imap_header_fields *f, struct mail_account *account, const struct mail_email *email,
                             uint64_t offset, uint64_t size);
/* The same of a header in memory, which must live as long. */
void imap_header_fields_of(struct imap_header_fields *f, str header);
void imap_header_fields_done(struct imap_header_fields *f);
/* The next piece; false at the end of the header or where it cannot be read. A field is cut between its lines where that is possible, else
 * at a space, else between characters. */
bool imap_header_fields_next(struct imap_header_fields *f, struct imap_header_piece *ret);

#endif
