#include "kept.h"

#include "exits.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int kept_complain(const char *command, mp_rc_t rc)
{
    fprintf(stderr, "mp %s: %s\n", command, *mp_errmsg() ? mp_errmsg() : mp_strerror(rc));
    switch (rc) {
    case MP_EINVAL:
        return EXIT_USAGE;
    case MP_ECONNECT:
    case MP_EVERSION:
    case MP_EPERM:
    case MP_EPROTO:
    case MP_EBROKERLOST:
        return EXIT_UNABLE;
    default:
        return EXIT_FAILED;
    }
}

int kept_connect(const char *command, const char *broker, mp_pool_t **out)
{
    const char *variable = getenv("MP_BROKER");
    if (!broker)
        broker = variable && *variable ? variable : "tcp://127.0.0.1:5555";
    if (strcmp(broker, "local") == 0) {
        fprintf(stderr, "mp %s: 'local' is no broker; give --broker URL\n", command);
        return EXIT_USAGE;
    }
    mp_pool_options_t options = {.broker = broker};
    mp_rc_t rc = mp_pool_new(&options, out);
    return rc == MP_OK ? 0 : kept_complain(command, rc);
}

static bool is_text(mp_bytes_t bytes)
{
    const unsigned char *at = bytes.data;
    size_t left = bytes.size;
    while (left > 0) {
        size_t size = text_utf8(at, left);
        if (size == 0 || *at == 0)
            return false;
        at += size;
        left -= size;
    }
    return true;
}

void kept_json_bytes(output_t *out, const char *name, mp_bytes_t bytes)
{
    bool text = is_text(bytes);
    output_printf(out, ",\"%s%s\":", name, text ? "" : "_base64");
    if (text) {
        output_json(out, bytes.data, bytes.size);
        return;
    }
    output_text(out, "\"");
    output_base64(out, bytes.data, bytes.size);
    output_text(out, "\"");
}
