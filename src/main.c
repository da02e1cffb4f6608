/* valise: one program. `valise role NAME` is a process of `valise serve`; everything else is a command of cli/commands.c, `valise role rights`
 * among them. */
#include "base/show.h"
#include "cli/cli.h"
#include "role/role.h"

int main(int argc, char **argv)
{
    if (argc == 3 && str_eq(str_from_z(argv[1]), STR("role")) && !str_eq(str_from_z(argv[2]), STR("rights")))
        return role_main(argv[2]);
    show_streams();
    return cli_main(argc, argv);
}
