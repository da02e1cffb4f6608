/* wire: what the roles say to each other. One table of request types, one pack and one unpack function a message, used by both
 * sides.
 *
 *   mx    -> core        recipient, accept, spool, revoked
 *   mx, core -> keeper   sign, ticket-keys; core also issue, seal, unseal, known, remember, forget
 *   supervisor -> all    setup, keyring (to keeper), tally, peer, serve, listener, start; then peer, serve, prepare, listener, commit, stop, status, metrics
 *   core  -> supervisor  reload, status, metrics
 *
 * Which role may ask what is the table that it is served with (role/<role>.c). Unpacking validates everything; text views point
 * into the payload. */
#ifndef VALISE_ROLE_WIRE_H
#define VALISE_ROLE_WIRE_H

#include "base/pack.h"
#include "run/channel.h"
#include "run/tls_signed.h"
#include "smtp/service.h"

enum wire_type {
    WIRE_OPEN_LANE = 0,    /* run/channel.h's own */
    WIRE_RECIPIENT = 1,    /* size of the message u64, address -> verdict u8 */
    WIRE_ACCEPT = 2,       /* delivery, message inline or as descriptor; one too long for a frame as a second memfd -> nothing */
    WIRE_SPOOL = 3,        /* nothing -> descriptor */
    WIRE_REVOKED = 4,      /* serial of a client's certificate -> u8: whether it was revoked */
    WIRE_SIGN = 10,        /* key id, scheme u16, what the handshake signs -> signature */
    WIRE_TICKET_KEYS = 11, /* nothing -> two ticket keys of 80 bytes, newest first */
    WIRE_ISSUE = 12,       /* order, request or certificate to renew -> certificate, in PEM */
    WIRE_SEAL = 13,        /* context, secret -> sealed */
    WIRE_UNSEAL = 14,      /* context, sealed -> secret */
    WIRE_KNOWN = 15,       /* account, question about a password -> the answer when it was right lately, else nothing */
    WIRE_REMEMBER = 16,    /* account, question, answer: of a password that was right */
    WIRE_FORGET = 17,      /* account, or nothing: all */
    WIRE_SETUP = 20,       /* first message to a role: setup as memfd */
    WIRE_LISTENER = 21,    /* name of a listener, descriptor; after setup, and after each prepare again */
    WIRE_PEER = 22,        /* role name, root lane to ask it on */
    WIRE_SERVE = 23,       /* role name, root lane on which it asks */
    WIRE_START = 24,       /* everything is there: enter the sandbox and serve */
    WIRE_RELOAD = 25,      /* please reload -> what needs a restart, for people */
    WIRE_STOP = 26,        /* grace in ms u32: drain and exit */
    WIRE_STATUS = 27,      /* -> counts (to a role), roles (from core) */
    WIRE_PREPARE = 28,     /* a new setup as memfd: check it and keep it aside */
    WIRE_COMMIT = 29,      /* what was prepared is in force */
    WIRE_METRICS = 30,     /* -> what the role counts (base/metric.h); from core -> memfd: process name and that, of each role */
    WIRE_TALLY = 31,       /* enum wire_tally u8, a tally of the limits (run/limit.h) */
    WIRE_KEYRING = 32      /* the numbers of the kernel's keys that keeper has (run/keyring.h) */
};

enum wire_tally {
    WIRE_TALLY_OWN,    /* writable, comes first */
    WIRE_TALLY_SUMMED, /* of a process that serves the same */
    WIRE_TALLY_SHOWN   /* of one that serves something else: for status */
};

/* The control socket among the listeners; the dot keeps it apart from those of the configuration. */
#define WIRE_CONTROL "control.sock"

enum {
    WIRE_SETUP_MAX = 16 << 20,
    WIRE_METRICS_MAX = 4 << 20,
    WIRE_PROCESSES_MAX = 80,
    WIRE_SIGNERS_MAX = 2,
    WIRE_SIGNATURE_MAX = 1024,
    WIRE_INLINE_MAX = 64 * 1024,
    WIRE_ADDRESS_MAX = 512,
    WIRE_RECIPIENT_MAX = WIRE_ADDRESS_MAX + 16,
    WIRE_SERIAL_MAX = 64,
    WIRE_DELIVERY_MAX = 1 << 20
};

/* --- accept --- */

/* Packs D without its message into B; the message follows when INLINE_MESSAGE. */
void wire_pack_delivery(struct buf *b, const struct smtp_delivery *d, bool inline_message);
/* Unpacks and validates: lengths, counts, no control bytes in what goes into headers and logs; recipients in A. RET->message is
 * empty and RET->fd -1 when a descriptor must hold it. ERR_CORRUPT, ERR_LIMIT. */
int wire_unpack_delivery(str payload, struct arena *a, struct smtp_delivery *ret, bool *ret_inline) MUST_USE;

/* --- setup of a role --- */

struct wire_identity {
    str name, chain_pem, key_id;
};

struct wire_setup {
    str config_text;
    uint16_t port_offset;
    unsigned instance; /* which mx this is */
    const struct wire_identity *identities;
    size_t identity_n;
    str ca_pem; /* our own CA's certificate; empty: there is none */
};
void wire_pack_setup(struct buf *b, const struct wire_setup *s);
int wire_unpack_setup(str payload, struct arena *a, struct wire_setup *ret) MUST_USE;

/* --- status --- */

struct wire_counts {
    uint32_t connections, workers, workers_busy, workers_peak, queued;
    uint32_t descriptors, descriptors_max; /* open now; that may be. 0: not known */
    uint64_t accepted, refused;
    struct {
        uint64_t made, refused;
    } signatures[WIRE_SIGNERS_MAX]; /* of keeper, by enum rights_role */
    uint32_t remembered;            /* of keeper: accounts with a verifier */
    uint8_t in_kernel;              /* of keeper: whether the kernel has them too */
};
void wire_pack_counts(struct buf *b, const struct wire_counts *c);
int wire_unpack_counts(str payload, struct wire_counts *ret) MUST_USE;

struct wire_role_status {
    str name;
    uint32_t pid; /* 0: not running */
    uint32_t restarts;
    uint64_t uptime_ms;
    struct wire_counts counts;
};
/* What holds the roles, as the supervisor found it. */
struct wire_sandbox {
    uint8_t landlock_abi; /* 0: none */
    bool users;           /* each kind of role has a user of its own */
    str keyring_gap;      /* why there is no ring of the kernel's keys; empty: there is one */
};
void wire_pack_roles(struct buf *b, const struct wire_sandbox *sandbox, const struct wire_role_status *roles, size_t n);
/* RET_SANDBOX may be NULL. */
int wire_unpack_roles(str payload, struct arena *a, struct wire_sandbox *ret_sandbox, struct wire_role_status **ret,
                      size_t *ret_n) MUST_USE;

/* --- small ones --- */

/* An order for a certificate; see struct pki_order. 0 seconds: only whether the names are allowed is asked. */
struct wire_order {
    uint8_t use;
    uint64_t seconds;
    const str *names;
    const bool *outside; /* for each name */
    size_t name_n;
    str subject_pem;
};
enum { WIRE_ORDER_MAX = 60000 };
void wire_pack_order(struct buf *b, const struct wire_order *o);
int wire_unpack_order(str payload, struct arena *a, struct wire_order *ret) MUST_USE;

/* The sizes of what the directory proves of a password (struct directory_witness), one after the other. */
enum { WIRE_ID = 16, WIRE_QUESTION = 32, WIRE_ANSWER = 16 };

/* The numbers of keys. ERR_CORRUPT. */
struct keyring;
enum { WIRE_KEYRING_MAX = 4096 };
void wire_pack_keyring(struct buf *b, const struct keyring *k);
int wire_unpack_keyring(str payload, struct keyring *ret) MUST_USE;

/* A secret to be sealed or unsealed for a context. */
enum { WIRE_SEAL_MAX = 8192 };
void wire_pack_seal(struct buf *b, str context, str bytes);
int wire_unpack_seal(str payload, str *ret_context, str *ret_bytes) MUST_USE;

/* What a key signs, and how: see run/tls_signed.h. */
void wire_pack_sign(struct buf *b, str key_id, uint16_t scheme, str message);
int wire_unpack_sign(str payload, str *ret_key_id, uint16_t *ret_scheme, str *ret_message) MUST_USE;

#endif
