/* valise: one program. `valise role NAME` is a process of `valise serve`; everything else is a command of cli/commands.c, `valise role rights`
 * among them. */
#include <jansson.h>
#include <malloc.h>

#include "base/buf.h"
#include "base/show.h"
#include "cli/cli.h"
#include "role/role.h"

/* jansson frees strings without wiping them, and requests hold passwords. */
static void *json_allocate(size_t n)
{
    return malloc(n);
}

static void json_release(void *p)
{
    if (p)
        secret_wipe(p, malloc_usable_size(p));
    free(p);
}

int main(int argc, char **argv)
{
    json_set_alloc_funcs(json_allocate, json_release);
    int status = argc == 3 && str_eq(str_from_z(argv[1]), STR("role")) ? role_main(argv[2]) : -1;
    if (status >= 0)
        return status;
    show_streams();
    return cli_main(argc, argv);
}
