/* when: see when.h. */
#include "cli/when.h"

#include <time.h>

#include "base/amount.h"

const char *when_text(long long seconds, char text[WHEN_MAX])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (seconds == 0 || !localtime_r(&t, &tm) || !strftime(text, WHEN_MAX, "%Y-%m-%d %H:%M", &tm))
        (void)snprintf(text, WHEN_MAX, "never");
    return text;
}

int when_parse(const char *text, long long *ret)
{
    static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M" };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm tm = { .tm_isdst = -1 };
        const char *end = strptime(text, forms[i], &tm);
        time_t t = end && !*end ? mktime(&tm) : -1;
        if (t != -1) {
            *ret = (long long)t;
            return 0;
        }
    }
    uint64_t ago;
    if (!amount_seconds(str_from_z(text), 0, 100ULL * 366 * AMOUNT_DAY, &ago))
        return ERR_SYNTAX;
    *ret = (long long)time(NULL) - (long long)ago;
    return 0;
}
