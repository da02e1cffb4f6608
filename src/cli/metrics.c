/* metrics: valise metrics. The numbers of `valise status` in the text format that Prometheus and its kin read (exposition format 0.0.4); a
 * textfile collector or an HTTP server in front of the command carries them on. */
#include "cli/cli.h"

struct metric {
    const char *name, *type, *help;
    const char *key; /* of the status object */
    double scale;
};

static const struct metric role_metrics[] = {
    { "valise_role_connections", "gauge", "Connections open now.", "connections", 1 },
    { "valise_role_connections_accepted_total", "counter", "Connections accepted since the role started.", "accepted", 1 },
    { "valise_role_connections_refused_total", "counter", "Connections refused since the role started.", "refused", 1 },
    { "valise_role_workers", "gauge", "Threads that serve connections.", "workers", 1 },
    { "valise_role_workers_peak", "gauge", "Most threads at a time since the role started.", "workers-peak", 1 },
    { "valise_role_restarts_total", "counter", "Times the role was started again.", "restarts", 1 },
    { "valise_role_uptime_seconds", "gauge", "Seconds since the role started.", "uptime-ms", 0.001 },
};

static const struct metric store_metrics[] = {
    { "valise_store_commits_total", "counter", "Transactions committed since the store was opened.", "commits", 1 },
    { "valise_store_syncs_total", "counter", "Times the log was brought to the disk since the store was opened.", "syncs", 1 },
    { "valise_store_free_bytes", "gauge", "Space left on the store's disk.", "free-bytes", 1 },
    { "valise_store_writable", "gauge", "1 while the store takes mail.", "writable", 1 },
};

static const struct metric login_metrics[] = {
    { "valise_logins_total", "counter", "Logins that succeeded since the start.", "succeeded", 1 },
    { "valise_login_failures_total", "counter", "Logins that failed since the start.", "failed", 1 },
    { "valise_logins_turned_away_total", "counter", "Logins of whoever was locked out since the start.", "turned-away", 1 },
    { "valise_lockouts_total", "counter", "Lock-outs that began since the start.", "lockouts", 1 },
    { "valise_locked_out_networks", "gauge", "Networks that are locked out now.", "networks-locked-out", 1 },
    { "valise_locked_out_logins", "gauge", "Users that are locked out from one network now.", "logins-locked-out", 1 },
};

static void print_head(const struct metric *m)
{
    (void)printf("# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
}

static void print_value(const struct metric *m, const json_t *v)
{
    if (json_is_boolean(v))
        (void)printf(" %d\n", json_is_true(v) ? 1 : 0);
    else if (m->scale < 1)
        (void)printf(" %.3f\n", (double)json_integer_value(v) * m->scale);
    else
        (void)printf(" %lld\n", (long long)json_integer_value(v));
}

/* A label's value: backslash, quote and line end escaped. */
static void print_label(const char *z)
{
    for (; z && *z; z++)
        if (*z == '\\' || *z == '"')
            (void)printf("\\%c", *z);
        else if (*z == '\n')
            (void)fputs("\\n", stdout);
        else
            (void)putchar(*z);
}

static void print_group(const struct metric *m, size_t n, const json_t *values)
{
    for (size_t i = 0; i < n; i++) {
        print_head(&m[i]);
        (void)printf("%s", m[i].name);
        print_value(&m[i], json_object_get(values, m[i].key));
    }
}

static void print_metrics(const json_t *status)
{
    json_t *role;
    size_t i;
    (void)printf("# HELP valise_info The version that runs.\n# TYPE valise_info gauge\nvalise_info{version=\"");
    print_label(json_string_value(json_object_get(status, "version")));
    (void)printf("\"} 1\n");
    for (size_t k = 0; k < sizeof role_metrics / sizeof role_metrics[0]; k++) {
        print_head(&role_metrics[k]);
        json_array_foreach(json_object_get(status, "roles"), i, role)
        {
            (void)printf("%s{role=\"", role_metrics[k].name);
            print_label(json_string_value(json_object_get(role, "name")));
            (void)printf("\"}");
            print_value(&role_metrics[k], json_object_get(role, role_metrics[k].key));
        }
    }
    print_group(login_metrics, sizeof login_metrics / sizeof login_metrics[0], json_object_get(status, "logins"));
    print_group(store_metrics, sizeof store_metrics / sizeof store_metrics[0], json_object_get(status, "store"));
}

int cmd_metrics(struct cli *c)
{
    json_t *reply;
    int status = cli_call(c, json_pack("{s:s}", "command", "status"), &reply);
    if (status)
        return status;
    if (c->json)
        cli_print_json(reply);
    else
        print_metrics(reply);
    json_decref(reply);
    return 0;
}
