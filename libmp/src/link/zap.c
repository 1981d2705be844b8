#include "zap.h"

#include "curve.h"
#include "fault.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

static const char where[] = "inproc://zeromq.zap.01";

/* The frames of a question; what stands before them is the way back. */
enum { SENDER, EMPTY, VERSION, REQUEST, ZAP_DOMAIN, ADDRESS, ROUTING, MECHANISM, KEY, FRAMES };
enum { FRAME_MAX = 255, KEY_BYTES = 32 };

typedef struct question {
    struct {
        uint8_t bytes[FRAME_MAX + 1];
        size_t size;
    } frames[FRAMES];
    bool sound; /* as many frames as there must be, and none too long */
} question_t;

mp_rc_t mpx_zap_open(void *context, void **out)
{
    int zero = 0;
    void *socket = zmq_socket(context, ZMQ_ROUTER);
    if (!socket)
        return mpx_fault_errno("a ZeroMQ socket");
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &zero, sizeof zero);
    if (zmq_bind(socket, where) != 0) {
        mp_rc_t rc = errno == EADDRINUSE
                         ? mpx_fault(MP_EEXIST, "this context has a hub with keys already")
                         : mpx_fault_errno("%s", where);
        zmq_close(socket);
        return rc;
    }
    *out = socket;
    return MP_OK;
}

void mpx_zap_close(void **socket)
{
    if (*socket)
        zmq_close(*socket);
    *socket = NULL;
}

/* Take one message, all of it. false: there is none. */
static bool hear(void *socket, question_t *out)
{
    size_t count = 0;
    bool more = true;
    out->sound = true;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            if (errno == EINTR)
                continue;
            return false;
        }
        size_t size = zmq_msg_size(&frame);
        more = zmq_msg_more(&frame);
        if (count < FRAMES && size <= FRAME_MAX) {
            memcpy(out->frames[count].bytes, zmq_msg_data(&frame), size);
            out->frames[count].bytes[size] = 0;
            out->frames[count].size = size;
        } else {
            out->sound = false;
        }
        zmq_msg_close(&frame);
        count++;
    }
    out->sound = out->sound && count == FRAMES;
    return true;
}

static bool is(const question_t *self, int frame, const char *text)
{
    return self->frames[frame].size == strlen(text) &&
           memcmp(self->frames[frame].bytes, text, strlen(text)) == 0;
}

static bool judge(const question_t *self, mpx_zap_admit_t *admit, void *arg,
                  char key[MPX_CURVE_TEXT + 1])
{
    return self->sound && is(self, VERSION, "1.0") && is(self, ZAP_DOMAIN, MPX_ZAP_DOMAIN) &&
           is(self, MECHANISM, "CURVE") && self->frames[KEY].size == KEY_BYTES &&
           zmq_z85_encode(key, self->frames[KEY].bytes, KEY_BYTES) &&
           admit(arg, key, (const char *)self->frames[ADDRESS].bytes);
}

static void say(void *socket, const void *data, size_t size, bool more)
{
    (void)zmq_send(socket, data, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
}

static void say_text(void *socket, const char *text, bool more)
{
    say(socket, text, strlen(text), more);
}

static void answer(void *socket, const question_t *question, bool admitted, const char *user)
{
    say(socket, question->frames[SENDER].bytes, question->frames[SENDER].size, true);
    say_text(socket, "", true);
    say_text(socket, "1.0", true);
    say(socket, question->frames[REQUEST].bytes, question->frames[REQUEST].size, true);
    say_text(socket, admitted ? "200" : "400", true);
    say_text(socket, admitted ? "" : "the key isn't listed", true);
    say_text(socket, admitted ? user : "", true);
    say_text(socket, "", false);
}

/* For each question libzmq's thread needs a hundred times as long as we for the answer, so that
 * this ends. */
void mpx_zap_answer(void *socket, mpx_zap_admit_t *admit, void *arg)
{
    question_t question = {0};
    while (hear(socket, &question)) {
        char key[MPX_CURVE_TEXT + 1] = "";
        bool admitted = judge(&question, admit, arg, key);
        answer(socket, &question, admitted, key);
    }
}
