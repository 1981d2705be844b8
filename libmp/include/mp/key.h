/* key.h: the keys by which brokers and those who use them know each other.
 *
 * A broker with keys (mp-broker --keys) lets in who has a listed key, and each key may do what the
 * list says. Who has one names its file in the environment's MP_KEY_FILE, or in the options of a
 * pool, a worker or mp_manager_connect_with. These functions make such files; mp keygen is a thin
 * program around them, and its page has their format.
 */
#ifndef MP_KEY_H
#define MP_KEY_H

#include <mp/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero makes a broker's own. */
typedef struct mp_key_options {
    const char *name;   /* whose: 1 to 63 of A-Z a-z 0-9 . _ -; NULL: "server" */
    const char *server; /* a client's or worker's: file with the public key of its broker; NULL: it
                           is a broker's */
    int force;          /* replace files that are there */
} mp_key_options_t;

/* Make a certificate: `path`, with mode 0600, has the secret; beside it, with .pub in place of .key
 * or behind another name, the part that others need.
 * MP_OK; MP_EINVAL a name or file that is none; MP_EEXIST; MP_ENOTFOUND no such folder or server's
 * file; MP_EPERM; MP_ENOSPACE; MP_ESYSTEM; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_key_make(const char *path, const mp_key_options_t *options);

/* List the key of a certificate, or of its public part, in a broker's list of those that it lets
 * in, beside what other keys there are of its name; a list that isn't there is made. The broker
 * reads it when it starts, and on SIGHUP.
 * roles  of submit, work, read, write and admin, with commas between them; "-": none
 * name   NULL: the certificate's
 * force  change roles and name of a key that is listed
 * MP_OK; MP_EINVAL no such role, a broken list or certificate; MP_EEXIST it is listed;
 * MP_ENOTFOUND; MP_EPERM; MP_ENOSPACE; MP_ESYSTEM; MP_ENOMEM. */
MP_API MP_MUST_CHECK mp_rc_t mp_key_allow(const char *list, const char *certificate,
                                          const char *roles, const char *name, int force);

/* The same in place of all keys that the list has by that name: after the next SIGHUP none of them
 * is let in any more.
 * replaced  how many others there were; NULL: not wanted
 * As mp_key_allow, but for MP_EEXIST. */
MP_API MP_MUST_CHECK mp_rc_t mp_key_replace(const char *list, const char *certificate,
                                            const char *roles, const char *name, int *replaced);

#ifdef __cplusplus
}
#endif

#endif
