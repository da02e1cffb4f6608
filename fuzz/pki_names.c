/* pki_names: the list of the CA's names with anything in it is refused with a reason, or is the same again when it is written and read; and it never
 * allows a name of somebody whom none of its lines can mean. */
#include "pki/pki.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT(16 << 20);
    struct buf out = BUF_INIT(16 << 20);
    struct error e = ERROR_NONE;
    struct pki_names names, again;
    if (pki_names_parse((str){ (const char *)data, size }, &a, &names, &e) == 0) {
        pki_names_write(&names, &out);
        require(pki_names_parse(buf_str(&out), &a, &again, NULL) == 0 && again.n == names.n);
        for (size_t i = 0; i < names.n; i++)
            require(pki_names_have(&again, &names.list[i]) && (names.list[i].kind == PKI_GRANT_ADDRESS || names.list[i].name.n));
        /* The empty label cannot be in a list. */
        static const str odd[] = { STR_INIT(""), STR_INIT("*."), STR_INIT("a..b"), STR_INIT("alice@") };
        for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
            const struct pki_order order = { i == 3 ? PKI_USE_USER : PKI_USE_SERVER, &odd[i], 1, 60, NULL };
            bool within =
                i == 2 && pki_names_have(&names, &(struct pki_grant){ .kind = PKI_GRANT_DOMAIN, .name = STR_INIT("b") });
            require(within || pki_names_check(&names, (str){ NULL, 0 }, &order, NULL) == ERR_REFUSED);
        }
    } else {
        require(e.text[0]);
    }
    buf_done(&out);
    arena_done(&a);
    return 0;
}
