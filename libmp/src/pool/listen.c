#include "listen.h"

mpx_listen_t mpx_listen_to(const mp_task_t *task, const mp_call_options_t *options)
{
    return (mpx_listen_t){.tell = options->output,
                          .arg = options->output_arg,
                          .task = task->name,
                          .label = options->label};
}

void mpx_listen_hear(const mpx_listen_t *self, uint64_t index, const mpx_header_t *header,
                     mp_bytes_t payload)
{
    char host[MPX_HOST_MAX];
    mp_output_t output = {.index = index,
                          .stream = header->kind == MPX_STDOUT   ? MP_STDOUT
                                    : header->kind == MPX_STDERR ? MP_STDERR
                                                                 : MP_NO_STREAM,
                          .task = self->task,
                          .label = self->label ? self->label : "",
                          .host = host,
                          .pid = (int)header->nonce,
                          .lost_bytes = header->bytes};
    if (self->tell && mpx_output_unpack(payload, host, &output.bytes) == MP_OK)
        self->tell(self->arg, &output);
}
