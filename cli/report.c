#include "report.h"

#include "command.h"
#include "text.h"

#include <string.h>

static const char *status_of(mp_rc_t rc)
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
    case MP_EDRAINING: /* its worker ended in the midst of it, in good order */
        return "lost";
    default:
        return "rejected";
    }
}

ending_t report_ending(const report_t *self, const mp_outcome_t *outcome)
{
    ending_t ending = {.status = status_of(outcome->rc)};
    if (outcome->rc == MP_EFAILED)
        ending.exit = outcome->code;
    if (outcome->rc == MP_EFAILED && self->commands)
        ending.signal = command_signal(outcome);
    if (outcome->rc == MP_ECRASHED) {
        ending.exit = outcome->exit_status;
        ending.signal = outcome->signal;
    }
    return ending;
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
    ending_t ending = report_ending(self, outcome);
    output_printf(out, "{\"line\":%llu", (unsigned long long)number);
    json_bytes(out, "input", line);
    output_printf(out, ",\"status\":\"%s\"", ending.status);
    json_bytes(out, "output", standard);
    if (self->commands)
        json_bytes(out, "stderr", error);
    output_printf(out, ",\"exit\":%d,\"signal\":%d,\"attempt\":%d,\"host\":", ending.exit,
                  ending.signal, outcome->attempt);
    output_json(out, outcome->host, strlen(outcome->host));
    output_printf(out, ",\"pid\":%d,\"error\":\"%s\",\"message\":", outcome->pid,
                  outcome->rc == MP_OK ? "" : mp_errname(outcome->rc));
    output_json(out, outcome->message, strlen(outcome->message));
    output_text(out, "}\n");
}

/* Words from a task or a worker: on one line, whatever is in them. */
static void add_words(output_t *err, const char *words)
{
    enum { WORDS = 2048 };
    char shown[WORDS];
    text_show(words, strlen(words), shown, sizeof shown);
    output_text(err, shown);
}

static void explain(report_t *self, uint64_t number, mp_bytes_t line, const mp_outcome_t *outcome)
{
    enum { SHOWN = 120 };
    output_t *err = &self->err;
    char shown[SHOWN];
    text_show(line.data, line.size, shown, sizeof shown);
    if (err->size && err->buffer[err->size - 1] != '\n')
        output_text(err, "\n"); /* a command left its last line open */
    output_printf(err, "mp: line %llu: \"%s\": ", (unsigned long long)number, shown);
    if (outcome->rc == MP_ETIMEDOUT && outcome->pid) /* else it is its deadline that passed */
        output_printf(err, "timed out after %d ms", self->timeout_ms);
    else
        add_words(err, *outcome->message ? outcome->message : mp_strerror(outcome->rc));
    if (outcome->attempt > 1)
        output_printf(err, ", attempt %d", outcome->attempt);
    if (self->remote && *outcome->host && outcome->pid)
        output_printf(err, ", on %s:%d", outcome->host, outcome->pid);
    output_text(err, "\n");
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
