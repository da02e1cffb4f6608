/* lesson: logins in clear are for a class that looks at its own network, and only in a directory that was made for that. */
#ifndef VALISE_ROLE_LESSON_H
#define VALISE_ROLE_LESSON_H

#include "config/config.h"

/* What `valise serve' and `valise status' say while a lesson is on. */
#define LESSON_IS_ON                                                                                                             \
    "insecure-lesson is on: names, passwords and mail cross the network in clear, for everybody to read; in a lab only"

/* Whether C may be obeyed in the directory whose root certificate is CA_PEM (empty: none): insecure-lesson is only for one that was made by `valise init
 * --lab', which its root says and no setting can. Each role asks for itself. ERR_REFUSED, with E saying what to do. */
int lesson_check(const struct config *c, str ca_pem, struct error *e) MUST_USE;

#endif
