/* run_proxy: PROXY headers. Whatever the bytes are, as they come one after the other the length that is asked for only grows, never beyond
 * what it is in the end; a header that is taken has ends that can be written. */
#include "run/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header h;
    struct error e = ERROR_NONE;
    char text[IP_TEXT_MAX];
    size_t length = 0, least = 0, n = 0;
    str all = { (const char *)data, size };
    int r = proxy_header_length(all, &length);
    for (size_t cut = 0; cut < size && cut < 600; cut++) {
        int part = proxy_header_length(str_sub(all, 0, cut), &n);
        if (part != ERR_AGAIN)
            break;
        require(n > cut && n >= least && n <= PROXY_HEADER_MAX);
        require(r || n <= length);
        least = n;
    }
    if (r || proxy_header_parse(str_sub(all, 0, length), &h, &e))
        return 0;
    require(h.is_own || (ip_address_text(&h.peer, text).n && ip_address_text(&h.local, text).n));
    return 0;
}
