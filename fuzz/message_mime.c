/* Fuzzes the values of Content-Type and Content-Disposition fields: names are lower case and unique, values one line. */
#include "base/utf8.h"
#include "message/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_params(const struct message_params *p)
{
    require(p->n <= message_limits_default.params_max);
    for (unsigned i = 0; i < p->n; i++) {
        str name = p->list[i].name, value = p->list[i].value;
        require(name.n > 0);
        for (unsigned k = 0; k < i; k++)
            require(!str_eq(p->list[k].name, name));
        for (size_t k = 0; k < name.n; k++)
            require(ascii_lower(name.p[k]) == name.p[k] && (unsigned char)name.p[k] > ' ');
        for (size_t k = 0; k < value.n; k++)
            require(value.p[k] != 0 && value.p[k] != '\r' && value.p[k] != '\n');
        bool extended = message_param_is_extended(&p->list[i]);
        require(!extended || utf8_is_ascii(value));
        require(message_param_find(p->list, p->n, str_sub(name, 0, name.n - extended)));
        struct buf text = BUF_INIT(1 << 20);
        message_param_text(&p->list[i], &text);
        require(!extended || utf8_valid(buf_str(&text)));
        buf_done(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str value = { (const char *)data, size };
    struct arena a = ARENA_INIT(16 << 20);
    struct message_content_type ct;
    struct message_disposition d;
    const str *languages;
    unsigned language_n;
    require(message_content_type_parse(value, &message_limits_default, &a, &ct, NULL) == 0);
    require(ct.type.n && ct.subtype.n);
    check_params(&ct.params);
    require(message_disposition_parse(value, &message_limits_default, &a, &d, NULL) == 0);
    check_params(&d.params);
    require(message_languages_parse(value, 5, &a, &languages, &language_n) == 0 && language_n <= 5);
    arena_done(&a);
    return 0;
}
