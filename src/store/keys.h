/* keys: where an account's records lie in its partition.
 *
 * One letter, then big-endian numbers, so that scans come in number order. What an account must know to answer anything at all lies
 * in the upper-case letters and is loaded by one scan; the rest is read as needed.
 *
 *   A                              account header: modseq, next ids
 *   B mailbox/8                    mailbox: name, special use, uidvalidity
 *   C mailbox/8                    its counters: uidnext, messages, unseen, bytes, modseq (rewritten by every delivery, so kept small)
 *   D mailbox/8                    its keywords
 *   P                              a copy or append too large for one commit is under way: what to take back after a crash
 *   S name                         a subscription
 *   X mailbox/8                    a deleted mailbox whose entries are still being removed
 *   c modseq/8                     change log
 *   e email/8                      email: blob, dates, thread, header fields, structure (immutable)
 *   m mailbox/8 uid/4              mailbox entry: flags, modseq, email, size, dates
 *   r email/8                      number of entries of an email that has more than one
 *   t hash/8                       thread of a Message-ID, and how many emails name it */
#ifndef VALISE_STORE_KEYS_H
#define VALISE_STORE_KEYS_H

#include "base/str.h"

enum {
    KEY_HEADER = 'A',
    KEY_MAILBOX = 'B',
    KEY_COUNTERS = 'C',
    KEY_KEYWORDS = 'D',
    KEY_PENDING = 'P',
    KEY_SUBSCRIPTION = 'S',
    KEY_DOOMED = 'X',
    KEY_HEADER_END = 'Y',
    KEY_CHANGE = 'c',
    KEY_EMAIL = 'e',
    KEY_ENTRY = 'm',
    KEY_REFS = 'r',
    KEY_THREAD = 't',
    KEY_END = 'u'
};

/* A key in its own memory; key_str of a temporary lives to the end of the enclosing block. */
struct key {
    uint8_t n;
    char p[13];
};

struct key key_of(char letter);
struct key key_of_id(char letter, uint64_t id);
struct key key_of_entry(uint64_t mailbox, uint32_t uid);
static inline str key_str(const struct key *k)
{
    return (str){ k->p, k->n };
}

/* The number of a key made by key_of_id; false when KEY is not one of LETTER. */
bool key_read_id(str key, char letter, uint64_t *ret);
bool key_read_entry(str key, uint64_t *ret_mailbox, uint32_t *ret_uid);

#endif
