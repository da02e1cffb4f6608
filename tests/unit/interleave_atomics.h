/* interleave_atomics: makes each atomic access and each lock of the program that is included after it a point of interleave.h. */
#include <pthread.h>
#include <stdatomic.h>

#include "interleave.h"

#undef atomic_load
#undef atomic_store
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_fetch_or
#undef atomic_fetch_and
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_strong
#define INTERLEAVE_ATOMIC(access)             (interleave_point(), access)
#define atomic_load(p)                        INTERLEAVE_ATOMIC(atomic_load_explicit(p, memory_order_seq_cst))
#define atomic_store(p, v)                    INTERLEAVE_ATOMIC(atomic_store_explicit(p, v, memory_order_seq_cst))
#define atomic_fetch_add(p, v)                INTERLEAVE_ATOMIC(atomic_fetch_add_explicit(p, v, memory_order_seq_cst))
#define atomic_fetch_sub(p, v)                INTERLEAVE_ATOMIC(atomic_fetch_sub_explicit(p, v, memory_order_seq_cst))
#define atomic_fetch_or(p, v)                 INTERLEAVE_ATOMIC(atomic_fetch_or_explicit(p, v, memory_order_seq_cst))
#define atomic_fetch_and(p, v)                INTERLEAVE_ATOMIC(atomic_fetch_and_explicit(p, v, memory_order_seq_cst))
#define atomic_compare_exchange_weak(p, e, v) atomic_compare_exchange_strong(p, e, v)
#define atomic_compare_exchange_strong(p, e, v)                                                                                  \
    INTERLEAVE_ATOMIC(atomic_compare_exchange_strong_explicit(p, e, v, memory_order_seq_cst, memory_order_seq_cst))
#define pthread_mutex_lock(m)   interleave_lock(m)
#define pthread_mutex_unlock(m) interleave_unlock(m)
