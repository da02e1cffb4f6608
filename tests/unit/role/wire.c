/* wire: messages between roles survive the round trip; every cut and every flipped byte is refused or gives a valid message, never a crash. */
#include "../check.h"

#include "role/wire.h"

static const str recipients[] = { STR_INIT("bob@mondomaine.fr"), STR_INIT("marie@mondomaine.fr") };

static const struct dsn_request wishes[] = {
    { .notify = DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY, .orcpt = STR_INIT("rfc822;bob@x") }, { .notify = 0 }
};

static struct smtp_delivery sample(void)
{
    return (struct smtp_delivery){ .session = STR("0abc"),
                                   .id = STR("0def"),
                                   .reverse_path = STR("alice@mondomaine.fr"),
                                   .recipients = recipients,
                                   .recipient_n = 2,
                                   .dsn = wishes,
                                   .ret = DSN_RET_HDRS,
                                   .envid = STR("QQ1"),
                                   .smtputf8 = true,
                                   .message = STR("Subject: x\r\n\r\nbody\r\n"),
                                   .fd = -1,
                                   .structure = STR("structure") };
}

static void test_delivery_round_trip(void **state)
{
    (void)state;
    for (int inlined = 0; inlined < 2; inlined++) {
        struct buf b = BUF_INIT(4096);
        struct arena a = ARENA_INIT(4096);
        struct smtp_delivery d = sample(), got;
        bool is_inline = !inlined;
        wire_pack_delivery(&b, &d, inlined);
        assert_int_equal(wire_unpack_delivery(buf_str(&b), &a, &got, &is_inline), 0);
        assert_int_equal(is_inline, inlined);
        check_str(got.session, "0abc");
        check_str(got.id, "0def");
        check_str(got.reverse_path, "alice@mondomaine.fr");
        assert_int_equal(got.recipient_n, 2);
        check_str(got.recipients[1], "marie@mondomaine.fr");
        assert_true(got.smtputf8);
        assert_false(got.body_8bit);
        assert_int_equal(got.ret, DSN_RET_HDRS);
        check_str(got.envid, "QQ1");
        assert_int_equal(got.dsn[0].notify, DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY);
        check_str(got.dsn[0].orcpt, "rfc822;bob@x");
        assert_int_equal(got.dsn[1].notify, 0);
        check_str(got.dsn[1].orcpt, "");
        check_str(got.structure, "structure");
        check_str(got.message, inlined ? "Subject: x\r\n\r\nbody\r\n" : "");
        arena_done(&a);
        buf_done(&b);
    }
}

static void test_every_cut_of_a_delivery_is_refused(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(4096);
    struct smtp_delivery d = sample(), got;
    bool inlined;
    wire_pack_delivery(&b, &d, true);
    for (size_t n = 0; n < b.n; n++) {
        struct arena a = ARENA_INIT(4096);
        str cut = check_copy(str_sub(buf_str(&b), 0, n));
        assert_int_equal(wire_unpack_delivery(cut, &a, &got, &inlined), ERR_CORRUPT);
        check_free(cut);
        arena_done(&a);
    }
    for (size_t i = 0; i < b.n; i++) {
        struct arena a = ARENA_INIT(1 << 20);
        str copy = check_copy(buf_str(&b));
        ((char *)(uintptr_t)copy.p)[i] ^= 0x55;
        int err = wire_unpack_delivery(copy, &a, &got, &inlined);
        assert_true(err == 0 || err == ERR_CORRUPT || err == ERR_LIMIT);
        check_free(copy);
        arena_done(&a);
    }
    buf_done(&b);
}

static void test_wishes_that_nobody_can_say_are_refused(void **state)
{
    (void)state;
    struct dsn_request bad[] = { { .notify = DSN_NOTIFY_NEVER | DSN_NOTIFY_DELAY }, { .notify = 0 } };
    for (unsigned i = 0; i < 3; i++) {
        struct buf b = BUF_INIT(4096);
        struct arena a = ARENA_INIT(4096);
        struct smtp_delivery d = sample(), got;
        bool inlined;
        if (i == 0)
            d.dsn = bad;
        else if (i == 1)
            d.ret = (enum dsn_ret)3;
        else
            d.envid = STR("a\nb");
        wire_pack_delivery(&b, &d, true);
        assert_int_equal(wire_unpack_delivery(buf_str(&b), &a, &got, &inlined), ERR_CORRUPT);
        arena_done(&a);
        buf_done(&b);
    }
}

static void test_a_delivery_to_nobody_is_refused(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(4096);
    struct arena a = ARENA_INIT(4096);
    struct smtp_delivery d = sample(), got;
    bool inlined;
    d.recipient_n = 0;
    wire_pack_delivery(&b, &d, true);
    assert_int_equal(wire_unpack_delivery(buf_str(&b), &a, &got, &inlined), ERR_CORRUPT);
    arena_done(&a);
    buf_done(&b);
}

/* What goes into header fields and logs must not bring lines of its own. */
static void test_control_bytes_in_an_envelope_are_refused(void **state)
{
    (void)state;
    static const str bad[] = { STR_INIT("a@b\r\nBcc: c@d"), STR_INIT("a\nb@c"), STR_INIT("a\x7f@b"), STR_INIT("\x01@b") };
    for (size_t i = 0; i < 4 * (sizeof bad / sizeof bad[0]); i++) {
        struct buf b = BUF_INIT(4096);
        struct arena a = ARENA_INIT(4096);
        struct smtp_delivery d = sample(), got;
        str one = bad[i / 4];
        bool inlined;
        d.recipients = i % 4 == 0 ? &one : d.recipients;
        d.recipient_n = i % 4 == 0 ? 1 : d.recipient_n;
        d.reverse_path = i % 4 == 1 ? one : d.reverse_path;
        d.session = i % 4 == 2 ? one : d.session;
        d.id = i % 4 == 3 ? one : d.id;
        wire_pack_delivery(&b, &d, true);
        assert_int_equal(wire_unpack_delivery(buf_str(&b), &a, &got, &inlined), ERR_CORRUPT);
        arena_done(&a);
        buf_done(&b);
    }
}

static void test_setup_counts_and_roles_round_trip(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(4096);
    struct arena a = ARENA_INIT(65536);
    const struct wire_identity ids[] = { { STR(""), STR("PEM"), STR("00ff") }, { STR("mail.x"), STR("PEM2"), STR("11") } };
    const struct wire_setup setup = { .config_text = STR("hostname"),
                                      .port_offset = 10000,
                                      .instance = 3,
                                      .identities = ids,
                                      .identity_n = 2,
                                      .ca_pem = STR("CA") };
    struct wire_setup got;
    wire_pack_setup(&b, &setup);
    assert_int_equal(wire_unpack_setup(buf_str(&b), &a, &got), 0);
    assert_int_equal(got.port_offset, 10000);
    assert_int_equal(got.instance, 3);
    check_str(got.identities[1].key_id, "11");
    check_str(got.ca_pem, "CA");
    buf_add_byte(&b, 0);
    assert_int_equal(wire_unpack_setup(buf_str(&b), &a, &got), ERR_CORRUPT);
    buf_reset(&b);
    const struct wire_role_status roles[] = {
        { STR("mx"), 77, 1, 1234, { 1, 2, 3, 4, 5, 12, 13, 6, 7, { { 8, 9 }, { 10, 11 } } } }
    };
    struct wire_role_status *list;
    size_t n;
    wire_pack_roles(&b, &(struct wire_sandbox){ 2, true }, roles, 1);
    struct wire_sandbox sandbox;
    assert_int_equal(wire_unpack_roles(buf_str(&b), &a, &sandbox, &list, &n), 0);
    assert_true(sandbox.landlock_abi == 2 && sandbox.users);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].counts.queued, 5);
    assert_int_equal(list[0].counts.refused, 7);
    assert_int_equal(list[0].counts.descriptors, 12);
    assert_int_equal(list[0].counts.descriptors_max, 13);
    assert_int_equal(list[0].counts.signatures[1].made, 10);
    assert_int_equal(list[0].counts.signatures[1].refused, 11);
    assert_int_equal(list[0].pid, 77);
    buf_reset(&b);
    str key, data;
    uint16_t scheme;
    wire_pack_sign(&b, STR("abcd"), 0x0403, STR("message"));
    assert_int_equal(wire_unpack_sign(buf_str(&b), &key, &scheme, &data), 0);
    assert_int_equal(scheme, 0x0403);
    check_str(data, "message");
    buf_add_byte(&b, 0);
    assert_int_equal(wire_unpack_sign(buf_str(&b), &key, &scheme, &data), ERR_CORRUPT);
    arena_done(&a);
    buf_done(&b);
}

static void test_orders_round_trip_and_are_bounded(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1 << 20);
    struct arena a = ARENA_INIT(1 << 20);
    const str names[101] = { STR("mail.mondomaine.fr"), STR("127.0.0.1") };
    const bool outside[101] = { false, true };
    static const struct {
        uint8_t use;
        uint64_t seconds;
        size_t name_n;
        int expected;
    } rows[] = { { 0, 60, 2, 0 },
                 { 1, 1 << 30, 100, 0 },
                 { 2, 60, 2, ERR_CORRUPT },
                 { 0, (1 << 30) + 1, 2, ERR_CORRUPT },
                 { 0, 60, 101, ERR_CORRUPT } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_order got;
        buf_reset(&b);
        wire_pack_order(&b, &(struct wire_order){ rows[i].use, rows[i].seconds, names, outside, rows[i].name_n, STR("PEM") });
        assert_int_equal(wire_unpack_order(buf_str(&b), &a, &got), rows[i].expected);
        if (rows[i].expected)
            continue;
        assert_int_equal(got.use, rows[i].use);
        assert_int_equal(got.seconds, rows[i].seconds);
        assert_int_equal(got.name_n, rows[i].name_n);
        check_str(got.names[1], "127.0.0.1");
        assert_false(got.outside[0]);
        assert_true(got.outside[1]);
        check_str(got.subject_pem, "PEM");
        for (size_t n = 0; n < b.n; n++)
            assert_int_equal(wire_unpack_order((str){ b.p, n }, &a, &got), ERR_CORRUPT);
    }
    arena_done(&a);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery_round_trip),
        cmocka_unit_test(test_every_cut_of_a_delivery_is_refused),
        cmocka_unit_test(test_a_delivery_to_nobody_is_refused),
        cmocka_unit_test(test_wishes_that_nobody_can_say_are_refused),
        cmocka_unit_test(test_control_bytes_in_an_envelope_are_refused),
        cmocka_unit_test(test_setup_counts_and_roles_round_trip),
        cmocka_unit_test(test_orders_round_trip_and_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
