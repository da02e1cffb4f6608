/* import: what another CA has given, right and wrong; each mistake has its own sentence. The openssl tool makes the files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "pki/import.h"

static char folder[] = "/tmp/valise-import-XXXXXX";

/* The files: a root, an intermediate, a server's key and certificate of it, and what people have lying beside them. */
static const char script[] =
    "set -e; cd \"$0\"; exec 2>/dev/null\n"
    "ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc'\n"
    "openssl req -x509 $ec -keyout root.key -out root.pem -days 30 -subj /CN=root\n"
    "openssl req -x509 $ec -keyout mid.key -out mid.pem -days 30 -subj /CN=mid -CA root.pem -CAkey root.key "
    "-addext basicConstraints=critical,CA:TRUE\n"
    "leaf() { n=$1; shift; openssl req -x509 $ec -keyout $n.key -out $n.pem -subj /CN=$n -CA mid.pem -CAkey mid.key -days 20 "
    "-addext basicConstraints=CA:FALSE \"$@\"; }\n"
    "leaf s -addext subjectAltName=DNS:mail.a.example,DNS:*.b.example,IP:192.0.2.1\n"
    "leaf plain\n"
    "leaf mailer -addext subjectAltName=DNS:mail.a.example -addext extendedKeyUsage=emailProtection\n"
    "leaf other -addext subjectAltName=DNS:mail.a.example\n"
    "cat s.pem mid.pem > chain.pem; cat mid.pem s.pem > backwards.pem; cat s.pem root.pem > gap.pem\n"
    "cat s.pem root.pem mid.pem > mixed.pem; cat s.key chain.pem > both.pem; cat plain.pem mid.pem > noname.pem\n"
    "cat mailer.pem mid.pem > mail.pem; (cat s.pem; echo '-----BEGIN CERTIFICATE-----'; echo MIIB; "
    "echo '-----END CERTIFICATE-----') > damaged.pem\n"
    "openssl pkey -in s.key -aes256 -passout pass:x -out sealed.key\n"
    "openssl ec -in s.key -aes256 -passout pass:x -out sealed-ec.key\n"
    "openssl ec -in s.key -out ec.key\n"
    "openssl pkey -in s.key -outform DER -out key.der; openssl x509 -in s.pem -outform DER -out cert.der\n"
    "openssl pkey -in s.key -pubout -out pub.pem; openssl req -new -key s.key -subj /CN=s -out req.pem\n"
    "openssl pkcs12 -export -inkey s.key -in s.pem -passout pass:x -out s.p12\n"
    "openssl crl2pkcs7 -nocrl -certfile chain.pem -out p7.pem; openssl crl2pkcs7 -nocrl -certfile chain.pem -outform DER -out "
    "p7.der\n"
    "openssl pkcs8 -topk8 -in s.key -outform DER -passout pass:x -out sealed.der\n"
    "openssl genpkey -algorithm ed25519 -out ed.key\n"
    ": > empty; echo 'hello, world' > text\n";

static int run(const char *text)
{
    char *const argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)text, folder, NULL };
    pid_t pid;
    int status = -1;
    assert_int_equal(posix_spawnp(&pid, "sh", NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int make_files(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    return run(script);
}

static int remove_files(void **state)
{
    (void)state;
    return run("rm -r \"$0\"");
}

static void read_file(const char *name, struct buf *out)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(pki_file_read(path, out, NULL), 0);
}

static int import(const char *chain, const char *key, const char *server, int64_t later, struct buf *out, struct error *e)
{
    struct buf c = BUF_INIT(PKI_PEM_MAX), k = BUF_INIT(PKI_PEM_MAX);
    struct arena a = ARENA_INIT(1 << 20);
    struct pki_import i = { 0 };
    read_file(chain, &c);
    read_file(key, &k);
    int r = pki_import_read(&(struct pki_import_files){ .chain = buf_str(&c),
                                                        .key = buf_str(&k),
                                                        .chain_name = chain,
                                                        .key_name = key,
                                                        .server = str_from_z(server),
                                                        .now = clock_real_ms() / 1000 + later },
                            &a, &i, out, e);
    pki_key_free(i.key);
    arena_done(&a);
    buf_done(&k);
    buf_done(&c);
    return r;
}

static void good_files_are_taken(void **state)
{
    static const char *const servers[] = { "mail.a.example", "MAIL.a.example", "x.b.example", "*.b.example", "192.0.2.1" };
    struct error e = ERROR_NONE;
    struct buf whole = BUF_INIT(PKI_PEM_MAX);
    (void)state;
    read_file("chain.pem", &whole);
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        struct buf out = BUF_INIT(PKI_PEM_MAX);
        assert_int_equal(import("chain.pem", "s.key", servers[i], 0, &out, &e), 0);
        assert_true(str_eq(buf_str(&out), buf_str(&whole)));
        buf_done(&out);
    }
    /* A key beside the certificates, in the older form too, is not put where the chain goes. */
    struct buf out = BUF_INIT(PKI_PEM_MAX);
    assert_int_equal(import("both.pem", "both.pem", "mail.a.example", 0, &out, &e), 0);
    assert_true(str_eq(buf_str(&out), buf_str(&whole)));
    buf_done(&out);
    assert_int_equal(import("s.pem", "ec.key", "mail.a.example", 0, &out, &e), 0);
    buf_done(&out);
    buf_done(&whole);
}

static void each_mistake_has_its_sentence(void **state)
{
    enum { DAY = 86400 };
    static const struct {
        const char *chain, *key, *server, *says;
        int days, code;
    } cases[] = {
        { "s.key", "chain.pem", "mail.a.example", "s.key holds a private key and no certificate: are --chain and --key swapped?",
          0, ERR_SYNTAX },
        { "chain.pem", "s.pem", "mail.a.example", "s.pem holds a certificate and no private key: are --chain and --key swapped?",
          0, ERR_SYNTAX },
        { "sealed.key", "s.key", "mail.a.example", "an encrypted private key and no certificate", 0, ERR_SYNTAX },
        { "chain.pem", "sealed.key", "mail.a.example", "the key in sealed.key is encrypted", 0, ERR_SYNTAX },
        { "chain.pem", "sealed-ec.key", "mail.a.example", "the key in sealed-ec.key is encrypted", 0, ERR_SYNTAX },
        { "chain.pem", "sealed.der", "mail.a.example", "encrypted, and in DER", 0, ERR_SYNTAX },
        { "chain.pem", "key.der", "mail.a.example", "openssl pkey -inform DER -in key.der", 0, ERR_SYNTAX },
        { "chain.pem", "s.p12", "mail.a.example", "openssl pkcs12 -in s.p12 -nocerts", 0, ERR_SYNTAX },
        { "chain.pem", "pub.pem", "mail.a.example", "pub.pem holds a public key", 0, ERR_SYNTAX },
        { "chain.pem", "req.pem", "mail.a.example", "the private key that was made with it", 0, ERR_SYNTAX },
        { "chain.pem", "empty", "mail.a.example", "empty is empty", 0, ERR_SYNTAX },
        { "chain.pem", "text", "mail.a.example", "text holds no private key", 0, ERR_SYNTAX },
        { "chain.pem", "cert.der", "mail.a.example", "a certificate, in DER, and no private key", 0, ERR_SYNTAX },
        { "chain.pem", "ed.key", "mail.a.example", "ed.key: keys are EC P-256", 0, ERR_REFUSED },
        { "chain.pem", "other.key", "mail.a.example",
          "other.key is not the key of the certificate in chain.pem, whose key is ECDSA P-256", 0, ERR_REFUSED },
        { "cert.der", "s.key", "mail.a.example", "openssl x509 -inform DER -in cert.der", 0, ERR_SYNTAX },
        { "key.der", "s.key", "mail.a.example", "a private key, in DER", 0, ERR_SYNTAX },
        { "s.p12", "s.key", "mail.a.example", "openssl pkcs12 -in s.p12 -nokeys", 0, ERR_SYNTAX },
        { "p7.pem", "s.key", "mail.a.example", "openssl pkcs7 -print_certs", 0, ERR_SYNTAX },
        { "p7.der", "s.key", "mail.a.example", "openssl pkcs7 -inform DER -print_certs", 0, ERR_SYNTAX },
        { "req.pem", "s.key", "mail.a.example", "req.pem holds a request", 0, ERR_SYNTAX },
        { "pub.pem", "s.key", "mail.a.example", "pub.pem holds a public key only", 0, ERR_SYNTAX },
        { "empty", "s.key", "mail.a.example", "empty is empty", 0, ERR_SYNTAX },
        { "text", "s.key", "mail.a.example", "text holds no certificate", 0, ERR_SYNTAX },
        { "damaged.pem", "s.key", "mail.a.example", "certificate 2 in damaged.pem is damaged", 0, ERR_SYNTAX },
        { "backwards.pem", "s.key", "mail.a.example", "out of order: that of the key is number 2", 0, ERR_REFUSED },
        { "mixed.pem", "s.key", "mail.a.example", "out of order: number 3 has signed number 1", 0, ERR_REFUSED },
        { "gap.pem", "s.key", "mail.a.example", "certificate 2 in gap.pem has not signed the one before it", 0, ERR_REFUSED },
        { "root.pem", "root.key", "mail.a.example", "the first certificate in root.pem is a CA's (CN=root)", 0, ERR_REFUSED },
        { "mid.pem", "s.key", "mail.a.example", "is a CA's (CN=mid)", 0, ERR_REFUSED },
        { "chain.pem", "s.key", "mail.c.example", "not for mail.c.example but for mail.a.example, *.b.example, 192.0.2.1", 0,
          ERR_REFUSED },
        { "chain.pem", "s.key", "192.0.2.2", "not for 192.0.2.2", 0, ERR_REFUSED },
        { "noname.pem", "plain.key", "plain", "names no server in subjectAltName", 0, ERR_REFUSED },
        { "mail.pem", "mailer.key", "mail.a.example", "is not for a server", 0, ERR_REFUSED },
        { "chain.pem", "s.key", "mail.a.example", "certificate 1 in chain.pem has expired on ", 25, ERR_REFUSED },
        { "chain.pem", "s.key", "mail.a.example", "look at this machine's clock", -5, ERR_REFUSED },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error e = ERROR_NONE;
        struct buf out = BUF_INIT(PKI_PEM_MAX);
        int r = import(cases[i].chain, cases[i].key, cases[i].server, (int64_t)cases[i].days * DAY, &out, &e);
        if (r != cases[i].code || !strstr(e.text, cases[i].says))
            print_error("case %zu: %d, %s; wanted %d, %s\n", i, r, e.text, cases[i].code, cases[i].says);
        assert_int_equal(r, cases[i].code);
        assert_non_null(strstr(e.text, cases[i].says));
        assert_int_equal(out.n, 0);
        buf_done(&out);
    }
}

/* What `openssl x509 -text' says is said, and nothing that a terminal obeys. */
static void a_certificate_is_printed_whole(void **state)
{
    struct buf pem = BUF_INIT(PKI_PEM_MAX), text = BUF_INIT(PKI_PEM_MAX);
    (void)state;
    read_file("s.pem", &pem);
    assert_int_equal(pki_certificate_print(buf_str(&pem), &text, NULL), 0);
    static const char *const parts[] = { "Certificate:\n",  "Issuer: CN = mid",     "Public-Key: (256 bit)",
                                         "DNS:*.b.example", "IP Address:192.0.2.1", "Signature Algorithm: ecdsa-with-SHA256" };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_true(str_find(buf_str(&text), str_from_z(parts[i])) < text.n);
    for (size_t i = 0; i < text.n; i++)
        assert_true(text.p[i] == '\n' || (text.p[i] >= ' ' && text.p[i] <= '~'));
    buf_done(&text);
    buf_done(&pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files_are_taken),
        cmocka_unit_test(each_mistake_has_its_sentence),
        cmocka_unit_test(a_certificate_is_printed_whole),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
