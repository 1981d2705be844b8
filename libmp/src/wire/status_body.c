/* status_body.c: the bodies that tell of a broker, its workers and their executors. Numbers have
 * the same names in the struct and the message. */
#include "body_private.h"

#include "mp.pb-c.h"

#define SET(field) message.field = self->field;
#define GET(field) out->field = message->field;

#define STATUS_NUMBERS(X)                                                                          \
    X(uptime_ms)                                                                                   \
    X(workers)                                                                                     \
    X(executors)                                                                                   \
    X(clients) X(calls_queued) X(calls_running) X(draining) X(open_jobs) X(drain_ms)

#define SET_TURNOVER(field) message.executors_##field = self->turnover.field;
#define GET_TURNOVER(field) out->turnover.field = message->executors_##field;

mp_rc_t mpx_status_pack(const mpx_status_t *self, mpx_buf_t *out)
{
    Mp__Status message;
    mp__status__init(&message);
    message.software = mpx_body_text(self->software);
    STATUS_NUMBERS(SET)
    MPX_TURNOVER_FIELDS(SET_TURNOVER)
    return mpx_body_pack(&message.base, out);
}

mp_rc_t mpx_status_unpack(mp_bytes_t body, mpx_status_t *out, void **arena)
{
    mpx_body_t opened;
    const Mp__Status *message = mpx_body_open(&opened, &mp__status__descriptor, body, "PONG");
    if (!message)
        return opened.rc;
    const char *software = message->software;
    mp_rc_t rc = mpx_body_strings(&software, 1, arena);
    if (rc == MP_OK) {
        *out = (mpx_status_t){.software = software};
        STATUS_NUMBERS(GET)
        MPX_TURNOVER_FIELDS(GET_TURNOVER)
    }
    mpx_body_close(&opened);
    return rc;
}

#define EXECUTOR_STAT_NUMBERS(X)                                                                   \
    X(id)                                                                                          \
    X(pid)                                                                                         \
    X(given) X(calls) X(start_ns) X(init_ns) X(working_ns) X(waiting_ns) X(memory_bytes) X(session)

mp_rc_t mpx_executor_stat_pack(const mpx_executor_stat_t *self, mpx_buf_t *out)
{
    Mp__ExecutorStat message;
    mp__executor_stat__init(&message);
    message.host = mpx_body_text(self->host);
    message.worker = mpx_body_text(self->worker);
    EXECUTOR_STAT_NUMBERS(SET)
    return mpx_body_pack(&message.base, out);
}

mp_rc_t mpx_executor_stat_unpack(mp_bytes_t body, mpx_executor_stat_t *out, void **arena)
{
    mpx_body_t opened;
    const Mp__ExecutorStat *message =
        mpx_body_open(&opened, &mp__executor_stat__descriptor, body, "CENSUS");
    if (!message)
        return opened.rc;
    const char *strings[] = {message->host, message->worker};
    mp_rc_t rc = mpx_body_strings(strings, 2, arena);
    if (rc == MP_OK) {
        *out = (mpx_executor_stat_t){.host = strings[0], .worker = strings[1]};
        EXECUTOR_STAT_NUMBERS(GET)
    }
    mpx_body_close(&opened);
    return rc;
}
