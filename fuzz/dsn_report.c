/* dsn_report: reports on hostile messages with hostile addresses are still reports of three parts. */
#include "base/scan.h"
#include "dsn/report.h"
#include "message/structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input up to the next line end. */
static str line(str *rest)
{
    str l;
    return str_split(rest, '\n', &l) ? l : STR("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str rest = { (const char *)data, size };
    struct buf out = BUF_INIT(1 << 20), bytes = BUF_INIT(1 << 20);
    struct arena a = ARENA_INIT(1 << 20);
    const struct structure *s;
    str flags = line(&rest), envid = line(&rest), orcpt = line(&rest), recipient = line(&rest);
    bool wide = flags.n && flags.p[0] & 1, all = flags.n && flags.p[0] & 2;
    /* what the session lets through */
    if ((envid.n && !dsn_envid_valid(envid)) || (orcpt.n && !dsn_orcpt_valid(orcpt, wide)) ||
        str_find_byte(recipient, '\r', 0) < recipient.n || recipient.n > 500)
        return 0;
    struct dsn_outcome outcomes[2] = {
        { .recipient = recipient,
          .orcpt = orcpt,
          .action = all ? DSN_ACTION_FAILED : DSN_ACTION_EXPANDED,
          .status = STR("5.2.2") },
        { .recipient = STR("b@x"), .action = DSN_ACTION_DELIVERED, .status = STR("2.1.5"), .reply = STR("250 2.1.5 Ok") }
    };
    struct dsn_report r = { .hostname = STR("mx.example"),
                            .from = STR("postmaster@example"),
                            .sender = STR("a@example"),
                            .id = STR("0fuzz"),
                            .envid = envid,
                            .ret = flags.n && flags.p[0] & 4 ? DSN_RET_HDRS : DSN_RET_UNSAID,
                            .utf8 = wide,
                            .message = rest.p ? rest : STR(""),
                            .outcomes = outcomes,
                            .outcome_n = 2 };
    if (dsn_report_write(&out, &r) || str_find(r.message, STR("--report-0fuzz")) < r.message.n)
        goto out;
    if (message_parse(buf_str(&out), &message_limits_default, &bytes) || structure_open(buf_str(&bytes), out.n, &a, &s))
        abort();
    if (structure_root(s)->child_n != 3)
        abort();
out:
    arena_done(&a);
    buf_done(&bytes);
    buf_done(&out);
    return 0;
}
