/* Words and notes: every text in every language with the same places in it; a note is a whole message that any program reads. */
#include "../check.h"

#include "base/arena.h"
#include "base/utf8.h"
#include "dsn/note.h"
#include "dsn/words.h"
#include "message/encoded_word.h"
#include "message/encoding.h"
#include "message/header.h"

/* Whether each "{name}" in ONE is in OTHER. */
static bool has_places_of(str one, str other)
{
    for (size_t at = 0; (at = str_find_byte(one, '{', at)) < one.n; at++) {
        str place = str_sub(one, at, str_find_byte(one, '}', at) - at + 1);
        if (str_find(other, place) == other.n)
            return false;
    }
    return true;
}

static void every_text_is_there_in_every_language(void **state)
{
    (void)state;
    for (enum word w = 0; w < WORDS; w++) {
        str en = words_in(LANGUAGE_EN, w), fr = words_in(LANGUAGE_FR, w);
        if (!en.n || !fr.n || !utf8_is_ascii(en) || !utf8_valid(fr))
            fail_msg("text %d is missing or is no text", (int)w);
        if (str_find_byte(fr, '\'', 0) < fr.n)
            fail_msg("text %d has a straight apostrophe in French", (int)w);
        if (!has_places_of(en, fr) || !has_places_of(fr, en))
            fail_msg("the places of text %d differ", (int)w);
    }
}

static void one_message_is_one(void **state)
{
    (void)state;
    assert_int_equal(words_messages(LANGUAGE_EN, 0), WORD_MESSAGES);
    assert_int_equal(words_messages(LANGUAGE_FR, 0), WORD_MESSAGE);
    for (enum language l = LANGUAGE_EN; l <= LANGUAGE_FR; l++) {
        assert_int_equal(words_messages(l, 1), WORD_MESSAGE);
        assert_int_equal(words_messages(l, 2), WORD_MESSAGES);
    }
}

static void places_are_filled(void **state)
{
    (void)state;
    static const struct word_value values[] = { { "a", STR_INIT("1") }, { "bb", STR_INIT("{a}") } };
    static const struct {
        const char *text, *filled;
    } rows[] = { { "{a}", "1" },     { "x{bb}y{a}", "x{a}y1" },
                 { "{", "{" },       { "{c} {a", "{c} {a" },
                 { "{{a}}", "{1}" }, { "{}", "{}" },
                 { "", "" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = BUF_INIT(100);
        str text = check_copy(str_from_z(rows[i].text));
        words_fill(&b, text, values, 2);
        check_str(buf_str(&b), rows[i].filled);
        check_free(text);
        buf_done(&b);
    }
}

static void check_field(str message, str name, const char *value)
{
    struct message_header_field f;
    struct buf text = BUF_INIT(1000);
    assert_true(message_header_find(message, name, &f));
    assert_int_equal(message_encoded_word_decode(f.value, &text), 0);
    check_str(str_trim(buf_str(&text)), value);
    buf_done(&text);
}

static void a_note_is_a_message(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(1 << 16), body = BUF_INIT(1 << 16);
    const struct dsn_note n = { .hostname = STR("mx.example.org"),
                                .from = STR("postmaster@example.org"),
                                .to = STR("alice@example.org"),
                                .id = STR("abc123"),
                                .now_s = 1700000000,
                                .zone = 60,
                                .language = LANGUAGE_FR,
                                .subject = STR("Votre boîte est pleine à 95\xc2\xa0%"),
                                .text = STR(
                                    "Bonjour,\n\n.\nFrom là-bas\nune longue ligne éééééééééééééééééééééééééééééééééééééééé\n") };
    assert_int_equal(dsn_note_write(&out, &n), 0);
    str message = buf_str(&out);
    assert_true(utf8_is_ascii(message));
    check_field(message, STR("Subject"), "Votre boîte est pleine à 95\xc2\xa0%");
    check_field(message, STR("From"), "<postmaster@example.org>");
    check_field(message, STR("To"), "<alice@example.org>");
    check_field(message, STR("Date"), "Tue, 14 Nov 2023 23:13:20 +0100");
    check_field(message, STR("Message-ID"), "<abc123@mx.example.org>");
    check_field(message, STR("Auto-Submitted"), "auto-generated");
    check_field(message, STR("Content-Language"), "fr");
    check_field(message, STR("Content-Type"), "text/plain; charset=utf-8");
    check_field(message, STR("Content-Transfer-Encoding"), "quoted-printable");
    str rest = message, line;
    while (rest.n && str_split(&rest, '\n', &line))
        assert_true(line.n <= 77 && str_ends(line, STR("\r")));
    assert_int_equal(message_decode(MESSAGE_ENCODING_QUOTED_PRINTABLE, str_from(message, message_header_size(message)), &body),
                     0);
    assert_true(str_find(buf_str(&body), STR("From là-bas\r\n")) < body.n);
    buf_done(&out);
    buf_done(&body);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_is_there_in_every_language),
        cmocka_unit_test(one_message_is_one),
        cmocka_unit_test(places_are_filled),
        cmocka_unit_test(a_note_is_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
