#include "cert.h"

#include "fault.h"
#include "keyfile.h"

#include <stdio.h>
#include <string.h>

bool mpx_key_name_is_valid(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen(name);
    return size >= 1 && size <= MPX_KEY_NAME_MAX && strspn(name, allowed) == size;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static mp_bytes_t trim(mp_bytes_t text)
{
    const char *data = text.data;
    while (text.size && is_blank(data[0])) {
        data++;
        text.size--;
    }
    while (text.size && is_blank(data[text.size - 1]))
        text.size--;
    return (mp_bytes_t){data, text.size};
}

static mp_bytes_t unquote(mp_bytes_t text)
{
    const char *data = text.data;
    if (text.size >= 2 && (data[0] == '"' || data[0] == '\'') && data[text.size - 1] == data[0])
        return (mp_bytes_t){data + 1, text.size - 2};
    return text;
}

static bool is(mp_bytes_t text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

static bool copy(mp_bytes_t value, char *out, size_t room)
{
    if (value.size >= room || memchr(value.data, 0, value.size))
        return false;
    memcpy(out, value.data, value.size);
    out[value.size] = 0;
    return true;
}

static mp_rc_t take_key(mp_bytes_t value, const char *where, unsigned line, char *out)
{
    char key[MPX_CURVE_TEXT + 1];
    bool sound = copy(value, key, sizeof key) && mpx_curve_is_key(key);
    if (sound)
        memcpy(out, key, sizeof key);
    explicit_bzero(key, sizeof key);
    return sound ? MP_OK
                 : mpx_fault(MP_EINVAL, "%s, line %u: not a key: 40 characters of Z85 are one",
                             where, line);
}

static mp_rc_t take_field(mp_bytes_t name, mp_bytes_t value, const char *where, unsigned line,
                          mpx_cert_t *out)
{
    if (is(name, "public-key"))
        return take_key(value, where, line, out->curve.public_key);
    if (is(name, "secret-key"))
        return take_key(value, where, line, out->curve.secret_key);
    if (is(name, "server-key"))
        return take_key(value, where, line, out->curve.server_key);
    if (!is(name, "name"))
        return MP_OK;
    if (copy(value, out->name, sizeof out->name) && mpx_key_name_is_valid(out->name))
        return MP_OK;
    return mpx_fault(MP_EINVAL, "%s, line %u: a name has 1 to %d of A-Z a-z 0-9 . _ -", where, line,
                     MPX_KEY_NAME_MAX);
}

static mp_rc_t take_line(mp_bytes_t text, const char *where, unsigned line, mpx_cert_t *out)
{
    text = trim(text);
    if (!text.size || *(const char *)text.data == '#')
        return MP_OK;
    const char *equals = memchr(text.data, '=', text.size);
    if (!equals) {
        if (memchr(text.data, 0, text.size) || memchr(text.data, ' ', text.size))
            return mpx_fault(MP_EINVAL, "%s, line %u: neither a section nor NAME = VALUE", where,
                             line);
        return MP_OK;
    }
    size_t before = (size_t)(equals - (const char *)text.data);
    mp_bytes_t name = trim((mp_bytes_t){text.data, before});
    mp_bytes_t value = unquote(trim((mp_bytes_t){equals + 1, text.size - before - 1}));
    return take_field(name, value, where, line, out);
}

mp_rc_t mpx_cert_parse(mp_bytes_t text, const char *where, mpx_cert_t *out)
{
    mpx_cert_t cert = {.name = ""};
    const char *next = text.data;
    size_t left = text.size;
    mp_rc_t rc = MP_OK;
    for (unsigned line = 1; left && rc == MP_OK; line++) {
        const char *end = memchr(next, '\n', left);
        size_t size = end ? (size_t)(end - next) : left;
        rc = take_line((mp_bytes_t){next, size}, where, line, &cert);
        size += end != NULL;
        next += size;
        left -= size;
    }
    if (rc == MP_OK && !*cert.curve.public_key)
        rc = mpx_fault(MP_EINVAL, "%s: it has no public-key; mp keygen makes certificates", where);
    if (rc == MP_OK && *cert.curve.secret_key && !mpx_curve_is_pair(&cert.curve))
        rc = mpx_fault(MP_EINVAL, "%s: its public-key isn't that of its secret-key", where);
    if (rc == MP_OK)
        *out = cert;
    mpx_cert_wipe(&cert);
    return rc;
}

static mp_rc_t load(const char *path, mpx_keyfile_kind_t kind, mpx_cert_t *out)
{
    mpx_buf_t text = {0};
    mp_rc_t rc = mpx_keyfile_read(path, kind, &text);
    if (rc == MP_OK)
        rc = mpx_cert_parse(mpx_buf_bytes(&text), path, out);
    mpx_keyfile_wipe(&text);
    return rc;
}

/* Then it may well be readable by others, and that isn't what is wrong. */
static bool is_public_part(const char *path)
{
    mpx_cert_t cert;
    bool is = load(path, MPX_KEYFILE_PUBLIC, &cert) == MP_OK && !*cert.curve.secret_key;
    mpx_cert_wipe(&cert);
    return is;
}

mp_rc_t mpx_cert_load(const char *path, mpx_cert_t *out)
{
    mpx_cert_t cert;
    mp_rc_t rc = load(path, MPX_KEYFILE_SECRET, &cert);
    if (rc == MP_OK ? !*cert.curve.secret_key : rc == MP_EPERM && is_public_part(path))
        return mpx_fault(MP_EINVAL,
                         "%s: it has no secret-key; this is the part that is given to others, and "
                         "the certificate beside it ends in .key",
                         path);
    if (rc != MP_OK)
        return rc;
    *out = cert;
    mpx_cert_wipe(&cert);
    return MP_OK;
}

mp_rc_t mpx_cert_load_public(const char *path, mpx_cert_t *out)
{
    mp_rc_t rc = load(path, MPX_KEYFILE_PUBLIC, out);
    if (rc == MP_OK)
        explicit_bzero(out->curve.secret_key, sizeof out->curve.secret_key);
    return rc;
}

void mpx_cert_wipe(mpx_cert_t *self)
{
    explicit_bzero(self, sizeof *self);
}

/* ---- writing --------------------------------------------------------------------------------- */

static mp_rc_t add(mpx_buf_t *out, const char *text)
{
    return mpx_buf_add(out, text, strlen(text));
}

static mp_rc_t add_field(mpx_buf_t *out, const char *name, const char *value)
{
    mp_rc_t rc = MP_OK;
    if (!*value)
        return rc;
    const char *const parts[] = {"    ", name, " = \"", value, "\"\n"};
    for (size_t i = 0; rc == MP_OK && i < sizeof parts / sizeof *parts; i++)
        rc = add(out, parts[i]);
    return rc;
}

mp_rc_t mpx_cert_print(const mpx_cert_t *self, mpx_buf_t *out)
{
    if (!mpx_buf_reserve(out, 1024)) /* growing would leave copies behind */
        return mpx_fault(MP_ENOMEM, "a certificate");
    mp_rc_t rc =
        add(out, *self->curve.secret_key
                     ? "# A certificate of mp keygen. Who can read it can act in its name.\n"
                     : "# The public part of a certificate of mp keygen.\n");
    if (rc == MP_OK)
        rc = add(out, "metadata\n");
    if (rc == MP_OK)
        rc = add_field(out, "name", self->name);
    if (rc == MP_OK)
        rc = add_field(out, "server-key", self->curve.server_key);
    if (rc == MP_OK)
        rc = add(out, "curve\n");
    if (rc == MP_OK)
        rc = add_field(out, "public-key", self->curve.public_key);
    if (rc == MP_OK)
        rc = add_field(out, "secret-key", self->curve.secret_key);
    return rc;
}
