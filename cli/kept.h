/* kept.h: what `mp job` and `mp dead` share: the broker, and words for what went wrong. */
#ifndef MP_CLI_KEPT_H
#define MP_CLI_KEPT_H

#include "output.h"
#include <mp/kept.h>

#define KEPT_TIMEOUT_MS 10000

/* Connect. An exit status, 0 when it did. */
int kept_connect(const char *command, const char *broker, mp_pool_t **out);
/* Say what the last call had to say; an exit status. */
int kept_complain(const char *command, mp_rc_t rc);
/* Bytes as JSON: "name":"text", or "name_base64" where they are no text. */
void kept_json_bytes(output_t *out, const char *name, mp_bytes_t bytes);

#endif
