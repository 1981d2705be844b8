#include <mp/key.h>

#include "allow.h"
#include "cert.h"
#include "fault.h"
#include "keyfile.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static mp_rc_t name_public(const char *path, char out[PATH_MAX])
{
    static const char suffix[] = ".key";
    size_t size = strlen(path);
    if (size > sizeof suffix - 1 && strcmp(path + size - (sizeof suffix - 1), suffix) == 0)
        size -= sizeof suffix - 1;
    if (!*path || snprintf(out, PATH_MAX, "%.*s.pub", (int)size, path) >= PATH_MAX)
        return mpx_fault(MP_EINVAL, "%.40s: no path for a certificate", path);
    return MP_OK;
}

static mp_rc_t read_server(const char *path, char key[MPX_CURVE_TEXT + 1])
{
    mpx_cert_t server;
    mp_rc_t rc = mpx_cert_load_public(path, &server);
    if (rc == MP_OK)
        memcpy(key, server.curve.public_key, MPX_CURVE_TEXT + 1);
    return rc;
}

static mp_rc_t write_cert(const char *path, mpx_keyfile_kind_t kind, const mpx_cert_t *cert,
                          bool replace)
{
    mpx_buf_t text = {0};
    mp_rc_t rc = mpx_cert_print(cert, &text);
    if (rc == MP_OK)
        rc = mpx_keyfile_write(path, kind, mpx_buf_bytes(&text), replace);
    mpx_keyfile_wipe(&text);
    return rc;
}

/* The secret part comes last: where it is, the other one is too. */
static mp_rc_t write_both(const char *path, mpx_cert_t *cert, bool replace)
{
    char public_path[PATH_MAX];
    mp_rc_t rc = name_public(path, public_path);
    if (rc == MP_OK && !replace && access(path, F_OK) == 0)
        rc = mpx_fault(MP_EEXIST, "%s is there already", path);
    if (rc != MP_OK)
        return rc;
    mpx_cert_t open = *cert;
    explicit_bzero(open.curve.secret_key, sizeof open.curve.secret_key);
    *open.curve.server_key = 0;
    rc = write_cert(public_path, MPX_KEYFILE_PUBLIC, &open, replace);
    if (rc != MP_OK)
        return rc;
    rc = write_cert(path, MPX_KEYFILE_SECRET, cert, replace);
    if (rc != MP_OK)
        (void)unlink(public_path);
    return rc;
}

mp_rc_t mp_key_make(const char *path, const mp_key_options_t *given)
{
    mp_key_options_t options = given ? *given : (mp_key_options_t){0};
    const char *name = options.name ? options.name : "server";
    char server[MPX_CURVE_TEXT + 1] = "";
    if (!path)
        return mpx_fault(MP_EINVAL, "no path for a certificate");
    if (!mpx_key_name_is_valid(name))
        return mpx_fault(MP_EINVAL, "'%.64s': a name has 1 to %d of A-Z a-z 0-9 . _ -", name,
                         MPX_KEY_NAME_MAX);
    mpx_cert_t cert = {.name = ""};
    mp_rc_t rc = options.server ? read_server(options.server, server) : MP_OK;
    if (rc == MP_OK)
        rc = mpx_curve_make(&cert.curve);
    if (rc == MP_OK) {
        memcpy(cert.name, name, strlen(name) + 1);
        memcpy(cert.curve.server_key, server, sizeof server);
        rc = write_both(path, &cert, options.force != 0);
    }
    mpx_cert_wipe(&cert);
    return rc;
}

static const char head[] = "# Who is let in, and what for: NAME  PUBLIC-KEY  ROLES\n"
                           "# Roles: submit, work, read, write, admin. See mp-keygen(1).\n";

/* The list as it is, if it is sound, or the beginning of one. */
static mp_rc_t read_list(const char *path, mpx_buf_t *text, mpx_allow_t **list)
{
    mp_rc_t rc = mpx_keyfile_read(path, MPX_KEYFILE_PUBLIC, text);
    if (rc == MP_ENOTFOUND)
        rc = mpx_buf_add(text, head, sizeof head - 1);
    return rc == MP_OK ? mpx_allow_parse(mpx_buf_bytes(text), path, list) : rc;
}

static mp_rc_t describe(const char *certificate, const char *roles, const char *name,
                        mpx_allowed_t *out)
{
    mpx_cert_t cert;
    *out = (mpx_allowed_t){.roles = 0};
    if (!mpx_roles_parse(roles ? roles : "-", &out->roles))
        return mpx_fault(MP_EINVAL,
                         "'%.64s': roles are submit, work, read, write and admin, with commas "
                         "between them",
                         roles);
    mp_rc_t rc = mpx_cert_load_public(certificate, &cert);
    if (rc != MP_OK)
        return rc;
    memcpy(out->key, cert.curve.public_key, sizeof out->key);
    if (!name)
        name = cert.name;
    if (!mpx_key_name_is_valid(name))
        return mpx_fault(MP_EINVAL, "%s: it has no name; give one", certificate);
    memcpy(out->name, name, strlen(name) + 1);
    return MP_OK;
}

typedef enum listing {
    BESIDE,  /* the other keys, of which it must be none */
    AGAIN,   /* with other roles, or by another name, if it is listed */
    IN_PLACE /* of all keys of its name */
} listing_t;

static mp_rc_t enter(const char *path, const mpx_allowed_t *entry, listing_t how, mpx_buf_t *text,
                     mpx_allow_t *list, size_t *gone)
{
    mpx_buf_t edited = {0};
    mpx_allow_t *after = NULL;
    const mpx_allowed_t *there = mpx_allow_find(list, entry->key);
    if (there && how == BESIDE)
        return mpx_fault(MP_EEXIST, "%s: the key is listed already, as '%s'", path, there->name);
    mp_rc_t rc = mpx_allow_edit(mpx_buf_bytes(text), entry, how == IN_PLACE, &edited);
    if (rc == MP_OK)
        rc = mpx_allow_parse(mpx_buf_bytes(&edited), path, &after);
    if (rc == MP_OK)
        rc = mpx_keyfile_write(path, MPX_KEYFILE_PUBLIC, mpx_buf_bytes(&edited), true);
    if (rc == MP_OK)
        *gone = mpx_allow_count(list) + !there - mpx_allow_count(after);
    mpx_allow_free(&after);
    mpx_buf_free(&edited);
    return rc;
}

static mp_rc_t put_on_list(const char *path, const char *certificate, const char *roles,
                           const char *name, listing_t how, size_t *gone)
{
    mpx_allowed_t entry;
    mpx_buf_t text = {0};
    mpx_allow_t *list = NULL;
    if (!path || !certificate)
        return mpx_fault(MP_EINVAL, "no list, or no certificate");
    mp_rc_t rc = describe(certificate, roles, name, &entry);
    if (rc == MP_OK)
        rc = read_list(path, &text, &list);
    if (rc == MP_OK)
        rc = enter(path, &entry, how, &text, list, gone);
    mpx_allow_free(&list);
    mpx_buf_free(&text);
    return rc;
}

mp_rc_t mp_key_allow(const char *list, const char *certificate, const char *roles, const char *name,
                     int force)
{
    size_t gone = 0;
    return put_on_list(list, certificate, roles, name, force ? AGAIN : BESIDE, &gone);
}

mp_rc_t mp_key_replace(const char *list, const char *certificate, const char *roles,
                       const char *name, int *replaced)
{
    size_t gone = 0;
    mp_rc_t rc = put_on_list(list, certificate, roles, name, IN_PLACE, &gone);
    if (rc == MP_OK && replaced)
        *replaced = (int)gone;
    return rc;
}
