/* Fuzzes names in a Maildir: each line is a message's name, a keyword line and a folder. A folder that is read is written the same or more plainly. */
#include "archive/maildir.h"

enum { MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = { (const char *)data, size }, rest = text, line;
    struct maildir_keywords k;
    maildir_keywords_parse(text, &k);
    while (str_split(&rest, '\n', &line)) {
        struct arena a = ARENA_INIT(MAX);
        struct buf b = BUF_INIT(MAX);
        struct mail_flags flags;
        str name, again;
        require(maildir_name_parse(line, &k, &a, &flags) == 0 && flags.keyword_n <= MAILDIR_KEYWORDS_MAX);
        if (maildir_folder_parse(line, &a, &name) == 0) {
            maildir_folder_add(&b, name);
            require(maildir_folder_parse(buf_str(&b), &a, &again) == 0 && str_eq(name, again));
        }
        buf_done(&b);
        arena_done(&a);
    }
    return 0;
}
