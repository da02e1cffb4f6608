/* Fuzzes names in a Maildir: each line is a message's name, a keyword line and a folder. A folder that is read is written the same or more plainly. */
#include "archive/maildir.h"

enum { MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = { (const char *)data, size }, rest = text, line;
    struct maildir_keywords k;
    struct maildir_courier c;
    struct arena names = ARENA_INIT(MAX);
    maildir_keywords_parse(text, &k);
    require(maildir_courier_parse(text, &names, &c) == 0 || size > MAX / 16);
    while (str_split(&rest, '\n', &line)) {
        struct arena a = ARENA_INIT(MAX);
        struct buf b = BUF_INIT(MAX);
        struct mail_flags flags;
        str name, again;
        uint32_t lost;
        require(maildir_name_parse(line, &k, &c, &a, &flags, &lost) == 0 && flags.keyword_n <= MAIL_KEYWORDS_MAX);
        if (maildir_folder_parse(line, &a, &name) == 0) {
            maildir_folder_add(&b, name);
            require(maildir_folder_parse(buf_str(&b), &a, &again) == 0 && str_eq(name, again));
        }
        if (maildir_level_parse(line, &a, &name) == 0)
            require(name.n && str_find_byte(name, '/', 0) == name.n);
        buf_done(&b);
        arena_done(&a);
    }
    maildir_courier_done(&c);
    arena_done(&names);
    return 0;
}
