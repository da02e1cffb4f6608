/* show: foreign text where people read it: terminals, logs, error messages.
 *
 * A name that somebody else chose may hold what a terminal obeys (controls, also U+009B, the eight-bit CSI), what breaks a line (U+2028),
 * what turns the text around it (bidirectional controls, Unicode Standard Annex 9) and what nobody sees (zero width). All of it, and bytes
 * that are no UTF-8, is shown as its bytes, "\x9b"; everything else as it is. JSON for people is ASCII, where the same becomes "\u202e". */
#ifndef VALISE_BASE_SHOW_H
#define VALISE_BASE_SHOW_H

#include "base/buf.h"
#include "base/err.h"

/* Whether the character CODE can be shown as it is: no control, no separator of lines, nothing that reorders, and something to see. */
bool show_is_plain(uint32_t code);
/* Puts '?' for each character of the NUL-terminated TEXT, and each byte of broken UTF-8, that is not plain. Never longer. */
void show_replace(char *text);

/* Adds TEXT to OUT as one line: what is not plain as its bytes, "\x0a" of a newline too, which the streams below let through. */
void show_line(str text, struct buf *out);

/* From now on all that this process writes to stdout and stderr by stdio passes through here; newlines and tabs stay. To be called once, before anything is written. What is meant for programs (archives) is written to the
 * descriptors. */
void show_streams(void);

#endif
