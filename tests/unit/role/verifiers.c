/* verifiers: V1 to V4: who asks learns little, what is over or forgotten is gone, and a ring brings them over a restart. */
#include "../check.h"

#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "role/verifiers.h"

enum { WEEK = 7 * 86400 };

static const struct keyring none;
static uint64_t now;

/* Ids whose first bytes differ, as those of accounts do; they are random. */
static const uint8_t *id_of(unsigned i)
{
    static uint8_t id[VERIFIERS_ID];
    memset(id, 0, sizeof id);
    memcpy(id, &i, sizeof i);
    id[8] = (uint8_t)(i >> 8);
    id[9] = (uint8_t)i;
    return id;
}

static const uint8_t *proof_of(unsigned i)
{
    static uint8_t proof[VERIFIERS_QUESTION];
    memset(proof, 7, sizeof proof);
    memcpy(proof, &i, sizeof i);
    return proof;
}

static bool asks(struct verifiers *v, const uint8_t *id, const uint8_t *question, uint64_t at)
{
    uint8_t answer[VERIFIERS_ANSWER];
    bool right = verifiers_ask(v, id, question, at, answer);
    if (right)
        assert_memory_equal(answer, question, sizeof answer); /* as adds() has it */
    return right;
}

static void adds(struct verifiers *v, const uint8_t *id, const uint8_t *question, uint64_t at)
{
    verifiers_add(v, id, question, question, at);
}

static struct verifiers *start(const struct keyring *keys, unsigned limit)
{
    struct verifiers *v = NULL;
    struct error e = ERROR_NONE;
    if (verifiers_new(keys, &v, &e))
        fail_msg("%s", e.text);
    verifiers_set_limit(v, limit, true, now);
    return v;
}

static unsigned remembered(struct verifiers *v)
{
    struct verifiers_state s;
    verifiers_state(v, &s);
    return s.remembered;
}

static int setup(void **state)
{
    now = 1000000;
    log_set_level(LOG_ERROR);
    return 0;
}

static void what_was_right_is_known(void **state)
{
    struct verifiers *v = start(&none, WEEK);
    assert_false(asks(v, id_of(1), proof_of(1), now));
    adds(v, id_of(1), proof_of(1), now);
    adds(v, id_of(2), proof_of(2), now);
    for (int i = 0; i < 20; i++)
        assert_true(asks(v, id_of(1), proof_of(1), now));
    assert_true(asks(v, id_of(2), proof_of(2), now));
    assert_false(asks(v, id_of(2), proof_of(1), now));
    adds(v, id_of(1), proof_of(3), now); /* another password */
    assert_true(asks(v, id_of(1), proof_of(3), now));
    assert_false(asks(v, id_of(1), proof_of(1), now));
    assert_int_equal(remembered(v), 2);
    verifiers_forget(v, id_of(1));
    assert_false(asks(v, id_of(1), proof_of(3), now));
    verifiers_forget(v, NULL);
    assert_false(asks(v, id_of(2), proof_of(2), now));
    assert_int_equal(remembered(v), 0);
    verifiers_free(v);
}

/* V2: a role that was taken over has so many guesses for each time that Argon2 said yes. */
static void guesses_are_few(void **state)
{
    struct verifiers *v = start(&none, WEEK);
    adds(v, id_of(1), proof_of(1), now);
    for (unsigned i = 0; i < VERIFIERS_WRONG_MAX - 1; i++) {
        assert_false(asks(v, id_of(1), proof_of(100 + i), now + i));
        assert_true(asks(v, id_of(1), proof_of(1), now + i)); /* which gives no new ones */
    }
    assert_false(asks(v, id_of(1), proof_of(99), now + 10));
    assert_false(asks(v, id_of(1), proof_of(1), now + 10));
    assert_int_equal(remembered(v), 0);
    verifiers_free(v);
}

static void guesses_are_slow(void **state)
{
    struct verifiers *v = start(&none, WEEK);
    for (unsigned i = 0; i < 200; i++)
        adds(v, id_of(i), proof_of(i), now);
    for (unsigned i = 0; i < VERIFIERS_WRONG_PER_SECOND; i++)
        assert_false(asks(v, id_of(i), proof_of(1000), now));
    /* In this second no question is answered any more, and none is counted. */
    for (unsigned i = 0; i < 10 * VERIFIERS_WRONG_MAX; i++)
        assert_false(asks(v, id_of(150), proof_of(1000), now));
    assert_false(asks(v, id_of(150), proof_of(150), now));
    assert_true(asks(v, id_of(150), proof_of(150), now + 1));
    verifiers_free(v);
}

static void they_end_with_their_time(void **state)
{
    struct verifiers *v = start(&none, 100);
    adds(v, id_of(1), proof_of(1), now);
    adds(v, id_of(2), proof_of(2), now + 50);
    assert_true(asks(v, id_of(1), proof_of(1), now + 99));
    assert_false(asks(v, id_of(1), proof_of(1), now + 100)); /* being asked prolongs nothing */
    assert_int_equal(remembered(v), 1);
    verifiers_tend(v, now + 150);
    assert_int_equal(remembered(v), 0);
    adds(v, id_of(1), proof_of(1), now);
    verifiers_set_limit(v, 0, true, now); /* switched off */
    assert_false(asks(v, id_of(1), proof_of(1), now));
    adds(v, id_of(1), proof_of(1), now);
    assert_int_equal(remembered(v), 0);
    verifiers_free(v);
}

/* The shelf of some is full: the oldest of it goes. */
static void there_is_room_for_so_many(void **state)
{
    struct verifiers *v = start(&none, WEEK);
    uint8_t id[VERIFIERS_ID] = { 0 };
    for (unsigned i = 0; i < 500; i++) {
        memcpy(id, &i, sizeof i);
        adds(v, id, proof_of(i), now + i);
    }
    assert_in_range(remembered(v), 100, 200);
    assert_true(asks(v, id, proof_of(499), now + 500));
    memset(id, 0, sizeof id);
    assert_false(asks(v, id, proof_of(0), now + 500));
    verifiers_free(v);
}

static void a_ring_brings_them_over_a_restart(void **state)
{
    struct keyring ring;
    struct error e = ERROR_NONE;
    char name[64];
    (void)snprintf(name, sizeof name, "valise-verifiers-%d", (int)getpid());
    if (keyring_open(name, (gid_t)-1, &ring, &e)) {
        print_message("skipped: %s\n", e.text);
        skip();
    }
    struct verifiers *v = start(&ring, WEEK);
    for (unsigned i = 0; i < 300; i++)
        adds(v, id_of(i), proof_of(i), now);
    assert_false(asks(v, id_of(5), proof_of(1), now));
    verifiers_tend(v, now);
    verifiers_forget(v, id_of(7)); /* not at the next tending: at once */
    struct verifiers *next = start(&ring, WEEK);
    assert_int_equal(remembered(next), 299);
    assert_true(asks(next, id_of(299), proof_of(299), now + 1));
    assert_false(asks(next, id_of(7), proof_of(7), now + 1));
    for (unsigned i = 0; i < VERIFIERS_WRONG_MAX - 1; i++) /* V2 holds over restarts */
        assert_false(asks(next, id_of(5), proof_of(1), now + 1));
    assert_false(asks(next, id_of(5), proof_of(5), now + 1));
    verifiers_free(next);
    next = start(&ring, 0); /* switched off: the kernel has nothing any more */
    verifiers_free(next);
    char left[256];
    for (size_t i = 0; i < KEYRING_KEYS; i++)
        assert_int_equal(keyring_read(&ring, i, left, sizeof left), 0);
    /* What is not ours, or damaged, is nothing. */
    assert_int_equal(keyring_write(&ring, 0, STR("\2 of a later version")), 0);
    assert_int_equal(keyring_write(&ring, 3, STR("\1 too short")), 0);
    next = start(&ring, WEEK);
    assert_int_equal(remembered(next), 0);
    verifiers_free(next);
    assert_int_equal(keyring_write(&ring, 3, STR("\1 too short")), 0);
    next = start(&ring, WEEK);
    assert_int_equal(remembered(next), 0);
    verifiers_free(next);
    verifiers_free(v);
    (void)syscall(SYS_keyctl, KEYCTL_UNLINK, ring.ring, KEY_SPEC_USER_KEYRING);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_right_is_known, setup),
        cmocka_unit_test_setup(guesses_are_few, setup),
        cmocka_unit_test_setup(guesses_are_slow, setup),
        cmocka_unit_test_setup(they_end_with_their_time, setup),
        cmocka_unit_test_setup(there_is_room_for_so_many, setup),
        cmocka_unit_test_setup(a_ring_brings_them_over_a_restart, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
