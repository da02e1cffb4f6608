/* faulty: an engine that fails on command, to test what stands above. It wraps another engine, or a memory engine of its own, which can lose
 * what was not synced. Everything is deterministic: faults strike the n-th operation of a kind, or at random from a seed. */
#ifndef VALISE_STORE_FAULTY_FAULTY_H
#define VALISE_STORE_FAULTY_FAULTY_H

#include "store/engine.h"

enum engine_faulty_op {
    ENGINE_FAULTY_GET,
    ENGINE_FAULTY_SCAN,
    ENGINE_FAULTY_COMMIT,     /* of callers; holds of shared blobs too */
    ENGINE_FAULTY_SYNC,       /* also the implied ones of commits and synced reads that find something to wait for */
    ENGINE_FAULTY_BLOB_READ,  /* each chunk */
    ENGINE_FAULTY_BLOB_WRITE, /* each chunk */
    ENGINE_FAULTY_OPS_
};

struct engine_fault {
    int error;         /* answered instead of the result; 0: none */
    bool applied;      /* the operation is done all the same: with ERR_UNKNOWN, the outcome nobody knew */
    bool corrupt;      /* of a blob read: one bit is wrong */
    unsigned delay_ms; /* slept before */
};

/* Takes INNER over and closes it; NULL: a memory engine that can crash. */
int engine_faulty_open(struct engine *inner, const struct engine_settings *settings, uint64_t seed, struct engine **ret) MUST_USE;
/* FAULT strikes operation number NTH of kind OP counted from now (1 is the next one). One fault at a time per kind. */
void engine_faulty_at(struct engine *g, enum engine_faulty_op op, uint64_t nth, struct engine_fault fault);
/* FAULT strikes operations of kind OP with a probability of PER_MILLE / 1000, until called with 0. */
void engine_faulty_random(struct engine *g, enum engine_faulty_op op, unsigned per_mille, struct engine_fault fault);
/* While FULL, commits and blob writes answer ERR_FULL. */
void engine_faulty_full(struct engine *g, bool full);
/* Power fails and comes back: what was not synced is gone, but for the first KEEP writes of it, which the disk happened to have. The epoch goes up. No
 * other call may be running. Only without INNER. */
void engine_faulty_crash(struct engine *g, size_t keep);
/* How many operations of kind OP there were. */
uint64_t engine_faulty_count(struct engine *g, enum engine_faulty_op op);

#endif
