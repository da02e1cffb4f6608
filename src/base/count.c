/* count: see count.h. */
#include "base/count.h"

#include <stdio.h>

const char *count_in(char text[COUNT_MAX], long long n, const char *one, const char *many)
{
    (void)snprintf(text, COUNT_MAX, "%lld %s", n, n == 1 ? one : many);
    return text;
}
