/* nearest: see nearest.h. */
#include "base/nearest.h"

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned nearest_distance(str a, str b)
{
    unsigned row[3][NEAREST_NAME_MAX + 1]; /* of this letter of A, the one before, the one before that */
    if (a.n > NEAREST_NAME_MAX || b.n > NEAREST_NAME_MAX)
        return UINT32_MAX;
    for (unsigned k = 0; k <= b.n; k++)
        row[0][k] = k;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
        now[0] = i;
        for (unsigned k = 1; k <= b.n; k++) {
            char x = ascii_lower(a.p[i - 1]), y = ascii_lower(b.p[k - 1]);
            now[k] = least(least(before[k], now[k - 1]) + 1, before[k - 1] + (x != y));
            if (i > 1 && k > 1 && x == ascii_lower(b.p[k - 2]) && y == ascii_lower(a.p[i - 2]))
                now[k] = least(now[k], earlier[k - 2] + 1);
        }
    }
    return row[a.n % 3][b.n];
}

void nearest_offer(struct nearest *n, str name)
{
    unsigned distance = nearest_distance(n->given, name);
    size_t longer = n->given.n > name.n ? n->given.n : name.n, bound = longer / 3 ? longer / 3 : 1;
    if (distance > bound || distance >= longer || (n->name.n && distance > n->distance) || str_eq(name, n->name))
        return;
    if (n->name.n && distance == n->distance) {
        n->other = n->other.n ? n->other : name;
        return;
    }
    n->name = name;
    n->other = (str){ 0 };
    n->distance = distance;
}
