/* dsn: see dsn.h. */
#include "dsn/request.h"

#include "base/scan.h"
#include "base/utf8.h"

/* xtext = *( xchar / hexchar ), hexchar = "+" 2(%x30-39 / %x41-46); lower case digits are taken too. *PRINTABLE: whether no
 * byte of what it stands for is a control byte or beyond ASCII. */
static bool check_xtext(str s, bool *printable)
{
    *printable = true;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == '=' || c > '~')
            return false;
        if (c != '+')
            continue;
        int high = i + 1 < s.n ? ascii_hex_value(s.p[i + 1]) : -1, low = i + 2 < s.n ? ascii_hex_value(s.p[i + 2]) : -1;
        if (high < 0 || low < 0)
            return false;
        int byte = high * 16 + low;
        *printable = *printable && byte >= ' ' && byte <= '~';
        i += 2;
    }
    return true;
}

bool dsn_xtext_valid(str s)
{
    bool printable;
    return check_xtext(s, &printable);
}

bool dsn_notify_valid(unsigned notify)
{
    return notify <= 15 && (!(notify & DSN_NOTIFY_NEVER) || notify == DSN_NOTIFY_NEVER);
}

/* RFC 3461 section 4.3. */
bool dsn_ret_parse(str value, enum dsn_ret *ret)
{
    if (str_ieq(value, STR("FULL")))
        *ret = DSN_RET_FULL;
    else if (str_ieq(value, STR("HDRS")))
        *ret = DSN_RET_HDRS;
    else
        return false;
    return true;
}

/* RFC 3461 section 4.1: "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" ); NEVER stands alone. */
bool dsn_notify_parse(str value, uint8_t *ret)
{
    static const struct {
        str name;
        unsigned bit;
    } words[] = { { STR_INIT("NEVER"), DSN_NOTIFY_NEVER },
                  { STR_INIT("SUCCESS"), DSN_NOTIFY_SUCCESS },
                  { STR_INIT("FAILURE"), DSN_NOTIFY_FAILURE },
                  { STR_INIT("DELAY"), DSN_NOTIFY_DELAY } };
    unsigned notify = 0;
    for (size_t at = 0; at <= value.n;) {
        size_t comma = str_find_byte(value, ',', at);
        str word = str_sub(value, at, comma - at);
        unsigned bit = 0;
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            bit |= str_ieq(word, words[i].name) ? words[i].bit : 0;
        if (!bit)
            return false;
        notify |= bit;
        at = comma + 1;
    }
    *ret = (uint8_t)notify;
    return dsn_notify_valid(notify);
}

/* RFC 3461 section 4.4: printable, as a report has no way to write anything else. */
bool dsn_envid_valid(str value)
{
    bool printable;
    return value.n > 0 && value.n <= DSN_ENVID_MAX && check_xtext(value, &printable) && printable;
}

/* RFC 3461 section 4.2: addr-type ";" xtext. */
bool dsn_orcpt_valid(str value, bool utf8)
{
    size_t semicolon = str_find_byte(value, ';', 0);
    str type = str_sub(value, 0, semicolon), address = str_from(value, semicolon + 1);
    bool printable;
    if (value.n > DSN_ORCPT_MAX || semicolon == 0 || semicolon >= value.n || !address.n)
        return false;
    for (size_t i = 0; i < type.n; i++) {
        if (!ascii_is_alnum(type.p[i]) && type.p[i] != '-')
            return false;
    }
    if (utf8 && str_ieq(type, STR("utf-8")) && !utf8_is_ascii(address))
        return utf8_valid(address);
    return check_xtext(address, &printable) && printable;
}
