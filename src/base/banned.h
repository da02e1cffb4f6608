/* banned: functions whose use is a compile error anywhere in valise.
 *
 * Each loses a length, truncates in silence, uses hidden static state, or starts a shell. What to use: struct buf and str for
 * text, str_to_u64 for numbers, clock.h for dates, arena for scratch memory. Included by str.h, so by every file. */
#ifndef VALISE_BASE_BANNED_H
#define VALISE_BASE_BANNED_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets atoi atol atoll gmtime localtime ctime asctime
/* A macro, not poison: "system" is a fair name for a struct member. */
#define system(command) no_shells_use_posix_spawn_with_an_argument_list(command)
#undef alloca
#pragma GCC poison alloca

#endif
