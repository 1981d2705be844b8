#include "report.h"

#include "command.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

const char *report_status(mp_rc_t rc)
{
    switch (rc) {
    case MP_OK:
        return "ok";
    case MP_EFAILED:
        return "failed";
    case MP_ECRASHED:
        return "crashed";
    case MP_ETIMEDOUT:
        return "timed-out";
    case MP_ECANCELLED:
        return "cancelled";
    case MP_EWORKERLOST:
    case MP_EBROKERLOST:
        return "lost";
    default:
        return "rejected";
    }
}

static bool is_utf8(mp_bytes_t bytes)
{
    const unsigned char *s = bytes.data;
    for (size_t i = 0; i < bytes.size;) {
        size_t length = text_utf8(s + i, bytes.size - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

static void json_bytes(output_t *out, const char *name, mp_bytes_t bytes)
{
    output_printf(out, ",\"%s\":", name);
    output_json(out, bytes.data, bytes.size);
    if (is_utf8(bytes))
        return;
    output_printf(out, ",\"%s_base64\":\"", name);
    output_base64(out, bytes.data, bytes.size);
    output_text(out, "\"");
}

static void json_outcome(report_t *self, uint64_t number, mp_bytes_t line,
                         const mp_outcome_t *outcome, mp_bytes_t standard, mp_bytes_t error)
{
    output_t *out = &self->out;
    output_printf(out, "{\"line\":%llu", (unsigned long long)number);
    json_bytes(out, "input", line);
    output_printf(out, ",\"status\":\"%s\"", report_status(outcome->rc));
    json_bytes(out, "output", standard);
    if (self->commands)
        json_bytes(out, "stderr", error);
    if (outcome->rc != MP_OK) {
        int exit_status = outcome->rc == MP_EFAILED ? outcome->code : outcome->exit_status;
        output_printf(out, ",\"exit\":%d,\"signal\":%d,\"attempt\":%d,\"host\":", exit_status,
                      outcome->signal, outcome->attempt);
        output_json(out, outcome->host, strlen(outcome->host));
        output_printf(out, ",\"pid\":%d,\"error\":\"%s\",\"message\":", outcome->pid,
                      mp_errname(outcome->rc));
        output_json(out, outcome->message, strlen(outcome->message));
    }
    output_text(out, "}\n");
}

static void explain(report_t *self, uint64_t number, mp_bytes_t line, const mp_outcome_t *outcome)
{
    enum { SHOWN = 120 };
    char shown[SHOWN];
    text_show(line.data, line.size, shown, sizeof shown);
    output_printf(&self->err, "mp: line %llu: \"%s\": ", (unsigned long long)number, shown);
    if (outcome->rc == MP_ETIMEDOUT)
        output_printf(&self->err, "timed out after %d ms", self->timeout_ms);
    else
        output_text(&self->err, *outcome->message ? outcome->message : mp_strerror(outcome->rc));
    if (outcome->attempt > 1)
        output_printf(&self->err, " (attempt %d)", outcome->attempt);
    if (*outcome->host && outcome->rc != MP_EFAILED)
        output_printf(&self->err, ", on %s", outcome->host);
    output_text(&self->err, "\n");
}

void report_outcome(report_t *self, uint64_t number, const char *line, size_t size,
                    const mp_outcome_t *outcome)
{
    mp_bytes_t text = {line, size};
    mp_bytes_t standard = outcome->value;
    mp_bytes_t error = {0};
    if (self->commands)
        command_outputs(outcome->value, &standard, &error);
    if (self->json) {
        json_outcome(self, number, text, outcome, standard, error);
    } else {
        output_add(&self->out, standard.data, standard.size);
        if (!self->commands && outcome->rc == MP_OK)
            output_text(&self->out, "\n");
        output_add(&self->err, error.data, error.size);
    }
    if (outcome->rc != MP_OK)
        explain(self, number, text, outcome);
}
