#include "allow.h"

#include "fault.h"
#include "keyfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->unlisted = true)
#include <uthash.h>

typedef struct entry {
    mpx_allowed_t allowed;
    bool unlisted;
    UT_hash_handle hh;
} entry_t;

struct mpx_allow {
    entry_t *entries; /* by key */
};

/* ---- roles ----------------------------------------------------------------------------------- */

static const struct role {
    const char *name;
    unsigned bits;
} roles[] = {
    {"submit", MPX_MAY_SUBMIT}, {"work", MPX_MAY_WORK},
    {"read", MPX_MAY_READ},     {"write", MPX_MAY_WRITE | MPX_MAY_READ},
    {"admin", MPX_MAY_ADMIN},
};

enum { ROLES = sizeof roles / sizeof *roles };

static bool add_role(const char *text, size_t size, unsigned *bits)
{
    for (size_t i = 0; i < ROLES; i++)
        if (strlen(roles[i].name) == size && memcmp(roles[i].name, text, size) == 0) {
            *bits |= roles[i].bits;
            return true;
        }
    return false;
}

bool mpx_roles_parse(const char *text, unsigned *out)
{
    unsigned bits = 0;
    if (strcmp(text, "-") == 0 || !*text) {
        *out = 0;
        return true;
    }
    for (;;) {
        size_t size = strcspn(text, ",");
        if (!add_role(text, size, &bits))
            return false;
        if (!text[size])
            break;
        text += size + 1;
    }
    *out = bits;
    return true;
}

void mpx_roles_print(unsigned bits, char out[MPX_ROLES_TEXT])
{
    size_t size = 0;
    snprintf(out, MPX_ROLES_TEXT, "-");
    for (size_t i = 0; i < ROLES; i++) {
        bool covered = roles[i].bits == MPX_MAY_READ && bits & MPX_MAY_WRITE;
        if ((bits & roles[i].bits) == roles[i].bits && !covered)
            size += (size_t)snprintf(out + size, MPX_ROLES_TEXT - size, "%s%s", size ? "," : "",
                                     roles[i].name);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

enum { WORDS = 3, WORD_MAX = 255 };

typedef struct line {
    char words[WORDS][WORD_MAX + 1];
    size_t count; /* WORDS + 1: more, or longer ones */
} line_t;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void split(const char *text, size_t size, line_t *out)
{
    out->count = 0;
    for (size_t i = 0; i < size;) {
        size_t from = i;
        while (i < size && !is_blank(text[i]))
            i++;
        size_t length = i - from;
        if (length && (out->count == WORDS || length > WORD_MAX)) {
            out->count = WORDS + 1;
            return;
        }
        if (length) {
            memcpy(out->words[out->count], text + from, length);
            out->words[out->count++][length] = 0;
        }
        while (i < size && is_blank(text[i]))
            i++;
    }
}

/* The next line, without its end. false: there is none. */
static bool next_line(mp_bytes_t *rest, mp_bytes_t *out)
{
    if (!rest->size)
        return false;
    const char *data = rest->data;
    const char *end = memchr(data, '\n', rest->size);
    size_t size = end ? (size_t)(end - data) : rest->size;
    *out = (mp_bytes_t){data, size};
    size += end != NULL;
    *rest = (mp_bytes_t){data + size, rest->size - size};
    return true;
}

/* Whether it says something. */
static bool read_line(mp_bytes_t text, line_t *out)
{
    split(text.data, text.size, out);
    return out->count && out->words[0][0] != '#';
}

static mp_rc_t read_entry(const line_t *line, const char *where, unsigned number,
                          mpx_allowed_t *out)
{
    if (line->count != WORDS)
        return mpx_fault(MP_EINVAL, "%s, line %u: not NAME KEY ROLES", where, number);
    if (!mpx_key_name_is_valid(line->words[0]))
        return mpx_fault(MP_EINVAL, "%s, line %u: a name has 1 to %d of A-Z a-z 0-9 . _ -", where,
                         number, MPX_KEY_NAME_MAX);
    if (!mpx_curve_is_key(line->words[1]))
        return mpx_fault(MP_EINVAL, "%s, line %u: not a key: 40 characters of Z85 are one", where,
                         number);
    *out = (mpx_allowed_t){.roles = 0};
    if (!mpx_roles_parse(line->words[2], &out->roles))
        return mpx_fault(MP_EINVAL,
                         "%s, line %u: roles are submit, work, read, write and admin, with commas "
                         "between them, or -",
                         where, number);
    memcpy(out->name, line->words[0], strlen(line->words[0]) + 1);
    memcpy(out->key, line->words[1], sizeof out->key);
    return MP_OK;
}

static entry_t *find(const mpx_allow_t *self, const char *key)
{
    entry_t *entry = NULL;
    HASH_FIND(hh, self->entries, key, MPX_CURVE_TEXT, entry);
    return entry;
}

static mp_rc_t list(mpx_allow_t *self, const mpx_allowed_t *allowed, const char *where,
                    unsigned number)
{
    if (find(self, allowed->key))
        return mpx_fault(MP_EINVAL, "%s, line %u: the key of %s stands there twice", where, number,
                         allowed->name);
    if (HASH_COUNT(self->entries) >= MPX_ALLOWED_MAX)
        return mpx_fault(MP_ELIMIT, "%s: more than %d keys", where, MPX_ALLOWED_MAX);
    entry_t *entry = calloc(1, sizeof *entry);
    if (!entry)
        return mpx_fault(MP_ENOMEM, "%s", where);
    entry->allowed = *allowed;
    HASH_ADD(hh, self->entries, allowed.key, MPX_CURVE_TEXT, entry);
    if (!entry->unlisted)
        return MP_OK;
    free(entry);
    return mpx_fault(MP_ENOMEM, "%s", where);
}

mp_rc_t mpx_allow_parse(mp_bytes_t text, const char *where, mpx_allow_t **out)
{
    mpx_allow_t *self = calloc(1, sizeof *self);
    mp_rc_t rc = self ? MP_OK : mpx_fault(MP_ENOMEM, "%s", where);
    mp_bytes_t one;
    for (unsigned number = 1; rc == MP_OK && next_line(&text, &one); number++) {
        line_t line;
        mpx_allowed_t allowed;
        if (memchr(one.data, 0, one.size))
            rc = mpx_fault(MP_EINVAL, "%s, line %u: a NUL byte", where, number);
        else if (read_line(one, &line))
            rc = read_entry(&line, where, number, &allowed);
        else
            continue;
        if (rc == MP_OK)
            rc = list(self, &allowed, where, number);
    }
    if (rc != MP_OK)
        mpx_allow_free(&self);
    else
        *out = self;
    return rc;
}

mp_rc_t mpx_allow_load(const char *path, mpx_allow_t **out)
{
    mpx_buf_t text = {0};
    mp_rc_t rc = mpx_keyfile_read(path, MPX_KEYFILE_PUBLIC, &text);
    if (rc == MP_OK)
        rc = mpx_allow_parse(mpx_buf_bytes(&text), path, out);
    mpx_buf_free(&text);
    return rc;
}

void mpx_allow_free(mpx_allow_t **self_p)
{
    mpx_allow_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    entry_t *entry, *next;
    HASH_ITER (hh, self->entries, entry, next) {
        HASH_DEL(self->entries, entry);
        free(entry);
    }
    free(self);
}

const mpx_allowed_t *mpx_allow_find(const mpx_allow_t *self, const char *key)
{
    const entry_t *entry = strlen(key) == MPX_CURVE_TEXT ? find(self, key) : NULL;
    return entry ? &entry->allowed : NULL;
}

size_t mpx_allow_count(const mpx_allow_t *self)
{
    return HASH_COUNT(self->entries);
}

/* ---- editing --------------------------------------------------------------------------------- */

static mp_rc_t add_entry(mpx_buf_t *out, const mpx_allowed_t *entry)
{
    char words[MPX_ROLES_TEXT];
    char text[256];
    mpx_roles_print(entry->roles, words);
    int size = snprintf(text, sizeof text, "%-12s  %s  %s\n", entry->name, entry->key, words);
    return mpx_buf_add(out, text, (size_t)size);
}

static bool is_in_place_of(const mpx_allowed_t *entry, bool alone, const line_t *line)
{
    return strcmp(line->words[1], entry->key) == 0 ||
           (alone && strcmp(line->words[0], entry->name) == 0);
}

mp_rc_t mpx_allow_edit(mp_bytes_t text, const mpx_allowed_t *entry, bool alone, mpx_buf_t *out)
{
    mp_bytes_t one;
    bool placed = false;
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && next_line(&text, &one)) {
        line_t line;
        if (read_line(one, &line) && line.count >= 2 && is_in_place_of(entry, alone, &line)) {
            rc = placed ? MP_OK : add_entry(out, entry);
            placed = true;
        } else {
            rc = mpx_buf_add(out, one.data, one.size);
            if (rc == MP_OK)
                rc = mpx_buf_add(out, "\n", 1);
        }
    }
    return rc == MP_OK && !placed ? add_entry(out, entry) : rc;
}
