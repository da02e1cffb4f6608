/* Fuzzes the header fields that are kept beside the structure: of each name that a record knows it has the same fields as the header, in the same order; and bytes that
 * are no record are refused or end early, within their bounds. */
#include "message/fields.h"
#include "message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(str header, str record)
{
    struct message_fields kept;
    struct message_fields_item item;
    struct message_header_field f;
    size_t at = 0, next = 0;
    require(record.n <= MESSAGE_FIELDS_BYTES_MAX && message_fields_open(record, &kept) == 0);
    while (message_header_next(header, &at, &f)) {
        if (!(message_fields_bit(f.name) & kept.known))
            continue;
        require(message_fields_next(&kept, &next, &item) && item.bit == message_fields_bit(f.name));
        require(str_eq(item.raw, str_sub(header, f.offset, f.size)) && str_eq(message_fields_value(item.raw), f.value));
    }
    require(!message_fields_next(&kept, &next, &item));
    require(!record.n || kept.blank == (at < header.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str bytes = { (const char *)data, size };
    struct buf record = BUF_INIT(1 << 20);
    struct message_fields any;
    struct message_fields_item item;
    message_fields_write((str){ NULL, 0 }, bytes, &record);
    check_record(bytes, buf_str(&record));
    buf_done(&record);
    if (message_fields_open(bytes, &any) == 0)
        for (size_t at = 0, sum = 0; message_fields_next(&any, &at, &item);)
            require((sum += item.raw.n) <= size);
    return 0;
}
