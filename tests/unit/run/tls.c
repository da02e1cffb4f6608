/* tls: handshakes over loopback with OpenSSL as client; private keys are behind the signer, as in production. */
#include "tls_fixture.h"

#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>

/* --- tests --- */

static void every_key_and_version(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (size_t key = KEY_P256; key <= KEY_RSA; key++) {
        struct loopback l;
        struct tls_holder *h = holder_of(key, "");
        loopback_start(&l, &small, h, true);
        for (size_t v = 0; v < 2; v++) {
            unsigned before = atomic_load(&signatures);
            struct client c = client_make(client_connect(&l), "mail.example.org", versions[v]);
            char line[512];
            handshake(&c);
            assert_int_equal(atomic_load(&signatures), before + 1);
            tls_expect(&c, STR("hello\r\n"));
            str info = tls_info_line(&c, line);
            assert_true(has(info, v ? "version=TLSv1.3 " : "version=TLSv1.2 "));
            assert_true(has(info, "sni=mail.example.org alpn= resumed=0"));
            assert_true(has(info, v ? "cipher=TLS_" : "cipher=ECDHE-"));
            tls_send(&c, STR("BIG 1000000\r\nx\r\n"));
            tls_read_big(&c, 1000000);
            tls_expect(&c, STR("x\r\n"));
            tls_send(&c, STR("QUIT\r\n"));
            tls_expect(&c, STR("bye\r\n"));
            char end;
            assert_int_equal(SSL_read(c.ssl, &end, 1), 0); /* close_notify */
            assert_int_equal(SSL_get_error(c.ssl, 0), SSL_ERROR_ZERO_RETURN);
            tls_client_free(&c);
        }
        loopback_stop(&l, 10000);
        tls_holder_free(h);
    }
}

static void starttls(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_of(KEY_P256, "");
    loopback_start(&l, &small, h, false);
    int fd = client_connect(&l);
    client_expect(fd, STR("hello\r\n"));
    client_send(fd, STR("plain\r\nTLS\r\n"));
    client_expect(fd, STR("plain\r\ngo\r\n"));
    struct client c = client_make(fd, NULL, 0);
    handshake(&c);
    tls_expect(&c, STR("secured\r\n"));
    tls_send(&c, STR("in secret\r\nTLS\r\n"));
    tls_expect(&c, STR("in secret\r\n454 no\r\n"));
    tls_client_free(&c);
    /* What is said in the same breath as STARTTLS ends the connection. */
    fd = client_connect(&l);
    client_expect(fd, STR("hello\r\n"));
    client_send(fd, STR("TLS\r\nevil\r\n"));
    client_expect(fd, STR("go\r\n"));
    client_expect_eof(fd);
    (void)close(fd);
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

/* The client's bytes arrive one at a time. */
static void handshake_at_every_split(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_of(KEY_P256, "");
    loopback_start(&l, &small, h, true);
    int fd = client_connect(&l);
    struct client c = client_make(fd, NULL, 0);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(c.ssl, in, out);
    SSL_set_connect_state(c.ssl);
    char byte, text[100];
    size_t n = 0;
    bool sent = false;
    while (n < 10) {
        int r = SSL_is_init_finished(c.ssl) ? SSL_read(c.ssl, text + n, 1) : SSL_do_handshake(c.ssl);
        if (r == 1 && SSL_is_init_finished(c.ssl) && !sent) {
            assert_int_equal(SSL_write(c.ssl, "x\r\n", 3), 3);
            sent = true;
            n = 0;
            continue;
        }
        n += r == 1;
        while (BIO_read(out, &byte, 1) == 1)
            client_send(fd, (str){ &byte, 1 });
        if (r != 1) {
            assert_int_equal(SSL_get_error(c.ssl, r), SSL_ERROR_WANT_READ);
            assert_int_equal(recv(fd, &byte, 1, 0), 1);
            BIO_write(in, &byte, 1);
        }
    }
    assert_memory_equal(text, "hello\r\nx\r\n", 10);
    tls_client_free(&c);
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

static void old_versions_are_refused(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_of(KEY_RSA, "");
    loopback_start(&l, &small, h, true);
    struct client c = client_make(client_connect(&l), NULL, TLS1_1_VERSION);
    SSL_set_security_level(c.ssl, 0);
    ERR_clear_error();
    assert_int_not_equal(SSL_connect(c.ssl), 1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    tls_client_free(&c);
    /* No CBC, no static RSA. */
    c = client_make(client_connect(&l), NULL, TLS1_2_VERSION);
    assert_int_equal(SSL_set_cipher_list(c.ssl, "ECDHE-RSA-AES256-SHA384:AES128-GCM-SHA256:AES128-SHA"), 1);
    ERR_clear_error();
    assert_int_not_equal(SSL_connect(c.ssl), 1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
    tls_client_free(&c);
    /* What is no TLS at all. */
    int fd = client_connect(&l);
    client_send(fd, STR("EHLO plain\r\n"));
    char bytes[100];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        ;
    (void)close(fd);
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

static void alpn(void **state)
{
    static const struct {
        const char *ours;
        const char *offer;  /* NULL: no extension */
        const char *agreed; /* NULL: refused */
    } cases[] = {
        { "", NULL, "" },
        { "", "\4imap", NULL },
        { "imap", NULL, "" },
        { "imap", "\4imap", "imap" },
        { "imap", "\2h2\4imap", "imap" },
        { "imap", "\2h2\10http/1.1", NULL },
        { "imap", "\5imaps\3ima", NULL },
        { "pop3,imap", "\4imap\4pop3", "pop3" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loopback l;
        struct tls_holder *h = holder_of(KEY_P256, cases[i].ours);
        loopback_start(&l, &small, h, true);
        struct client c = client_make(client_connect(&l), i % 2 ? NULL : "other.example.net", 0);
        if (cases[i].offer)
            SSL_set_alpn_protos(c.ssl, (const unsigned char *)cases[i].offer, (unsigned)strlen(cases[i].offer));
        if (cases[i].agreed) {
            char line[512], want[64];
            handshake(&c);
            tls_expect(&c, STR("hello\r\n"));
            (void)snprintf(want, sizeof want, "alpn=%s resumed", cases[i].agreed);
            assert_true(has(tls_info_line(&c, line), want));
        } else {
            ERR_clear_error();
            assert_int_not_equal(SSL_connect(c.ssl), 1);
            assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL);
        }
        tls_client_free(&c);
        loopback_stop(&l, 10000);
        tls_holder_free(h);
    }
}

static void server_names(void **state)
{
    static const struct {
        const char *asked;
        size_t key;
    } cases[] = { { NULL, KEY_P256 },
                  { "mail.example.org", KEY_P256 },
                  { "other.example.net", KEY_OTHER },
                  { "OTHER.Example.NET", KEY_OTHER },
                  { "unknown.example", KEY_P256 } };
    struct loopback l;
    struct tls_holder *h = holder_of(KEY_P256, "");
    loopback_start(&l, &small, h, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct client c = client_make(client_connect(&l), NULL, 0);
        if (cases[i].asked)
            SSL_set_tlsext_host_name(c.ssl, cases[i].asked);
        handshake(&c);
        X509 *got = SSL_get1_peer_certificate(c.ssl);
        assert_int_equal(X509_cmp(got, keys[cases[i].key].cert), 0);
        X509_free(got);
        tls_client_free(&c);
    }
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

static void both_kinds_of_key_under_one_name(void **state)
{
    struct tls_identity id[2] = {
        { .chain_pem = { keys[KEY_P256].pem, keys[KEY_P256].pem_n }, .key_id = str_from_z(keys[KEY_P256].id) },
        { .chain_pem = { keys[KEY_RSA].pem, keys[KEY_RSA].pem_n }, .key_id = str_from_z(keys[KEY_RSA].id) }
    };
    struct error e = ERROR_NONE;
    struct tls_context *t = tls_context_new(id, 2, (struct tls_signer){ sign, NULL }, STR(""), &e);
    assert_non_null(t);
    struct tls_holder *h = tls_holder_new(t);
    tls_context_unref(t);
    struct loopback l;
    loopback_start(&l, &small, h, true);
    static const char *const algorithms[] = { "ECDSA+SHA256", "rsa_pss_rsae_sha256" };
    static const size_t expected[] = { KEY_P256, KEY_RSA };
    for (size_t i = 0; i < 2; i++) {
        struct client c = client_make(client_connect(&l), NULL, 0);
        assert_int_equal(SSL_set1_sigalgs_list(c.ssl, algorithms[i]), 1);
        handshake(&c);
        X509 *got = SSL_get1_peer_certificate(c.ssl);
        assert_int_equal(X509_cmp(got, keys[expected[i]].cert), 0);
        X509_free(got);
        tls_client_free(&c);
    }
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

/* One dialogue; offers SESSION (may be NULL) and replaces it by the one it got. Whether it was resumed. */
static bool dialogue(struct loopback *l, int version, SSL_SESSION **session)
{
    struct client c = client_make(client_connect(l), "mail.example.org", version);
    char line[512];
    if (*session)
        SSL_set_session(c.ssl, *session);
    handshake(&c);
    tls_expect(&c, STR("hello\r\n"));
    bool resumed = has(tls_info_line(&c, line), "resumed=1");
    assert_int_equal(resumed, SSL_session_reused(c.ssl));
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(c.ssl);
    tls_client_free(&c);
    return resumed;
}

static void tickets(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    char material[160];
    for (size_t v = 0; v < 2; v++) {
        struct loopback l;
        struct tls_context *t = context_of(KEY_P256, "");
        struct tls_holder *h = tls_holder_new(t);
        loopback_start(&l, &small, h, true);
        SSL_SESSION *session = NULL;
        assert_false(dialogue(&l, versions[v], &session));
        assert_true(dialogue(&l, versions[v], &session));
        assert_true(dialogue(&l, versions[v], &session));
        memset(material, 'a', 80);
        tls_context_set_ticket_keys(t, (str){ material, 80 });
        assert_false(dialogue(&l, versions[v], &session)); /* the old key is gone */
        assert_true(dialogue(&l, versions[v], &session));
        memset(material, 'b', 80);
        memset(material + 80, 'a', 80);
        tls_context_set_ticket_keys(t, (str){ material, 160 });
        assert_true(dialogue(&l, versions[v], &session)); /* by the key before, renewed */
        tls_context_set_ticket_keys(t, (str){ material, 80 });
        assert_true(dialogue(&l, versions[v], &session));
        /* A new context with the same keys (a reload, another process) goes on with them. */
        struct tls_context *again = context_of(KEY_P256, "");
        tls_context_set_ticket_keys(again, (str){ material, 80 });
        tls_holder_replace(h, again);
        tls_context_unref(again);
        assert_true(dialogue(&l, versions[v], &session));
        SSL_SESSION_free(session);
        loopback_stop(&l, 10000);
        tls_holder_free(h);
        tls_context_unref(t);
    }
}

static void replacing_the_context(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_of(KEY_P256, "");
    loopback_start(&l, &small, h, true);
    struct client old = client_make(client_connect(&l), NULL, 0);
    handshake(&old);
    struct tls_context *t = context_of(KEY_RSA, "");
    tls_holder_replace(h, t);
    tls_context_unref(t);
    struct client c = client_make(client_connect(&l), NULL, 0);
    handshake(&c);
    X509 *got = SSL_get1_peer_certificate(c.ssl);
    assert_int_equal(X509_cmp(got, keys[KEY_RSA].cert), 0);
    X509_free(got);
    tls_send(&old, STR("still\r\n"));
    tls_expect(&old, STR("hello\r\nstill\r\n"));
    tls_client_free(&old);
    tls_client_free(&c);
    /* None at all: STARTTLS is not offered, implicit TLS closes. */
    tls_holder_replace(h, NULL);
    int fd = client_connect(&l);
    client_send(fd, STR("x"));
    char byte;
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    (void)close(fd);
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

static void a_signer_that_fails(void **state)
{
    struct loopback l;
    static const size_t some[] = { KEY_P256, KEY_RSA };
    for (size_t i = 0; i < 2; i++) {
        struct tls_holder *h = holder_of(some[i], "");
        loopback_start(&l, &small, h, true);
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            atomic_store(&signer_fails, true);
            struct client c = client_make(client_connect(&l), NULL, version);
            assert_int_not_equal(SSL_connect(c.ssl), 1);
            tls_client_free(&c);
            atomic_store(&signer_fails, false);
            c = client_make(client_connect(&l), NULL, version);
            handshake(&c);
            tls_client_free(&c);
        }
        loopback_stop(&l, 10000);
        tls_holder_free(h);
    }
}

static void slow_handshakes_cost_no_threads(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_of(KEY_P256, "");
    loopback_start(&l, &small, h, true);
    int slow[120];
    const unsigned slow_n = check_many(120, 12), users = check_many(20, 3);
    for (size_t i = 0; i < slow_n; i++) {
        slow[i] = client_connect(&l);
        client_send(slow[i], i % 2 ? STR("") : STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
    }
    struct client unread = client_make(client_connect(&l), NULL, 0);
    handshake(&unread);
    tls_send(&unread, STR("BIG 300000000\r\n"));
    for (size_t i = 0; i < users; i++) {
        struct client c = client_make(client_connect(&l), NULL, 0);
        handshake(&c);
        tls_send(&c, STR("ping\r\n"));
        tls_expect(&c, STR("hello\r\nping\r\n"));
        tls_client_free(&c);
    }
    assert_true(server_counts(l.server).workers_peak <= 4);
    assert_true(atomic_load(&l.world.pulled) < 50000000);
    for (size_t i = 0; i < slow_n; i++)
        (void)close(slow[i]);
    tls_client_free(&unread);
    loopback_stop(&l, 10000);
    tls_holder_free(h);
}

static void handshakes_have_a_deadline(void **state)
{
    struct loopback l;
    struct tls_holder *h = holder_of(KEY_P256, "");
    loopback_handshake_ms = 30;
    loopback_start(&l, &small, h, true);
    int silent = client_connect(&l), half = client_connect(&l);
    client_send(half, STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
    client_expect_eof(silent);
    char byte;
    assert_true(recv(half, &byte, 1, 0) <= 0);
    (void)close(silent);
    (void)close(half);
    loopback_stop(&l, 10000);
    loopback_handshake_ms = 0;
    tls_holder_free(h);
}

static void bad_contexts(void **state)
{
    struct tls_signer signer = { sign, NULL };
    str pem = { keys[KEY_P256].pem, keys[KEY_P256].pem_n };
    char cut[8192], junk[65];
    memcpy(cut, pem.p, pem.n);
    cut[pem.n / 2] = '!';
    const struct {
        struct tls_identity id;
        int code;
    } cases[] = {
        { { .chain_pem = STR("") }, ERR_SYNTAX },
        { { .chain_pem = STR("-----BEGIN CERTIFICATE-----\n") }, ERR_SYNTAX },
        { { .chain_pem = { cut, pem.n } }, ERR_SYNTAX },
        { { .name = STR("a.example"), .chain_pem = pem }, ERR_NOTFOUND },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error e = ERROR_NONE;
        assert_null(tls_context_new(&cases[i].id, 1, signer, STR(""), &e));
        assert_int_equal(e.code, cases[i].code);
    }
    /* An Ed25519 key has no signer protocol. */
    struct test_key ed = { 0 };
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *x = X509_dup(keys[KEY_P256].cert);
    X509_set_pubkey(x, pkey);
    assert_true(X509_sign(x, pkey, NULL) > 0);
    BIO *b = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(b, x);
    ed.pem_n = (size_t)BIO_read(b, ed.pem, sizeof ed.pem);
    BIO_free(b);
    X509_free(x);
    EVP_PKEY_free(pkey);
    struct error e = ERROR_NONE;
    assert_null(tls_context_new(&(struct tls_identity){ .chain_pem = { ed.pem, ed.pem_n } }, 1, signer, STR(""), &e));
    assert_int_equal(e.code, ERR_UNSUPPORTED);
    assert_int_equal(tls_key_id(STR("nothing"), junk), ERR_SYNTAX);
    assert_int_equal(strlen(keys[KEY_P256].id), 64);
    assert_string_not_equal(keys[KEY_P256].id, keys[KEY_OTHER].id);
}

/* A server-side stream and its client over a socket pair, the handshake done, in one thread. */
static struct stream *pair_make(struct client *ret_client, int fd[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    struct tls_context *t = context_of(KEY_P256, "");
    struct layer *l = layer_tls_new(t, fd[0], &(struct tls_demand){ 0 });
    tls_context_unref(t); /* the layer holds it */
    *ret_client = client_make(fd[1], NULL, 0);
    struct error e = ERROR_NONE;
    int server = ERR_AGAIN, client = 0;
    while (server == ERR_AGAIN || client != 1) {
        if (client != 1)
            client = SSL_connect(ret_client->ssl);
        if (server == ERR_AGAIN)
            server = layer_tls_handshake(l, &e);
    }
    assert_int_equal(server, 0);
    return stream_new(l);
}

/* stream_fill when the peer has written meanwhile: after a short read the layer says once, without looking, that there is no more. */
static int fill_again(struct stream *s)
{
    int r = stream_fill(s);
    return r == ERR_AGAIN ? stream_fill(s) : r;
}

/* Whoever can cut a connection must not be able to make the cut look like the peer's end (RFC 8446 section 6.1). */
static void a_cut_is_no_end(void **state)
{
    for (int orderly = 0; orderly < 2; orderly++) {
        struct client c;
        int fd[2];
        struct stream *s = pair_make(&c, fd);
        assert_int_equal(fill_again(s), ERR_AGAIN);
        tls_send(&c, STR("half"));
        assert_int_equal(fill_again(s), 0);
        assert_true(str_eq(stream_peek(s), STR("half")));
        if (orderly)
            SSL_shutdown(c.ssl);
        assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
        assert_int_equal(fill_again(s), orderly ? ERR_EOF : ERR_IO);
        assert_int_equal(stream_fill(s), orderly ? ERR_EOF : ERR_IO);
        stream_free(s);
        tls_client_free(&c);
        (void)close(fd[0]);
    }
}

/* A record longer than what is read at once stays in the layer: the connection must not park. */
static void what_the_layer_holds_counts(void **state)
{
    struct client c;
    int fd[2];
    struct stream *s = pair_make(&c, fd);
    char text[10000];
    memset(text, 'x', sizeof text);
    tls_send(&c, (str){ text, sizeof text });
    assert_int_equal(fill_again(s), 0);
    stream_consume(s, stream_peek(s).n);
    assert_true(stream_has_input(s));
    stream_idle(s); /* gives nothing back that is needed */
    size_t n = 4096;
    while (fill_again(s) == 0) {
        n += stream_peek(s).n;
        stream_consume(s, stream_peek(s).n);
        stream_idle(s);
    }
    assert_int_equal(n, sizeof text);
    assert_false(stream_has_input(s));
    stream_free(s);
    tls_client_free(&c);
    (void)close(fd[0]);
}

/* Records that were read along with others count as input, a part of one does not: waiting for its rest must not spin. */
static void a_part_of_a_record_is_no_input(void **state)
{
    struct client c;
    int fd[2];
    struct stream *s = pair_make(&c, fd);
    BIO *wire = BIO_new(BIO_s_mem());
    char *bytes;
    SSL_set0_wbio(c.ssl, wire);
    assert_int_equal(SSL_write(c.ssl, "one", 3), 3);
    assert_int_equal(SSL_write(c.ssl, "two", 3), 3);
    assert_int_equal(SSL_write(c.ssl, "three", 5), 5);
    size_t n = (size_t)BIO_get_mem_data(wire, &bytes);
    assert_int_equal(send(c.fd, bytes, n - 1, 0), n - 1);
    assert_int_equal(fill_again(s), 0);
    assert_true(str_eq(stream_peek(s), STR("one")));
    stream_consume(s, 3);
    assert_true(stream_has_input(s));
    assert_int_equal(stream_fill(s), 0);
    assert_true(str_eq(stream_peek(s), STR("two")));
    stream_consume(s, 3);
    assert_int_equal(fill_again(s), ERR_AGAIN);
    assert_false(stream_has_input(s));
    stream_idle(s); /* the part is kept */
    assert_int_equal(send(c.fd, bytes + n - 1, 1, 0), 1);
    assert_int_equal(fill_again(s), 0);
    assert_true(str_eq(stream_peek(s), STR("three")));
    stream_free(s);
    tls_client_free(&c);
    (void)close(fd[0]);
}

/* --- memory --- */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their allocators do not count like this */
enum { IDLERS = 200 };

/* The clients are another process, or their memory would count. Says so on the pipe when all are idle, and waits for its end. */
static void idlers_run(struct loopback *l, int version, int ready, int wait)
{
    for (size_t i = 0; i < IDLERS; i++) {
        struct client c = client_make(client_connect(l), "mail.example.org", version);
        handshake(&c);
        tls_send(&c, STR("MANY 1000\r\nping\r\nBIG 100000\r\n"));
        char text[4096];
        size_t total = 0;
        while (total < 100000)
            total += (size_t)SSL_read(c.ssl, text, sizeof text);
    }
    char byte = 1;
    (void)!write(ready, &byte, 1);
    (void)!read(wait, &byte, 1);
    _exit(0);
}

static size_t memory_in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* ARCHITECTURE.md section 3: an idle TLS connection costs at most 20 KiB. */
static void an_idle_connection_is_small(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (size_t v = 0; v < check_many(2, 0); v++) { /* valgrind has an allocator of its own */
        struct loopback l;
        struct tls_holder *h = holder_of(KEY_P256, "");
        int ready[2], wait[2];
        char byte;
        assert_int_equal(pipe(ready), 0);
        assert_int_equal(pipe(wait), 0);
        loopback_init(&l, &small, h, true);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            idlers_run(&l, versions[v], ready[1], wait[0]);
        loopback_run(&l);
        struct client warm = client_make(client_connect(&l), NULL, 0); /* what OpenSSL allocates once */
        handshake(&warm);
        size_t before = memory_in_use();
        assert_int_equal(read(ready[0], &byte, 1), 1);
        eventually(server_counts(l.server).workers_busy == 0);
        size_t each = (memory_in_use() - before) / IDLERS;
        print_message("an idle %s connection costs %zu bytes\n", v ? "TLS 1.3" : "TLS 1.2", each);
        assert_true(each > 1000 && each < 20 * 1024);
        (void)!write(wait[1], &byte, 1);
        assert_int_equal(waitpid(child, NULL, 0), child);
        tls_client_free(&warm);
        for (size_t i = 0; i < 2; i++) {
            (void)close(ready[i]);
            (void)close(wait[i]);
        }
        loopback_stop(&l, 10000);
        tls_holder_free(h);
    }
}
#endif

int main(void)
{
    /* One arena, so that mallinfo2 sees what all threads have; the clients' SSL_write may meet a closed connection. */
    mallopt(M_ARENA_MAX, 1);
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(an_idle_connection_is_small),
#endif
        cmocka_unit_test(every_key_and_version),
        cmocka_unit_test(starttls),
        cmocka_unit_test(handshake_at_every_split),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(alpn),
        cmocka_unit_test(server_names),
        cmocka_unit_test(both_kinds_of_key_under_one_name),
        cmocka_unit_test(tickets),
        cmocka_unit_test(replacing_the_context),
        cmocka_unit_test(a_signer_that_fails),
        cmocka_unit_test(slow_handshakes_cost_no_threads),
        cmocka_unit_test(handshakes_have_a_deadline),
        cmocka_unit_test(bad_contexts),
        cmocka_unit_test(a_cut_is_no_end),
        cmocka_unit_test(what_the_layer_holds_counts),
        cmocka_unit_test(a_part_of_a_record_is_no_input),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
