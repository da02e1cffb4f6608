/* syntax_fetch: the attributes of FETCH (RFC 3501 sections 6.4.5 and 9); see syntax.h. */
#include "imap/syntax_private.h"

/* header-list = "(" header-fld-name *(SP header-fld-name) ")"; header-fld-name = astring */
static int parse_header_list(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_section *section)
{
    str *fields = arena_array(a, limits->fields_max, sizeof *fields);
    if (!fields)
        return ERR_LIMIT;
    if (!scan_byte(s, '('))
        return ERR_SYNTAX;
    section->fields = fields;
    do {
        if (section->field_n == limits->fields_max)
            return ERR_LIMIT;
        int r = imap_parse_astring(s, a, &fields[section->field_n]);
        if (r < 0)
            return r;
        if (!fields[section->field_n++].n)
            return ERR_SYNTAX;
    } while (scan_byte(s, ' '));
    return scan_byte(s, ')') ? 0 : ERR_SYNTAX;
}

/* section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
 * section-text = section-msgtext / "MIME" */
static int parse_section_text(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_section *section)
{
    if (imap_scan_word(s, STR("HEADER.FIELDS.NOT")))
        section->text = IMAP_SECTION_FIELDS_NOT;
    else if (imap_scan_word(s, STR("HEADER.FIELDS")))
        section->text = IMAP_SECTION_FIELDS;
    else if (imap_scan_word(s, STR("HEADER")))
        section->text = IMAP_SECTION_HEADER;
    else if (imap_scan_word(s, STR("TEXT")))
        section->text = IMAP_SECTION_TEXT;
    else if (section->path_n && imap_scan_word(s, STR("MIME")))
        section->text = IMAP_SECTION_MIME;
    else
        return ERR_SYNTAX;
    if (section->text != IMAP_SECTION_FIELDS && section->text != IMAP_SECTION_FIELDS_NOT)
        return 0;
    return scan_byte(s, ' ') ? parse_header_list(s, a, limits, section) : ERR_SYNTAX;
}

/* section = "[" [section-spec] "]"; section-binary = "[" [section-part] "]" (RFC 3516 section 7)
 * section-spec = section-msgtext / (section-part ["." section-text])
 * section-part = nz-number *("." nz-number) */
static int parse_section(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_section *section)
{
    if (!scan_byte(s, '['))
        return ERR_SYNTAX;
    section->text = IMAP_SECTION_ALL;
    if (scan_byte(s, ']'))
        return 0;
    uint32_t *path = arena_array(a, limits->section_depth_max, sizeof *path);
    if (!path)
        return ERR_LIMIT;
    section->path = path;
    bool more = true;
    while (more && imap_scan_nz_number(s, &path[section->path_n])) {
        more = scan_byte(s, '.');
        if (++section->path_n == limits->section_depth_max)
            return ERR_LIMIT;
    }
    if (more && section->kind != IMAP_SECTION_BODY)
        return ERR_SYNTAX;
    if (more) {
        int r = parse_section_text(s, a, limits, section);
        if (r < 0)
            return r;
    }
    return scan_byte(s, ']') ? 0 : ERR_SYNTAX;
}

/* ["<" number "." nz-number ">"] */
static int parse_partial(struct scan *s, struct imap_section *section)
{
    if (!scan_byte(s, '<'))
        return 0;
    section->partial = true;
    bool ok = imap_scan_number(s, &section->offset) && scan_byte(s, '.') && imap_scan_nz_number(s, &section->count) &&
              scan_byte(s, '>');
    return ok ? 0 : ERR_SYNTAX;
}

/* "RFC822" [".HEADER" / ".TEXT"]: BODY[], BODY.PEEK[HEADER] and BODY[TEXT] by their old names. */
static bool scan_rfc822(struct scan *s, struct imap_section *section)
{
    if (imap_scan_word(s, STR("RFC822.HEADER")))
        *section = (struct imap_section){ .text = IMAP_SECTION_HEADER, .peek = true, .name = STR("RFC822.HEADER") };
    else if (imap_scan_word(s, STR("RFC822.TEXT")))
        *section = (struct imap_section){ .text = IMAP_SECTION_TEXT, .name = STR("RFC822.TEXT") };
    else if (imap_scan_word(s, STR("RFC822")))
        *section = (struct imap_section){ .text = IMAP_SECTION_ALL, .name = STR("RFC822") };
    else
        return false;
    return true;
}

/* WORD in front of "[". */
static bool scan_section_word(struct scan *s, str word)
{
    struct scan at = *s;
    if (!scan_iliteral(&at, word) || scan_peek(&at) != '[')
        return false;
    *s = at;
    return true;
}

/* "BINARY" [".PEEK"] / "BINARY.SIZE" (RFC 3516 section 4.2) */
static bool scan_binary(struct scan *s, struct imap_section *section)
{
    if (scan_section_word(s, STR("BINARY.SIZE")))
        *section = (struct imap_section){ .kind = IMAP_SECTION_BINARY_SIZE, .peek = true };
    else if (scan_section_word(s, STR("BINARY.PEEK")))
        *section = (struct imap_section){ .kind = IMAP_SECTION_BINARY, .peek = true };
    else if (scan_section_word(s, STR("BINARY")))
        *section = (struct imap_section){ .kind = IMAP_SECTION_BINARY };
    else
        return false;
    return true;
}

struct fetch_items {
    struct imap_fetch fetch;
    struct imap_section *sections;
    size_t max;
};

static const struct {
    str name;
    unsigned bits;
} simple_items[] = {
    { STR_INIT("UID"), IMAP_FETCH_UID },
    { STR_INIT("FLAGS"), IMAP_FETCH_FLAGS },
    { STR_INIT("INTERNALDATE"), IMAP_FETCH_INTERNALDATE },
    { STR_INIT("RFC822.SIZE"), IMAP_FETCH_SIZE },
    { STR_INIT("ENVELOPE"), IMAP_FETCH_ENVELOPE },
    { STR_INIT("BODYSTRUCTURE"), IMAP_FETCH_BODYSTRUCTURE },
    { STR_INIT("MODSEQ"), IMAP_FETCH_MODSEQ },
};

/* fetch-att */
static int parse_fetch_att(struct scan *s, struct arena *a, const struct imap_limits *limits, struct fetch_items *items)
{
    for (size_t i = 0; i < sizeof simple_items / sizeof *simple_items; i++) {
        if (imap_scan_word(s, simple_items[i].name)) {
            items->fetch.items |= simple_items[i].bits;
            return 0;
        }
    }
    struct imap_section section = { 0 };
    if (scan_binary(s, &section)) {
        int r = parse_section(s, a, limits, &section);
        if (r == 0 && section.kind == IMAP_SECTION_BINARY)
            r = parse_partial(s, &section);
        if (r < 0)
            return r;
    } else if (!scan_rfc822(s, &section)) {
        section.peek = scan_iliteral(s, STR("BODY.PEEK"));
        if (!section.peek && !scan_iliteral(s, STR("BODY")))
            return ERR_SYNTAX;
        if (!section.peek && scan_peek(s) != '[') {
            items->fetch.items |= IMAP_FETCH_BODY;
            return 0;
        }
        int r = parse_section(s, a, limits, &section);
        if (r == 0)
            r = parse_partial(s, &section);
        if (r < 0)
            return r;
    }
    if (items->fetch.section_n == items->max)
        return ERR_LIMIT;
    items->sections[items->fetch.section_n++] = section;
    return 0;
}

/* "ALL" / "FULL" / "FAST" (section 6.4.5) */
static bool scan_macro(struct scan *s, unsigned *ret)
{
    const unsigned fast = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE;
    if (imap_scan_word(s, STR("ALL")))
        *ret = fast | IMAP_FETCH_ENVELOPE;
    else if (imap_scan_word(s, STR("FULL")))
        *ret = fast | IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY;
    else if (imap_scan_word(s, STR("FAST")))
        *ret = fast;
    else
        return false;
    return true;
}

/* fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")" (RFC 4466 section 6); chgsince-fetch-mod = "CHANGEDSINCE" SP
 * mod-sequence-value: "it implicitly adds the MODSEQ FETCH message data item" (RFC 7162 section 3.1.4.1); rexpunges-fetch-mod =
 * "VANISHED", only with it (section 3.2.6) */
static int parse_modifiers(struct scan *s, struct imap_fetch *fetch)
{
    if (!scan_byte(s, ' '))
        return 0;
    if (!scan_byte(s, '('))
        return ERR_SYNTAX;
    do {
        if (!fetch->vanished && imap_scan_word(s, STR("VANISHED")))
            fetch->vanished = true;
        else if (!fetch->changed && imap_scan_word(s, STR("CHANGEDSINCE")) && scan_byte(s, ' ') &&
                 imap_scan_modseq(s, &fetch->changed_since))
            fetch->changed = true;
        else
            return ERR_SYNTAX;
    } while (scan_byte(s, ' '));
    if (!scan_byte(s, ')') || !fetch->changed)
        return ERR_SYNTAX;
    fetch->items |= IMAP_FETCH_MODSEQ;
    return 0;
}

/* ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers] */
int imap_parse_fetch(struct scan *s, struct arena *a, const struct imap_limits *limits, struct imap_fetch *ret)
{
    struct scan at = *s;
    struct fetch_items items = { .max = limits->items_max };
    items.sections = arena_array(a, limits->items_max, sizeof *items.sections);
    if (!items.sections)
        return ERR_LIMIT;
    items.fetch.sections = items.sections;
    if (!scan_macro(&at, &items.fetch.items)) {
        bool many = scan_byte(&at, '(');
        do {
            int r = parse_fetch_att(&at, a, limits, &items);
            if (r < 0)
                return r;
        } while (many && scan_byte(&at, ' '));
        if (many && !scan_byte(&at, ')'))
            return ERR_SYNTAX;
    }
    int r = parse_modifiers(&at, &items.fetch);
    if (r < 0)
        return r;
    *s = at;
    *ret = items.fetch;
    return 0;
}
