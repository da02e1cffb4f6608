/* lesson: see lesson.h. */
#include "role/lesson.h"

#include "pki/pki.h"

int lesson_check(const struct config *c, str ca_pem, struct error *e)
{
    if (!c->insecure_lesson || pki_ca_is_lab(ca_pem))
        return 0;
    return error_set(
        e, ERR_REFUSED,
        "valise.conf: insecure-lesson is refused here: only a directory that `valise init --lab' made may have it, as the "
        "name of its root certificate says; take the line out, or make a lab of its own");
}
