/* Certificates and lists of keys: what is read, what is refused and why, who may read the files. */
#include "allow.h"
#include "cert.h"
#include "identity.h"
#include "keyfile.h"
#include "ok.h"
#include "suite.h"

#include <czmq.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static char path[96];

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/mp-keys-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    unsetenv("MP_KEY_FILE");
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0); // NOLINT(cert-env33-c)
}

static void put(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static mpx_cert_t a_cert(const char *name)
{
    mpx_cert_t cert = {.name = ""};
    mpx_curve_t other;
    OK(mpx_curve_make(&cert.curve));
    OK(mpx_curve_make(&other));
    snprintf(cert.name, sizeof cert.name, "%s", name);
    memcpy(cert.curve.server_key, other.public_key, sizeof other.public_key);
    return cert;
}

static mp_rc_t parse(const char *text, mpx_cert_t *out)
{
    return mpx_cert_parse((mp_bytes_t){text, strlen(text)}, "f", out);
}

static mp_rc_t parse_list(const char *text, mpx_allow_t **out)
{
    return mpx_allow_parse((mp_bytes_t){text, strlen(text)}, "f", out);
}

static void says(const char *words)
{
    ck_assert_msg(strstr(mp_errmsg(), words), "'%s' isn't in '%s'", words, mp_errmsg());
}

START_TEST(what_is_written_is_read_again)
{
    mpx_cert_t cert = a_cert("al-ice_1.2"), again;
    mpx_buf_t text = {0};
    OK(mpx_cert_print(&cert, &text));
    OK(mpx_cert_parse(mpx_buf_bytes(&text), "f", &again));
    ck_assert_mem_eq(&cert, &again, sizeof cert);
    mpx_buf_free(&text);
}
END_TEST

/* The format is CZMQ's, in both directions. */
START_TEST(czmq_reads_it_and_we_read_czmq_s)
{
    mpx_cert_t cert = a_cert("alice"), again;
    mpx_buf_t text = {0};
    OK(mpx_cert_print(&cert, &text));
    OK(mpx_keyfile_write(path, MPX_KEYFILE_SECRET, mpx_buf_bytes(&text), false));
    zcert_t *theirs = zcert_load(path);
    ck_assert_ptr_nonnull(theirs);
    ck_assert_str_eq(zcert_public_txt(theirs), cert.curve.public_key);
    ck_assert_str_eq(zcert_secret_txt(theirs), cert.curve.secret_key);
    ck_assert_str_eq(zcert_meta(theirs, "name"), "alice");
    zcert_destroy(&theirs);
    mpx_buf_free(&text);

    theirs = zcert_new();
    zcert_set_meta(theirs, "name", "%s", "bob");
    ck_assert_int_eq(zcert_save_secret(theirs, path), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
    OK(mpx_cert_load(path, &again));
    ck_assert_str_eq(again.name, "bob");
    ck_assert_str_eq(again.curve.secret_key, zcert_secret_txt(theirs));
    zcert_destroy(&theirs);
}
END_TEST

START_TEST(a_broken_certificate_is_refused_with_its_line)
{
    mpx_cert_t cert, good = a_cert("a"), other = a_cert("b");
    char text[512];
    IS(parse("", &cert), MP_EINVAL);
    says("no public-key");
    IS(parse("metadata\n name = \"a b\"\n", &cert), MP_EINVAL);
    says("line 2");
    IS(parse("curve\n public-key = \"short\"\n", &cert), MP_EINVAL);
    says("line 2");
    IS(parse("what is this\n", &cert), MP_EINVAL);
    says("line 1");
    snprintf(text, sizeof text, "public-key = '%.39s\"'\n", good.curve.public_key);
    IS(parse(text, &cert), MP_EINVAL); /* no character of Z85 */
    memset(text, '#', 40);
    snprintf(text + 0, sizeof text, "public-key = %.40s\n",
             "########################################");
    IS(parse(text, &cert), MP_EINVAL); /* no 32 bytes */
    snprintf(text, sizeof text, "public-key = \"%s\"\nsecret-key = \"%s\"\n", good.curve.public_key,
             other.curve.secret_key);
    IS(parse(text, &cert), MP_EINVAL);
    says("isn't that of its secret-key");
    ck_assert_ptr_null(strstr(mp_errmsg(), other.curve.secret_key));
    snprintf(text, sizeof text, "\r\n# c\ncurve\r\n\tpublic-key = %s\r\nshape = round\n",
             good.curve.public_key);
    OK(parse(text, &cert));
    ck_assert_str_eq(cert.curve.public_key, good.curve.public_key);
}
END_TEST

START_TEST(roles_are_what_they_are)
{
    unsigned roles = 99;
    char text[MPX_ROLES_TEXT];
    ck_assert(mpx_roles_parse("submit,work", &roles));
    ck_assert_uint_eq(roles, MPX_MAY_SUBMIT | MPX_MAY_WORK);
    ck_assert(mpx_roles_parse("write", &roles));
    ck_assert_uint_eq(roles, MPX_MAY_WRITE | MPX_MAY_READ);
    mpx_roles_print(roles, text);
    ck_assert_str_eq(text, "write");
    mpx_roles_print(MPX_MAY_ALL, text);
    ck_assert_str_eq(text, "submit,work,write,admin");
    ck_assert(mpx_roles_parse(text, &roles));
    ck_assert_uint_eq(roles, MPX_MAY_ALL);
    ck_assert(mpx_roles_parse("-", &roles));
    ck_assert_uint_eq(roles, 0);
    mpx_roles_print(roles, text);
    ck_assert_str_eq(text, "-");
    static const char *const wrong[] = {"root",        "submit,", ",submit", "Submit",
                                        "submit work", ",",       "all"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!mpx_roles_parse(wrong[i], &roles), "%s", wrong[i]);
}
END_TEST

START_TEST(a_list_is_read_and_edited)
{
    mpx_cert_t ann = a_cert("ann"), bob = a_cert("bob");
    mpx_allow_t *list = NULL;
    char text[512];
    snprintf(text, sizeof text, "# who\n\nann %s submit,read\n  bob\t%s\t-\r\n",
             ann.curve.public_key, bob.curve.public_key);
    OK(parse_list(text, &list));
    ck_assert_uint_eq(mpx_allow_count(list), 2);
    ck_assert_str_eq(mpx_allow_find(list, ann.curve.public_key)->name, "ann");
    ck_assert_uint_eq(mpx_allow_find(list, ann.curve.public_key)->roles,
                      MPX_MAY_SUBMIT | MPX_MAY_READ);
    ck_assert_uint_eq(mpx_allow_find(list, bob.curve.public_key)->roles, 0);
    ck_assert_ptr_null(mpx_allow_find(list, ann.curve.server_key));
    ck_assert_ptr_null(mpx_allow_find(list, ""));
    mpx_allow_free(&list);

    mpx_allowed_t entry = {.roles = MPX_MAY_ADMIN, .name = "bobby"};
    mpx_buf_t edited = {0};
    memcpy(entry.key, bob.curve.public_key, sizeof entry.key);
    OK(mpx_allow_edit((mp_bytes_t){text, strlen(text)}, &entry, false, &edited));
    OK(mpx_allow_parse(mpx_buf_bytes(&edited), "f", &list));
    ck_assert_uint_eq(mpx_allow_count(list), 2);
    ck_assert_str_eq(mpx_allow_find(list, bob.curve.public_key)->name, "bobby");
    ck_assert_uint_eq(mpx_allow_find(list, bob.curve.public_key)->roles, MPX_MAY_ADMIN);
    ck_assert_ptr_nonnull(strstr((const char *)edited.data, "# who"));
    mpx_allow_free(&list);
    mpx_buf_free(&edited);
}
END_TEST

START_TEST(a_key_comes_in_place_of_all_of_its_name)
{
    mpx_cert_t old = a_cert("ann"), older = a_cert("ann"), bob = a_cert("bob"), new = a_cert("ann");
    char text[1024];
    mpx_allow_t *list = NULL;
    mpx_buf_t edited = {0};
    snprintf(text, sizeof text, "ann %s submit\n# ann\nbob %s read\n\nann %s -\n",
             old.curve.public_key, bob.curve.public_key, older.curve.public_key);
    mpx_allowed_t entry = {.roles = MPX_MAY_ADMIN, .name = "ann"};
    memcpy(entry.key, new.curve.public_key, sizeof entry.key);
    OK(mpx_allow_edit((mp_bytes_t){text, strlen(text)}, &entry, true, &edited));
    OK(mpx_allow_parse(mpx_buf_bytes(&edited), "f", &list));
    ck_assert_uint_eq(mpx_allow_count(list), 2);
    ck_assert_uint_eq(mpx_allow_find(list, new.curve.public_key)->roles, MPX_MAY_ADMIN);
    ck_assert_ptr_nonnull(mpx_allow_find(list, bob.curve.public_key));
    ck_assert_ptr_nonnull(memmem(edited.data, edited.size, "# ann\n", 6));
    mpx_allow_free(&list);
    mpx_buf_free(&edited);
}
END_TEST

/* Not that others can read it: that is what it is for. */
START_TEST(a_public_part_is_no_secret)
{
    mpx_cert_t cert = a_cert("ann"), loaded;
    explicit_bzero(cert.curve.secret_key, sizeof cert.curve.secret_key);
    mpx_buf_t text = {0};
    OK(mpx_cert_print(&cert, &text));
    OK(mpx_keyfile_write(path, MPX_KEYFILE_PUBLIC, mpx_buf_bytes(&text), false));
    IS(mpx_cert_load(path, &loaded), MP_EINVAL);
    says("the part that is given to others");
    mpx_buf_free(&text);
}
END_TEST

START_TEST(a_broken_list_is_refused_with_its_line)
{
    mpx_cert_t ann = a_cert("ann");
    const char *key = ann.curve.public_key;
    mpx_allow_t *list = NULL;
    char text[1024];
    const struct {
        const char *format, *words;
    } cases[] = {{"ann\n", "line 1"},
                 {"# x\nann KEY\n", "line 2"},
                 {"ann KEY submit extra\n", "NAME KEY ROLES"},
                 {"an/n KEY submit\n", "name"},
                 {"ann KEYx submit\n", "not a key"},
                 {"ann KEY root\n", "roles"},
                 {"ann KEY submit\nbob KEY work\n", "twice"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = 0;
        for (const char *c = cases[i].format; *c; c++) {
            bool is_key = strncmp(c, "KEY", 3) == 0;
            size += (size_t)snprintf(text + size, sizeof text - size, "%.*s", is_key ? 40 : 1,
                                     is_key ? key : c);
            c += is_key ? 2 : 0;
        }
        IS(parse_list(text, &list), MP_EINVAL);
        says(cases[i].words);
        ck_assert_ptr_null(list);
    }
    memset(text, 'a', sizeof text);
    IS(mpx_allow_parse((mp_bytes_t){text, sizeof text}, "f", &list), MP_EINVAL);
    IS(mpx_allow_parse((mp_bytes_t){"ann\0x", 5}, "f", &list), MP_EINVAL);
    says("NUL");
}
END_TEST

/* Whatever stands there, there is an answer, and what is cut or changed is never more than before.
 */
START_TEST(hostile_bytes_get_an_answer)
{
    mpx_cert_t cert = a_cert("ann"), got;
    mpx_buf_t text = {0};
    unsigned seed = 7;
    OK(mpx_cert_print(&cert, &text));
    for (size_t size = 0; size <= text.size; size++)
        if (mpx_cert_parse((mp_bytes_t){text.data, size}, "f", &got) == MP_OK)
            SURE(strcmp(got.curve.public_key, cert.curve.public_key) == 0);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[600];
        mpx_allow_t *list = NULL;
        size_t size = text.size < sizeof bytes ? text.size : sizeof bytes;
        memcpy(bytes, text.data, size);
        for (int j = 0; j < 4; j++)
            bytes[(size_t)rand_r(&seed) % size] = (uint8_t)rand_r(&seed);
        (void)mpx_cert_parse((mp_bytes_t){bytes, size}, "f", &got);
        if (mpx_allow_parse((mp_bytes_t){bytes, size}, "f", &list) == MP_OK)
            mpx_allow_free(&list);
    }
    mpx_buf_free(&text);
}
END_TEST

START_TEST(a_secret_that_others_can_read_is_refused)
{
    static const mode_t modes[] = {0644, 0640, 0604, 0660, 0601};
    mpx_buf_t text = {0};
    put("x", 0600);
    OK(mpx_keyfile_read(path, MPX_KEYFILE_SECRET, &text));
    ck_assert_uint_eq(text.size, 1);
    mpx_keyfile_wipe(&text);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        put("x", modes[i]);
        IS(mpx_keyfile_read(path, MPX_KEYFILE_SECRET, &text), MP_EPERM);
        says("chmod 600");
    }
    put("x", 0400);
    OK(mpx_keyfile_read(path, MPX_KEYFILE_SECRET, &text));
    mpx_keyfile_wipe(&text);
    put("x", 0664);
    IS(mpx_keyfile_read(path, MPX_KEYFILE_PUBLIC, &text), MP_EPERM);
    says("chmod 644");
    put("x", 0644);
    OK(mpx_keyfile_read(path, MPX_KEYFILE_PUBLIC, &text));
    mpx_buf_free(&text);
    IS(mpx_keyfile_read(folder, MPX_KEYFILE_PUBLIC, &text), MP_EINVAL);
    IS(mpx_keyfile_read("/nowhere/x", MPX_KEYFILE_PUBLIC, &text), MP_ENOTFOUND);
}
END_TEST

/* A secret that a container has been given is root's, and readable by the group of its user. */
START_TEST(a_mounted_secret_of_root_s_may_have_a_group)
{
    mpx_buf_t text = {0};
    if (geteuid() != 0)
        return; /* only root can give files away */
    put("x", 0440);
    ck_assert_int_eq(chown(path, 0, 65534), 0);
    ck_assert_int_eq(chmod(folder, 0755), 0);
    ck_assert_int_eq(setgid(65534), 0);
    ck_assert_int_eq(seteuid(65534), 0);
    OK(mpx_keyfile_read(path, MPX_KEYFILE_SECRET, &text));
    mpx_keyfile_wipe(&text);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(chmod(path, 0444), 0);
    ck_assert_int_eq(seteuid(65534), 0);
    IS(mpx_keyfile_read(path, MPX_KEYFILE_SECRET, &text), MP_EPERM);
    ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(a_file_is_written_whole_and_not_over_another)
{
    struct stat info;
    OK(mpx_keyfile_write(path, MPX_KEYFILE_SECRET, (mp_bytes_t){"one", 3}, false));
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    IS(mpx_keyfile_write(path, MPX_KEYFILE_SECRET, (mp_bytes_t){"two", 3}, false), MP_EEXIST);
    OK(mpx_keyfile_write(path, MPX_KEYFILE_PUBLIC, (mp_bytes_t){"three", 5}, true));
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_size, 5);
    ck_assert_uint_eq(info.st_mode & 0777, 0644);
    IS(mpx_keyfile_write("/nowhere/x", MPX_KEYFILE_PUBLIC, (mp_bytes_t){"x", 1}, true),
       MP_ENOTFOUND);
}
END_TEST

START_TEST(an_identity_comes_from_the_option_or_the_environment)
{
    mpx_cert_t cert = a_cert("ann");
    mpx_identity_t identity;
    mpx_curve_t curve;
    mpx_buf_t text = {0};
    OK(mpx_cert_print(&cert, &text));
    OK(mpx_keyfile_write(path, MPX_KEYFILE_SECRET, mpx_buf_bytes(&text), false));
    OK(mpx_identity_load(NULL, &identity, &curve));
    ck_assert(!identity.has);
    OK(mpx_identity_load(path, &identity, &curve));
    ck_assert(identity.has);
    ck_assert_str_eq(identity.name, "ann");
    ck_assert_mem_eq(&curve, &cert.curve, sizeof curve);
    setenv("MP_KEY_FILE", path, 1);
    OK(mpx_identity_load(NULL, &identity, &curve));
    ck_assert(identity.has);
    OK(mpx_identity_load("", &identity, &curve));
    ck_assert(!identity.has);
    IS(mpx_identity_load("/nowhere/x", &identity, &curve), MP_ENOTFOUND);
    *cert.curve.server_key = 0;
    mpx_buf_clear(&text);
    OK(mpx_cert_print(&cert, &text));
    OK(mpx_keyfile_write(path, MPX_KEYFILE_SECRET, mpx_buf_bytes(&text), true));
    IS(mpx_identity_load(path, &identity, &curve), MP_EINVAL);
    says("server-key");
    mpx_buf_free(&text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {what_is_written_is_read_again,
                                  czmq_reads_it_and_we_read_czmq_s,
                                  a_broken_certificate_is_refused_with_its_line,
                                  roles_are_what_they_are,
                                  a_list_is_read_and_edited,
                                  a_key_comes_in_place_of_all_of_its_name,
                                  a_public_part_is_no_secret,
                                  a_broken_list_is_refused_with_its_line,
                                  hostile_bytes_get_an_answer,
                                  a_secret_that_others_can_read_is_refused,
                                  a_mounted_secret_of_root_s_may_have_a_group,
                                  a_file_is_written_whole_and_not_over_another,
                                  an_identity_comes_from_the_option_or_the_environment};
    Suite *suite = suite_create("keys");
    TCase *cases = tcase_create("keys");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 30);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(cases, tests[i]);
    suite_add_tcase(suite, cases);
    return suite_end(suite);
}
