/* report: see report.h. */
#include "dsn/report.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "dsn/words.h"
#include "message/encoded_word.h"
#include "message/header.h"

enum { MESSAGE_ID_MAX = 250, SUBJECT_MAX = 500 };

static const str action_names[] = { [DSN_ACTION_DELIVERED] = STR_INIT("delivered"),
                                    [DSN_ACTION_EXPANDED] = STR_INIT("expanded"),
                                    [DSN_ACTION_FAILED] = STR_INIT("failed") };

bool dsn_request_wants(unsigned notify, enum dsn_action action)
{
    if (action == DSN_ACTION_FAILED)
        return notify == 0 || (notify & DSN_NOTIFY_FAILURE);
    return notify & DSN_NOTIFY_SUCCESS;
}

static size_t count(const struct dsn_report *r, enum dsn_action action)
{
    size_t n = 0;
    for (size_t i = 0; i < r->outcome_n; i++)
        n += r->outcomes[i].action == action;
    return n;
}

/* Whether the report needs the types of RFC 6533: something in it may be in UTF-8 that ASCII is expected for elsewhere. */
static bool is_global(const struct dsn_report *r)
{
    bool global = r->utf8 || !utf8_is_ascii(r->sender);
    for (size_t i = 0; i < r->outcome_n; i++)
        global = global || !utf8_is_ascii(r->outcomes[i].recipient) || !utf8_is_ascii(r->outcomes[i].orcpt);
    return global;
}

static void add_date(struct buf *out, int64_t seconds, int zone)
{
    struct date d = date_from_unix(seconds, zone);
    date_add_rfc5322(out, &d);
}

/* --- xtext and its kin, undone --- */

/* "+41" is "A" (RFC 3461 section 4); request.c has let nothing else through. */
static void add_xtext_decoded(struct buf *out, str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool is_hex = s.p[i] == '+' && i + 2 < s.n;
        buf_add_byte(out, is_hex ? (char)(ascii_hex_value(s.p[i + 1]) * 16 + ascii_hex_value(s.p[i + 2])) : s.p[i]);
        i += is_hex ? 2 : 0;
    }
}

/* "\x{E9}" is U+00E9 (RFC 6533 section 3). False when S has something that is none, and OUT gets nothing. */
static bool add_unitext_decoded(struct buf *out, str s)
{
    size_t start = out->n;
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '\\') {
            buf_add_byte(out, s.p[i++]);
            continue;
        }
        size_t end = str_find_byte(s, '}', i);
        str digits = str_sub(s, i + 3, end - i - 3);
        uint32_t point = 0;
        bool good = str_starts(str_from(s, i), STR("\\x{")) && end < s.n && digits.n >= 2 && digits.n <= 6;
        for (size_t k = 0; good && k < digits.n; k++) {
            int value = ascii_hex_value(digits.p[k]);
            good = value >= 0;
            point = point * 16 + (uint32_t)(value & 15);
        }
        char bytes[4];
        size_t n = good && point >= ' ' && point != 127 ? utf8_encode(point, bytes) : 0;
        if (!n) {
            buf_truncate(out, start);
            return false;
        }
        buf_add(out, (str){ bytes, n });
        i = end + 1;
    }
    return true;
}

/* --- message/delivery-status --- */

/* RFC 3461 section 6.3 (d): from ORCPT, decoded. What says that it is UTF-8 and is not stays as it was given (RFC 6533
 * section 3); so it does where the part is ASCII. */
static void add_original(struct buf *out, const struct dsn_report *r, str orcpt)
{
    size_t semicolon = str_find_byte(orcpt, ';', 0);
    str type = str_sub(orcpt, 0, semicolon), address = str_from(orcpt, semicolon + 1);
    buf_add_all(out, STR("Original-Recipient: "), type, STR("; "));
    if (!str_ieq(type, STR("utf-8")))
        add_xtext_decoded(out, address);
    else if (!is_global(r) || !add_unitext_decoded(out, address))
        buf_add(out, address);
    buf_add(out, STR("\r\n"));
}

static void add_recipient(struct buf *out, const struct dsn_report *r, const struct dsn_outcome *o)
{
    buf_add(out, STR("\r\n"));
    if (o->orcpt.n)
        add_original(out, r, o->orcpt);
    buf_add_all(out, STR("Final-Recipient: "), utf8_is_ascii(o->recipient) ? STR("rfc822; ") : STR("utf-8; "), o->recipient,
                STR("\r\nAction: "), action_names[o->action], STR("\r\nStatus: "), o->status, STR("\r\n"));
    if (o->reply.n)
        buf_add_all(out, STR("Diagnostic-Code: smtp; "), o->reply, STR("\r\n"));
    buf_add(out, STR("Last-Attempt-Date: "));
    add_date(out, r->now_s, r->zone);
    buf_add(out, STR("\r\n"));
}

static void add_status(struct buf *out, const struct dsn_report *r)
{
    if (is_global(r))
        buf_add(out, STR("Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"));
    else
        buf_add(out, STR("Content-Type: message/delivery-status\r\n\r\n"));
    if (r->envid.n) {
        buf_add(out, STR("Original-Envelope-Id: "));
        add_xtext_decoded(out, r->envid);
        buf_add(out, STR("\r\n"));
    }
    buf_add_all(out, STR("Reporting-MTA: dns; "), r->hostname, STR("\r\nArrival-Date: "));
    add_date(out, r->arrived_s, r->zone);
    buf_add(out, STR("\r\n"));
    for (size_t i = 0; i < r->outcome_n; i++)
        add_recipient(out, r, &r->outcomes[i]);
}

/* --- the words for people --- */

static void add_list(struct buf *out, const struct dsn_report *r, enum dsn_action action, str heading)
{
    if (!count(r, action))
        return;
    buf_add_all(out, STR("\r\n"), heading, STR("\r\n"));
    for (size_t i = 0; i < r->outcome_n; i++) {
        const struct dsn_outcome *o = &r->outcomes[i];
        if (o->action != action)
            continue;
        buf_add_all(out, STR("\r\n    <"), o->recipient, STR(">\r\n"));
        if (o->reply.n)
            buf_add_all(out, STR("        "), o->reply, STR("\r\n"));
    }
}

static void add_words_in(struct buf *out, const struct dsn_report *r, enum language language)
{
    struct message_header_field f;
    struct buf subject = BUF_INIT(SUBJECT_MAX);
    const struct word_value hostname = { "hostname", r->hostname };
    words_fill(out, words_in(language, WORD_REPORT_ABOUT), &hostname, 1);
    buf_add(out, STR("\r\n"));
    add_date(out, r->arrived_s, r->zone);
    if (message_header_find(r->message, STR("Subject"), &f)) {
        if (message_encoded_word_decode(f.value, &subject) == 0 && subject.n)
            buf_add_all(out, STR(",\r\n\r\n    "), str_trim(buf_str(&subject)));
    }
    buf_add(out, STR("\r\n"));
    add_list(out, r, DSN_ACTION_FAILED, words_in(language, WORD_REPORT_FAILED));
    add_list(out, r, DSN_ACTION_DELIVERED, words_in(language, WORD_REPORT_DELIVERED));
    add_list(out, r, DSN_ACTION_EXPANDED, words_in(language, WORD_REPORT_EXPANDED));
    if (count(r, DSN_ACTION_FAILED))
        buf_add_all(out, STR("\r\n"), words_in(language, WORD_REPORT_END), STR("\r\n"));
    buf_done(&subject);
}

/* Whoever is a stranger gets all languages, one below the other. */
static void add_words(struct buf *out, const struct dsn_report *r)
{
    static const str between = STR_INIT("\r\n----------------------------------------------------------------------\r\n\r\n");
    buf_add(out, STR("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"));
    if (r->language != LANGUAGE_UNSAID)
        buf_add_all(out, STR("Content-Language: "), language_tag(r->language), STR("\r\n"));
    buf_add(out, STR("\r\n"));
    for (enum language l = LANGUAGE_EN; l < LANGUAGE_N; l++) {
        if (r->language != LANGUAGE_UNSAID && r->language != l)
            continue;
        if (r->language == LANGUAGE_UNSAID && l != LANGUAGE_EN)
            buf_add(out, between);
        add_words_in(out, r, l);
    }
}

/* --- what is returned --- */

/* RFC 3461 section 6.2: the message if a failure is reported and it is not too long, unless only its header is wanted. */
static void add_returned(struct buf *out, const struct dsn_report *r)
{
    size_t header_n = message_header_size(r->message);
    bool whole = count(r, DSN_ACTION_FAILED) && r->ret != DSN_RET_HDRS && r->message.n <= DSN_RETURNED_MAX;
    str bytes = whole ? r->message : str_sub(r->message, 0, header_n);
    str type = whole ? (is_global(r) ? STR("message/global") : STR("message/rfc822"))
                     : (is_global(r) ? STR("message/global-headers") : STR("text/rfc822-headers"));
    if (!whole && bytes.n > DSN_RETURNED_MAX) { /* cut at a line */
        bytes.n = DSN_RETURNED_MAX;
        while (bytes.n && bytes.p[bytes.n - 1] != '\n')
            bytes.n--;
    }
    buf_add_all(out, STR("Content-Type: "), type, STR("\r\n"));
    if (!utf8_is_ascii(bytes))
        buf_add(out, STR("Content-Transfer-Encoding: 8bit\r\n"));
    buf_add_all(out, STR("\r\n"), bytes);
    if (!str_ends(bytes, STR("\r\n")))
        buf_add(out, STR("\r\n"));
}

/* --- all of it --- */

/* RFC 3834 section 3.1.5: so that it stands beside the message that it is about. */
static void add_reference(struct buf *out, str message)
{
    struct message_header_field f;
    struct buf id = BUF_INIT(MESSAGE_ID_MAX);
    if (message_header_find(message, STR("Message-ID"), &f))
        message_header_unfold(&id, f.value);
    str s = buf_str(&id);
    bool good = s.n > 2 && s.n < MESSAGE_ID_MAX && s.p[0] == '<' && s.p[s.n - 1] == '>';
    for (size_t i = 0; i < s.n; i++)
        good = good && s.p[i] > ' ' && s.p[i] < 127;
    if (good)
        buf_add_all(out, STR("In-Reply-To: "), s, STR("\r\nReferences: "), s, STR("\r\n"));
    buf_done(&id);
}

static void add_subject(struct buf *out, const struct dsn_report *r)
{
    size_t failed = count(r, DSN_ACTION_FAILED);
    bool reached = failed < r->outcome_n || r->has_reached_others;
    enum word word = !failed ? WORD_REPORT_DELIVERED_SUBJECT : reached ? WORD_REPORT_PARTLY_SUBJECT : WORD_REPORT_FAILED_SUBJECT;
    struct buf text = BUF_INIT(SUBJECT_MAX);
    for (enum language l = LANGUAGE_EN; l < LANGUAGE_N; l++)
        if (r->language == LANGUAGE_UNSAID || r->language == l)
            buf_add_all(&text, text.n ? STR(" / ") : STR(""), words_in(l, word));
    message_encoded_word_encode(out, buf_str(&text), sizeof "Subject: " - 1);
    buf_done(&text);
}

int dsn_report_write(struct buf *out, const struct dsn_report *r)
{
    require(r->outcome_n > 0);
    buf_add_all(out, STR("From: Mail delivery <"), r->from, STR(">\r\nTo: <"), r->sender, STR(">\r\nSubject: "));
    add_subject(out, r);
    buf_add(out, STR("\r\nDate: "));
    add_date(out, r->now_s, r->zone);
    buf_add_all(out, STR("\r\nMessage-ID: <"), r->id, STR("@"), r->hostname, STR(">\r\n"));
    add_reference(out, r->message);
    /* RFC 3834 section 5: no program answers it. */
    buf_add_all(out, STR("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; "),
                STR("report-type=delivery-status;\r\n\tboundary=\"report-"), r->id, STR("\"\r\n\r\n--report-"), r->id,
                STR("\r\n"));
    add_words(out, r);
    buf_add_all(out, STR("\r\n--report-"), r->id, STR("\r\n"));
    add_status(out, r);
    buf_add_all(out, STR("\r\n--report-"), r->id, STR("\r\n"));
    add_returned(out, r);
    buf_add_all(out, STR("\r\n--report-"), r->id, STR("--\r\n"));
    return buf_error(out);
}
