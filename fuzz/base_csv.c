/* Fuzzes the reading of tables: records go forward and end, fields are within bounds. */
#include "base/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT(1 << 22);
    struct csv c;
    str fields[CSV_FIELDS_MAX];
    size_t n, line, before = 0;
    if (csv_init(&c, (str){ (const char *)data, size }, NULL) == 0)
        while (csv_next(&c, &a, fields, &n, &line, NULL) == 1) {
            require(n > 0 && n <= CSV_FIELDS_MAX && line > before && line <= size + 1);
            before = line;
            for (size_t i = 0; i < n; i++)
                require(fields[i].n <= size);
        }
    arena_done(&a);
    return 0;
}
