/* Fuzzes mbox both ways: any file is read to its end, also with the labels of Google and lengths, and any message that is written comes back as it was. */
#include "archive/gmail.h"
#include "archive/lines.h"
#include "archive/mbox.h"

enum { MAX = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_labels(str text)
{
    struct arena a = ARENA_INIT(MAX);
    struct gmail_labels labels;
    (void)gmail_is_takeout(STR("1@xxx"), text);
    str value = gmail_labels_find(text);
    if (value.p && gmail_labels_read(value, &a, &labels) == 0)
        require(labels.folder.n && labels.folder.p[0] != '/' && labels.flags.keyword_n <= MAIL_KEYWORDS_MAX);
    arena_done(&a);
}

static void read_all(str file)
{
    struct mbox_reader r;
    struct mbox_message m;
    mbox_open(&r, file, 0);
    for (size_t before = 0; mbox_next(&r, &m); before = r.at) {
        struct arena a = ARENA_INIT(MAX);
        struct buf out = BUF_INIT(MAX);
        struct mbox_status status;
        require(r.at > before && r.at <= file.n && m.text.p >= file.p && m.text.p + m.text.n <= file.p + r.at);
        require(mbox_decode(&m, &out, &a, &status) == 0 && status.flags.keyword_n <= MAIL_KEYWORDS_MAX);
        read_labels(m.text);
        buf_done(&out);
        arena_done(&a);
    }
    require(!r.begun || r.at == file.n);
}

/* FILE read in parts of STEP bytes and as many more as are wanted gives what it gives when it is there at once. */
static void read_in_parts(str file, size_t step)
{
    struct mbox_reader whole, r;
    struct mbox_message a, b;
    size_t n = file.n < step ? file.n : step;
    char *part = malloc(n ? n : 1);
    require(part != NULL);
    memcpy(part, file.p, n);
    mbox_open(&whole, file, 0);
    mbox_open(&r, (str){ part, n }, file.n - n);
    for (bool more = true; more;) {
        more = mbox_next(&r, &b);
        if (!more && r.wants) {
            size_t begins = (size_t)r.base + r.at, kept = n - r.at, left = file.n - begins;
            n = kept + (r.at ? step : kept + step) < left ? kept + (r.at ? step : kept + step) : left;
            char *next = malloc(n ? n : 1);
            require(next != NULL);
            memcpy(next, file.p + begins, n);
            mbox_continue(&r, (str){ next, n }, left - n);
            free(part);
            part = next;
            more = true;
            continue;
        }
        bool found = mbox_next(&whole, &a);
        require(found == more && whole.taken == r.taken && whole.left == r.left && whole.first_doubt == r.first_doubt);
        if (found)
            require(a.text.p - file.p == (ptrdiff_t)r.base + (b.text.p - r.file.p) && str_eq(a.text, b.text) &&
                    a.measured == b.measured && a.received == b.received && str_eq(a.sender, b.sender));
    }
    require((whole.at == file.n) == (r.base + r.at == file.n));
    free(part);
}

static void write_and_read(str text)
{
    struct buf message = BUF_INIT(MAX), file = BUF_INIT(MAX), out = BUF_INIT(MAX);
    struct arena a = ARENA_INIT(MAX);
    struct mail_flags flags = { .system = text.n & 31 };
    struct mbox_status again;
    struct mbox_reader r;
    struct mbox_message m;
    archive_to_crlf(&message, text);
    if (message.n && message.p[message.n - 1] != '\n')
        buf_add(&message, message.p[message.n - 1] == '\r' ? STR("\n") : STR("\r\n"));
    mbox_add(&file, buf_str(&message), &flags, 1700000000);
    mbox_open(&r, buf_str(&file), 0);
    require(mbox_next(&r, &m) && r.at == file.n && m.received == 1700000000 && r.taken + r.left == 0);
    require(mbox_decode(&m, &out, &a, &again) == 0);
    require(str_eq(buf_str(&out), buf_str(&message)) && again.flags.system == flags.system);
    buf_done(&message);
    buf_done(&file);
    buf_done(&out);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = { (const char *)data, size };
    if (size)
        read_in_parts((str){ (const char *)data, size }, 4 + data[size - 1]);
    read_all(text);
    write_and_read(text);
    return 0;
}
