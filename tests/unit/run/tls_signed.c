/* tls_signed: what a server signs in a handshake, and nothing else, is recognised. That libssl gives exactly this is seen by the other tests of TLS,
 * whose signer asks here. */
#include "../check.h"

#include "base/buf.h"
#include "run/tls_signed.h"

enum { NEITHER = -1 };

static char spaces[64], randoms[64];

/* HEAD, then N bytes of FILL. */
static str make(struct buf *b, str first, str head, size_t n, char fill)
{
    buf_reset(b);
    buf_add_all(b, first, head);
    for (size_t i = 0; i < n; i++)
        buf_add_byte(b, fill);
    return buf_str(b);
}

static int kind_of(uint16_t scheme, str message)
{
    enum tls_signed kind = TLS_SIGNED_13;
    str copy = check_copy(message);
    int err = tls_signed_kind(scheme, copy, &kind);
    check_free(copy);
    assert_true(err == 0 || err == ERR_REFUSED);
    return err ? NEITHER : (int)kind;
}

static void test_messages(void **state)
{
    static const struct {
        str head;
        size_t n;
        bool after_spaces;
        int expected;
    } rows[] = {
        { STR_INIT("TLS 1.3, server CertificateVerify\0"), 32, true, TLS_SIGNED_13 },
        { STR_INIT("TLS 1.3, server CertificateVerify\0"), 48, true, TLS_SIGNED_13 },
        { STR_INIT("TLS 1.3, server CertificateVerify\0"), 20, true, NEITHER },
        { STR_INIT("TLS 1.3, server CertificateVerify\0"), 31, true, NEITHER },
        { STR_INIT("TLS 1.3, server CertificateVerify\0"), 33, true, NEITHER },
        { STR_INIT("TLS 1.3, server CertificateVerify\0"), 64, true, NEITHER },
        { STR_INIT("TLS 1.3, server CertificateVerify\0"), 0, true, NEITHER },
        { STR_INIT("TLS 1.3, server CertificateVerify\0"), 32, false, NEITHER },
        { STR_INIT("TLS 1.3, client CertificateVerify\0"), 32, true, NEITHER },
        { STR_INIT("TLS 1.3, server CertificateVerify "), 32, true, NEITHER },
        { STR_INIT("QUIC 1.3, server CertificateVerify\0"), 32, true, NEITHER },
        { STR_INIT("\3\0\x17\x41\4"), 64, false, TLS_SIGNED_12 }, /* P-256 */
        { STR_INIT("\3\0\x18\x61\4"), 96, false, TLS_SIGNED_12 }, /* P-384 */
        { STR_INIT("\3\0\x1d\x20"), 32, false, TLS_SIGNED_12 },   /* X25519 */
        { STR_INIT("\3\0\x17\x41\3"), 64, false, NEITHER },       /* a compressed point */
        { STR_INIT("\3\0\x17\x41\4"), 63, false, NEITHER },       /* cut */
        { STR_INIT("\3\0\x17\x41\4"), 65, false, NEITHER },       /* more */
        { STR_INIT("\3\0\x17\x21\4"), 32, false, NEITHER },       /* another length */
        { STR_INIT("\3\0\x1d\x21"), 33, false, NEITHER },
        { STR_INIT("\3\0\x19\x85\4"), 132, false, NEITHER }, /* P-521 is not offered */
        { STR_INIT("\3\1\0\x20"), 32, false, NEITHER },      /* ffdhe2048 */
        { STR_INIT("\1\0\x17\x41\4"), 64, false, NEITHER },  /* explicit curves, RFC 8422 section 5.4 */
        { STR_INIT(""), 0, false, NEITHER },
        { STR_INIT("\3"), 0, false, NEITHER },
        { STR_INIT("\3\0\x1d\x20"), 0, false, NEITHER },
    };
    memset(spaces, ' ', sizeof spaces);
    memset(randoms, 'r', sizeof randoms);
    struct buf b = BUF_INIT(4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        str first = rows[i].after_spaces ? (str){ spaces, 64 } : (str){ randoms, 64 };
        int got = kind_of(0x0804, make(&b, first, rows[i].head, rows[i].n, 'x'));
        if (got != rows[i].expected)
            fail_msg("row %zu is %d", i, got);
    }
    /* Each byte of the frame of a CertificateVerify counts; those of the hash may be any. */
    str good = make(&b, (str){ spaces, 64 }, STR("TLS 1.3, server CertificateVerify\0"), 32, 'x');
    for (size_t i = 0; i < good.n; i++) {
        b.p[i] ^= 1;
        assert_int_equal(kind_of(0x0804, buf_str(&b)), i < 98 ? NEITHER : TLS_SIGNED_13);
        b.p[i] ^= 1;
        assert_int_equal(kind_of(0x0804, str_sub(good, 0, i)), NEITHER);
    }
    /* Digests, blocks with padding, other people's documents. */
    for (size_t n = 0; n <= 512; n++)
        assert_int_equal(kind_of(0x0804, make(&b, STR(""), STR(""), n, (char)0xff)), NEITHER);
    buf_done(&b);
}

static void test_schemes(void **state)
{
    struct buf verify = BUF_INIT(4096), exchange = BUF_INIT(4096);
    (void)make(&verify, (str){ spaces, 64 }, STR("TLS 1.3, server CertificateVerify\0"), 32, 'x');
    (void)make(&exchange, (str){ randoms, 64 }, STR("\3\0\x1d\x20"), 32, 'x');
    for (unsigned scheme = 0; scheme <= 0xffff; scheme++) {
        unsigned hash = scheme >> 8, kind = scheme & 0xff;
        bool pss = hash == 8 && kind >= 4 && kind <= 6, sha2 = hash >= 4 && hash <= 6;
        bool in_13 = pss || (sha2 && kind == 3), in_12 = in_13 || (sha2 && kind == 1);
        assert_int_equal(kind_of((uint16_t)scheme, buf_str(&verify)), in_13 ? TLS_SIGNED_13 : NEITHER);
        assert_int_equal(kind_of((uint16_t)scheme, buf_str(&exchange)), in_12 ? TLS_SIGNED_12 : NEITHER);
    }
    buf_done(&verify);
    buf_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_messages), cmocka_unit_test(test_schemes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
