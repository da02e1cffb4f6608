/* policy: which passwords are accepted when they are set. Length first, common ones refused, kinds of characters only where somebody
 * insists (NIST SP 800-63B section 5.1.1.2 says why in this order). */
#include "base/count.h"
#include "directory/directory_private.h"

/* Among the first of every list of passwords that were found out, lower case, without the digits and signs people put behind them. */
static const char *const common[] = {
#include "directory/policy_common.inc"
};

enum { DISTINCT_MIN = 4, NAME_MIN = 4 };

static bool is_letter(char c)
{
    return ascii_is_alpha(c) || (unsigned char)c >= 0x80;
}

/* WORD without what is no letter at its end: "Password2024!" is "password". A word of digits alone stays. */
static str stem(str word)
{
    size_t n = word.n;
    while (n > 0 && !is_letter(word.p[n - 1]))
        n--;
    return n ? str_sub(word, 0, n) : word;
}

static bool is_common(str password)
{
    str stripped = stem(password);
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        str word = str_from_z(common[i]);
        if (str_ieq(password, word) || str_ieq(stripped, word))
            return true;
    }
    return false;
}

static size_t distinct_bytes(str password)
{
    bool seen[256] = { false };
    size_t n = 0;
    for (size_t i = 0; i < password.n; i++) {
        unsigned char c = (unsigned char)password.p[i];
        n += !seen[c];
        seen[c] = true;
    }
    return n;
}

/* "abcdefghij", "9876543210": each byte follows the one before. */
static bool is_sequence(str password)
{
    for (int step = -1; step <= 1; step += 2) {
        size_t i = 1;
        while (i < password.n && password.p[i] - password.p[i - 1] == step)
            i++;
        if (password.n > 1 && i == password.n)
            return true;
    }
    return false;
}

static bool is_mixed(str password)
{
    bool letter = false, digit = false, special = false;
    for (size_t i = 0; i < password.n; i++) {
        letter |= is_letter(password.p[i]);
        digit |= ascii_is_digit(password.p[i]);
        special |= !is_letter(password.p[i]) && !ascii_is_digit(password.p[i]);
    }
    return letter && digit && special;
}

int policy_check(const struct directory_policy *p, str address, str password, struct error *e)
{
    str local = str_sub(address, 0, str_rfind_byte(address, '@'));
    size_t n = 0;
    for (size_t i = 0; i < password.n; i++)
        n += ((unsigned char)password.p[i] & 0xc0) != 0x80; /* a character of UTF-8 begins */
    if (n < p->length_min)
        return error_set(e, ERR_REFUSED, "the password has %s; at least %u are needed", COUNT(n, "character", "characters"),
                         p->length_min);
    if (p->refuse_common && (distinct_bytes(password) < DISTINCT_MIN || is_sequence(password)))
        return error_set(e, ERR_REFUSED, "the password is too regular; take one that is harder to guess");
    if (p->refuse_common && is_common(password))
        return error_set(e, ERR_REFUSED, "the password is among those tried first by everyone; take another");
    if (p->refuse_common && local.n >= NAME_MIN && str_ifind(password, local) < password.n)
        return error_set(e, ERR_REFUSED, "the password contains the user's name; take another");
    if (p->need_mixed && !is_mixed(password))
        return error_set(e, ERR_REFUSED, "the password needs letters, digits and other characters");
    return 0;
}
