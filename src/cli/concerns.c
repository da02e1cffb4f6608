/* concerns: see concerns.h. */
#include "cli/concerns.h"

#include "base/clock.h"
#include "base/count.h"
#include "role/admin.h"
#include "role/lesson.h"

enum { RESTARTED_MS = 3600000, EXPIRY_DAYS = 15, FREE_BYTES_MIN = 1 << 30, DESCRIPTORS_PERCENT = 80 };

static const char *text_of(const json_t *o, const char *key)
{
    const char *z = json_string_value(json_object_get(o, key));
    return z ? z : "";
}

static long long number_of(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static void add_roles(json_t *list, const json_t *status)
{
    json_t *v;
    size_t i;
    json_array_foreach(json_object_get(status, "roles"), i, v)
    {
        if (number_of(v, "pid") == 0)
            json_array_append_new(
                list, json_sprintf("%s does not run; its log lines say why, it is started again by itself", text_of(v, "name")));
        else if (number_of(v, "restarts") && number_of(v, "uptime-ms") < RESTARTED_MS)
            json_array_append_new(list, json_sprintf("%s had to be started again %lld minutes ago; look for role-died in the log",
                                                     text_of(v, "name"), number_of(v, "uptime-ms") / 60000));
    }
}

/* A role that has nearly all open that it may. */
static void add_descriptors(json_t *list, const json_t *status)
{
    json_t *v;
    size_t i;
    json_array_foreach(json_object_get(status, "roles"), i, v)
    {
        long long used = number_of(v, "descriptors"), max = number_of(v, "descriptors-max");
        if (used * 100 <= max * DESCRIPTORS_PERCENT)
            continue;
        json_array_append_new(
            list,
            json_sprintf("%s (pid %lld) has %lld of its %lld descriptors open: LimitNOFILE= in the unit, or `ulimit "
                         "-Hn' before serve, gives more%s",
                         text_of(v, "name"), number_of(v, "pid"), used, max,
                         number_of(v, "connections") ? "; connections-per-address in valise.conf leaves each client fewer" : ""));
    }
}

static void add_certificates(json_t *list, const json_t *status)
{
    json_t *v;
    size_t i;
    json_array_foreach(json_object_get(status, "certificates"), i, v)
    {
        long long days = number_of(v, "days-left");
        if (number_of(v, "not-after") * 1000 <= clock_real_ms())
            json_array_append_new(
                list, json_sprintf("the certificate %s has expired, clients refuse it; replace it and run `valise reload'",
                                   text_of(v, "chain")));
        else if (days < EXPIRY_DAYS)
            json_array_append_new(list,
                                  json_sprintf("the certificate %s ends in %s", text_of(v, "chain"), COUNT(days, "day", "days")));
        if (json_object_get(v, "renewal"))
            json_array_append_new(
                list, json_sprintf("the certificate %s will not be renewed: %s", text_of(v, "chain"), text_of(v, "renewal")));
    }
}

static void add_store(json_t *list, const json_t *status)
{
    const json_t *store = json_object_get(status, "store");
    if (!json_is_true(json_object_get(store, "writable")))
        json_array_append_new(
            list, json_sprintf("the store takes no mail: %s; senders are told to try again later", text_of(store, "state")));
    else if (number_of(store, "free-bytes") < FREE_BYTES_MIN)
        json_array_append_new(list,
                              json_sprintf("only %lld MiB are left on the store's disk", number_of(store, "free-bytes") >> 20));
}

json_t *concerns_of(const json_t *status)
{
    json_t *list = json_array();
    if (json_is_true(json_object_get(status, "insecure-lesson")))
        json_array_append_new(list, json_string(LESSON_IS_ON));
    add_store(list, status);
    add_roles(list, status);
    add_descriptors(list, status);
    add_certificates(list, status);
    const char *few = text_of(json_object_get(status, "descriptors"), "note");
    if (few[0])
        json_array_append_new(list, json_string(few));
    if (json_is_false(json_object_get(status, "has-administrator")))
        json_array_append_new(list, json_string(ADMIN_NOBODY));
    return list;
}
