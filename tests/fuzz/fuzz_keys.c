/* fuzz_keys: a file that somebody has written by hand: a certificate, and a list of keys. What is
 * understood must survive another round. */
#include "allow.h"
#include "cert.h"
#include "identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void take_certificate(mp_bytes_t text)
{
    mpx_cert_t cert, again;
    mpx_buf_t printed = {0};
    if (mpx_cert_parse(text, "it", &cert) != MP_OK)
        return;
    require(!*cert.name || mpx_key_name_is_valid(cert.name));
    require(mpx_cert_print(&cert, &printed) == MP_OK);
    require(mpx_cert_parse(mpx_buf_bytes(&printed), "it again", &again) == MP_OK);
    require(strcmp(cert.name, again.name) == 0 &&
            memcmp(&cert.curve, &again.curve, sizeof cert.curve) == 0);
    mpx_buf_free(&printed);
}

static void take_list(mp_bytes_t text)
{
    mpx_allow_t *allow = NULL, *edited = NULL;
    mpx_buf_t more = {0};
    mpx_allowed_t entry = {.key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
                           .name = "alice",
                           .roles = MPX_MAY_SUBMIT | MPX_MAY_READ};
    if (mpx_allow_parse(text, "it", &allow) != MP_OK)
        return;
    require(mpx_allow_edit(text, &entry, false, &more) == MP_OK);
    require(mpx_allow_parse(mpx_buf_bytes(&more), "it with one more", &edited) == MP_OK);
    const mpx_allowed_t *found = mpx_allow_find(edited, entry.key);
    require(found && found->roles == entry.roles && strcmp(found->name, entry.name) == 0);
    bool had = mpx_allow_find(allow, entry.key) != NULL;
    require(mpx_allow_count(edited) == mpx_allow_count(allow) + !had);
    mpx_allow_free(&allow);
    mpx_allow_free(&edited);
    mpx_buf_free(&more);
}

static void take_roles(mp_bytes_t text)
{
    char words[64], printed[MPX_ROLES_TEXT];
    unsigned roles = 0, again = 0;
    snprintf(words, sizeof words, "%.*s", (int)text.size, (const char *)text.data);
    if (!mpx_roles_parse(words, &roles))
        return;
    mpx_roles_print(roles, printed);
    require(mpx_roles_parse(printed, &again) && again == roles);
}

/* As the certificate that this process shows, from a file. */
static void take_identity(mp_bytes_t text)
{
    mpx_identity_t identity;
    mpx_curve_t curve;
    char path[64], words[1024];
    int fd = memfd_create("identity", MFD_CLOEXEC);
    require(fd >= 0 && fchmod(fd, 0600) == 0);
    require(write(fd, text.data, text.size) == (ssize_t)text.size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (mpx_identity_load(path, &identity, &curve) == MP_OK) {
        require(identity.has && *curve.server_key && *curve.secret_key);
        mpx_identity_explain(&identity, MPX_TROUBLE_REFUSED_KEY, words, sizeof words);
        require(strstr(words, path) != NULL);
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mp_bytes_t text = {data, size};
    take_certificate(text);
    take_list(text);
    take_roles(text);
    take_identity(text);
    return 0;
}
