/* amount: see amount.h. */
#include "base/amount.h"

uint64_t amount_size_unit(str name)
{
    static const char letters[] = "KMGT";
    if (str_ieq(name, STR("B")) || str_ieq(name, STR("byte")) || str_ieq(name, STR("bytes")))
        return 1;
    str rest = str_from(name, 1);
    if (rest.n && !str_ieq(rest, STR("B")) && !str_ieq(rest, STR("iB")))
        return 0;
    for (unsigned i = 0; name.n && i < sizeof letters - 1; i++)
        if (ascii_upper(name.p[0]) == letters[i])
            return 1ULL << (10 * (i + 1));
    return 0;
}

uint64_t amount_time_unit(str name)
{
    static const struct {
        const char *letters, *brief, *name;
        uint64_t seconds;
    } units[] = {
        { "s", "sec", "second", 1 },       { "m", "min", "minute", AMOUNT_MINUTE },  { "h", "hr", "hour", AMOUNT_HOUR },
        { "d", "day", "day", AMOUNT_DAY }, { "w", "wk", "week", 7ULL * AMOUNT_DAY }, { "y", "yr", "year", 365ULL * AMOUNT_DAY },
    };
    str one = name.n > 1 && ascii_lower(name.p[name.n - 1]) == 's' ? str_sub(name, 0, name.n - 1) : name;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (str_ieq(name, str_from_z(units[i].letters)) || str_ieq(one, str_from_z(units[i].brief)) ||
            str_ieq(one, str_from_z(units[i].name)))
            return units[i].seconds;
    return 0;
}

/* The digits that TEXT begins with in *RET, and what follows them, without a space. False when there are none. */
static bool take_digits(str text, uint64_t max, uint64_t *ret, str *ret_unit)
{
    size_t n = 0;
    while (n < text.n && ascii_is_digit(text.p[n]))
        n++;
    if (!str_to_u64(str_sub(text, 0, n), max, ret))
        return false;
    *ret_unit = str_from(text, n + (n < text.n && text.p[n] == ' '));
    return ret_unit->n || n == text.n;
}

static bool scale(uint64_t count, uint64_t unit, uint64_t max, uint64_t *ret)
{
    if (unit == 0 || count > max / unit)
        return false;
    *ret = count * unit;
    return true;
}

bool amount_bytes(str text, uint64_t max, uint64_t *ret)
{
    uint64_t count;
    str unit;
    return take_digits(text, max, &count, &unit) && scale(count, unit.n ? amount_size_unit(unit) : 1, max, ret);
}

bool amount_seconds(str text, uint64_t unit, uint64_t max, uint64_t *ret)
{
    uint64_t count;
    str name;
    return take_digits(text, max, &count, &name) && scale(count, name.n ? amount_time_unit(name) : unit, max, ret);
}
