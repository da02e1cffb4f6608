/* rights: valise role rights, the table of what keeper does for whom. It is part of the program: no server is asked. */
#include "cli/cli.h"
#include "role/rights.h"

int cmd_role_rights(struct cli *c)
{
    json_t *v = rights_json(), *row, *name;
    size_t i, k;
    if (c->json) {
        cli_print_json(v);
        json_decref(v);
        return 0;
    }
    (void)printf("role  purpose          may                     the keys\n");
    json_array_foreach(json_object_get(v, "rights"), i, row)
    {
        char may[64] = "";
        json_array_foreach(json_object_get(row, "operations"), k, name)
        {
            size_t n = strlen(may);
            (void)snprintf(may + n, sizeof may - n, "%s%s", n ? ", " : "", json_string_value(name));
        }
        (void)printf("%-5s %-16s %-23s %s\n", json_string_value(json_object_get(row, "role")),
                     json_string_value(json_object_get(row, "purpose")), may, json_string_value(json_object_get(row, "keys")));
    }
    json_decref(v);
    return 0;
}
