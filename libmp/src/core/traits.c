#include "traits.h"

#include "fault.h"

#include <string.h>

typedef struct parser {
    const char *text;
    const char *at;
} parser_t;

static mp_rc_t wrong(const parser_t *self, const char *at, const char *what)
{
    return mpx_fault(MP_EINVAL, "'%.200s', position %zu: %s", self->text,
                     (size_t)(at - self->text) + 1, what);
}

/* Not isalnum: what is a name mustn't depend on the locale. */
static bool is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static void skip_spaces(parser_t *self)
{
    while (*self->at == ' ')
        self->at++;
}

static mp_rc_t take_word(parser_t *self, char out[MPX_TRAIT_TEXT], const char *missing)
{
    const char *first = self->at;
    while (is_of_name(*self->at))
        self->at++;
    size_t size = (size_t)(self->at - first);
    if (size == 0)
        return wrong(self, first, missing);
    if (size >= MPX_TRAIT_TEXT)
        return wrong(self, first, "a name or a value has at most 31 characters");
    memcpy(out, first, size);
    return MP_OK;
}

/* false: it is no number. */
static bool take_number(const char *word, uint64_t *out, bool *fits)
{
    static const char suffixes[] = "KMGT";
    uint64_t number = 0;
    *fits = true;
    if (*word < '0' || *word > '9')
        return false;
    for (; *word >= '0' && *word <= '9'; word++) {
        unsigned digit = (unsigned)(*word - '0');
        *fits = *fits && number <= (UINT64_MAX - digit) / 10;
        number = number * 10 + digit;
    }
    const char *suffix = *word ? strchr(suffixes, *word) : NULL;
    unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
    *fits = *fits && number <= UINT64_MAX >> shift;
    *out = number << shift;
    return word[suffix != NULL] == '\0';
}

static mp_rc_t take_value(parser_t *self, mpx_trait_t *trait)
{
    const char *first = self->at;
    bool fits = true;
    mp_rc_t rc = take_word(self, trait->label, "a value is missing behind '='");
    if (rc != MP_OK)
        return rc;
    trait->counted = take_number(trait->label, &trait->amount, &fits);
    if (trait->counted && !fits)
        return wrong(self, first, "a number is over 2^64 - 1");
    if (trait->counted)
        memset(trait->label, 0, sizeof trait->label);
    else
        trait->amount = 0;
    return MP_OK;
}

static mp_rc_t take_trait(parser_t *self, mpx_traits_t *out)
{
    skip_spaces(self);
    const char *first = self->at;
    mpx_trait_t trait = {0};
    mp_rc_t rc = take_word(self, trait.name, "a name of A-Z a-z 0-9 . _ - is missing");
    if (rc == MP_OK && *self->at == '=') {
        self->at++;
        rc = take_value(self, &trait);
    }
    if (rc != MP_OK)
        return rc;
    skip_spaces(self);
    if (mpx_traits_find(out, trait.name) >= 0)
        return wrong(self, first, "it was named before");
    if (out->count == MPX_TRAITS_MAX)
        return wrong(self, first, "there are more than 16");
    size_t place = out->count++;
    for (; place > 0 && strcmp(out->items[place - 1].name, trait.name) > 0; place--)
        out->items[place] = out->items[place - 1];
    out->items[place] = trait;
    return MP_OK;
}

mp_rc_t mpx_traits_parse(const char *text, mpx_traits_t *out)
{
    parser_t parser = {.text = text ? text : "", .at = text ? text : ""};
    mpx_traits_t traits;
    mp_rc_t rc = MP_OK;
    memset(&traits, 0, sizeof traits);
    skip_spaces(&parser);
    if (*parser.at)
        rc = take_trait(&parser, &traits);
    while (rc == MP_OK && *parser.at == ',') {
        parser.at++;
        rc = take_trait(&parser, &traits);
    }
    if (rc == MP_OK && *parser.at)
        rc = wrong(&parser, parser.at, "a ',' or the end is expected here");
    if (rc == MP_OK)
        *out = traits;
    return rc;
}

int mpx_traits_find(const mpx_traits_t *have, const char *name)
{
    for (size_t i = 0; i < have->count; i++)
        if (strcmp(have->items[i].name, name) == 0)
            return (int)i;
    return -1;
}

bool mpx_traits_meet(const mpx_traits_t *have, const mpx_traits_t *needs)
{
    for (size_t i = 0; i < needs->count; i++) {
        const mpx_trait_t *need = &needs->items[i];
        int place = mpx_traits_find(have, need->name);
        const mpx_trait_t *there = place < 0 ? NULL : &have->items[place];
        if (!there || there->counted != need->counted || there->amount < need->amount ||
            strcmp(there->label, need->label) != 0)
            return false;
    }
    return true;
}

bool mpx_traits_equal(const mpx_traits_t *a, const mpx_traits_t *b)
{
    return a->count == b->count && mpx_traits_meet(a, b) && mpx_traits_meet(b, a);
}
