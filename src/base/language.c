/* language: see language.h. */
#include "base/language.h"

static const str tags[LANGUAGE_N] = {
    [LANGUAGE_UNSAID] = STR_INIT(""), [LANGUAGE_EN] = STR_INIT("en"), [LANGUAGE_FR] = STR_INIT("fr")
};

str language_tag(enum language language)
{
    return tags[language];
}

enum language language_from_tag(str tag)
{
    enum language l = LANGUAGE_UNSAID;
    while (l < LANGUAGE_N && !str_ieq(tag, tags[l]))
        l++;
    return l;
}
