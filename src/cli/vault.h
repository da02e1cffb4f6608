/* vault: a backup's files on their way out and back, in the clear or encrypted (archive/README.md says what an encrypted backup looks like).
 *
 * A backup in the clear has all of its list of files in manifest.json. Of an encrypted one that says only what a check without a key needs; the true list
 * is encrypted and names each file's piece and its key. */
#ifndef VALISE_CLI_VAULT_H
#define VALISE_CLI_VAULT_H

#include "archive/keybox.h"
#include "archive/sealed.h"
#include "cli/backup.h"
#include "cli/cli.h"

enum { VAULT_VERSION = 2, VAULT_NAME = 33, VAULT_KEY_TEXT = 65 };

/* --- making one --- */

/* The secret of a new backup, and who will have it. */
struct vault_lock {
    bool used; /* false: a backup in the clear */
    char secret[KEYBOX_SECRET];
    struct buf keybox;                                        /* as it is written */
    char server_id[KEYBOX_ID + 1], server_key[KEYBOX_SECRET]; /* empty id: none */
};
/* From --encrypt-to, --passphrase and --passphrase-file; with SERVER, the server of this directory can open it too. 0, or an exit status after a
 * message. To be followed by vault_lock_done in any case. */
int vault_lock_init(struct vault_lock *l, const struct cli *c, bool server) MUST_USE;
void vault_lock_done(struct vault_lock *l);
/* Keeps the server's key in TOP, the valise directory, and forgets that of the backup before (FORMER, an id; empty: none). Before the backup counts as made. */
int vault_lock_keep(const struct vault_lock *l, int top, struct error *e) MUST_USE;
void vault_forget(int top, const char *former);

/* A new piece's name and key, which is also wanted as text. */
void vault_piece_new(char name[VAULT_NAME], char key[KEYBOX_SECRET], char key_text[VAULT_KEY_TEXT]);
/* Gives the sealed bytes of the open file FD to FN; the number of plain bytes, and the checksum of the sealed ones. NAME is for messages. */
int vault_seal(int fd, const char *name, const char key[KEYBOX_SECRET], tree_write_fn *fn, void *ctx, uint64_t *ret_size,
               char sum[TREE_SUM_TEXT], struct error *e) MUST_USE;
/* Appends MANIFEST, sealed, to OUT; SUM is the checksum of what was appended. */
int vault_seal_manifest(const struct vault_lock *l, str manifest, struct buf *out, char sum[TREE_SUM_TEXT],
                        struct error *e) MUST_USE;

/* --- reading one --- */

struct vault {
    const struct backup_generation *g; /* the caller's */
    bool sealed, open;                 /* encrypted; its list is known */
    json_t *outside;                   /* manifest.json */
    json_t *manifest;                  /* what lists the files; NULL until open */
    struct buf keybox;
    struct keybox_info who;
};
/* Looks at generation G. A backup in the clear is open then. As backup_manifest. To be followed by vault_close in any case. */
int vault_look(struct vault *v, const struct backup_generation *g, struct error *e) MUST_USE;
void vault_close(struct vault *v);
/* Opens it with what C's options say (--key, --p12, --passphrase, --passphrase-file), or with the key that the server in C's directory has of its latest.
 * May ask on the terminal, once a command: ASKED (may be NULL), zeroed at first, keeps the answer and is the caller's to release. ERR_REFUSED for a wrong
 * key or passphrase, when there is none, and when C names one and the backup is in the clear; ERR_CORRUPT, also for one that was made at another time than
 * the name of its directory says. */
int vault_unlock(struct vault *v, const struct cli *c, struct buf *asked, struct error *e) MUST_USE;
/* The same with nothing but the server's key in TOP; nothing is asked. ERR_NOTFOUND, ERR_REFUSED when there is none. */
int vault_unlock_server(struct vault *v, int top, struct error *e) MUST_USE;
/* Whether C names a key. */
bool vault_has_key(const struct cli *c);

/* Gives the bytes of FILE, of the open manifest, to FN (NULL: nobody), in whom they are as they were backed up only when 0 is returned. ERR_CORRUPT
 * names the file and, of an encrypted one, the chunk. */
int vault_read(const struct vault *v, const json_t *file, tree_write_fn *fn, void *ctx, struct error *e) MUST_USE;
/* Whether the encrypted file NAME of SIZE bytes has checksum SUM: all that can be said without a key. */
int vault_check_sealed(const struct vault *v, const char *name, uint64_t size, const char *sum, struct error *e) MUST_USE;
/* FILE's name in the generation: "files/PATH" or "pieces/NAME". */
void vault_name(const struct vault *v, const json_t *file, char ret[TREE_PATH_MAX]);

#endif
