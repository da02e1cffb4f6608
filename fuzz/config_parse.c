/* config_parse: valise.conf with anything in it is accepted whole or refused with a reason. */
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c = NULL;
    struct error e = ERROR_NONE;
    int err = config_parse("valise.conf", (str){ (const char *)data, size }, &c, &e);
    if ((err == 0) != (c != NULL) || (err && !e.text[0]))
        abort();
    config_free(c);
    return 0;
}
