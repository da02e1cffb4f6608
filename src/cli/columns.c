/* columns: see columns.h. */
#include "cli/columns.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

static int columns_of_character(UChar32 c)
{
    if (c < 0)
        return 1;
    uint32_t type = U_MASK(u_charType(c));
    int wide = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
    if (c != 0xad && (type & (U_GC_MN_MASK | U_GC_ME_MASK | U_GC_CF_MASK)))
        return 0;
    return wide == U_EA_WIDE || wide == U_EA_FULLWIDTH ? 2 : 1;
}

int columns_of(str text)
{
    int n = 0;
    for (size_t i = 0; i < text.n;) {
        UChar32 c;
        U8_NEXT((const uint8_t *)text.p, i, text.n, c);
        n += columns_of_character(c);
    }
    return n;
}

int columns_pad(const char *text, int width)
{
    return width + (int)strlen(text) - columns_of(str_from_z(text));
}
