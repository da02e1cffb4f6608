/* Fuzzes both kinds of dates. What is read is in range, and what is written of it is read again the same. */
#include "message/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = { (const char *)data, size };
    int64_t t, again;
    int zone, zone_again;
    struct buf b = BUF_INIT(100);
    if (message_date_parse(text, &t, &zone)) {
        require(t >= -62167305600 && t <= 253402387199 && zone > -1440 && zone < 1440);
        struct date d = date_from_unix(t, zone);
        if (d.year >= 0 && d.year <= 9999) {
            date_add_rfc5322(&b, &d);
            require(message_date_parse(buf_str(&b), &again, &zone_again) && again == t && zone_again == zone);
        }
    }
    if (message_internaldate_parse(text, &t, &zone)) {
        struct date d = date_from_unix(t, zone);
        buf_reset(&b);
        message_internaldate_add(&b, t, zone);
        if (d.year >= 0 && d.year <= 9999)
            require(message_internaldate_parse(buf_str(&b), &again, &zone_again) && again == t && zone_again == zone);
    }
    buf_done(&b);
    return 0;
}
