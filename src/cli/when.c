/* when: see when.h. */
#include "cli/when.h"

#include <time.h>

const char *when_text(long long seconds, char text[WHEN_MAX])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (seconds == 0 || !localtime_r(&t, &tm) || !strftime(text, WHEN_MAX, "%Y-%m-%d %H:%M", &tm))
        (void)snprintf(text, WHEN_MAX, "never");
    return text;
}

/* "12h" */
static int parse_ago(const char *text, long long *ret)
{
    static const struct {
        char letter;
        long long seconds;
    } units[] = { { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 } };
    str s = str_from_z(text);
    uint32_t n;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (s.n > 1 && s.p[s.n - 1] == units[i].letter && str_to_u32(str_sub(s, 0, s.n - 1), 100000, &n)) {
            *ret = (long long)time(NULL) - n * units[i].seconds;
            return 0;
        }
    return ERR_SYNTAX;
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
    return parse_ago(text, ret);
}
