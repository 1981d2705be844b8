/* ping.c: a question to a broker, and an order: PING, PONG; DISMISS, DISMISSED. */
#include <mp/broker.h>

#include "errand.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mp_rc_t on_pong(void *arg, const mpx_header_t *header, mp_bytes_t payload,
                       int64_t round_trip_ns)
{
    (void)header;
    mp_broker_info_t *info = arg;
    mpx_status_t status;
    void *arena = NULL;
    mp_rc_t rc = mpx_status_unpack(payload, &status, &arena);
    if (rc != MP_OK)
        return rc;
    *info = (mp_broker_info_t){
        .uptime_ms = status.uptime_ms,
        .workers = status.workers,
        .executors = status.executors,
        .clients = status.clients,
        .calls_queued = status.calls_queued,
        .calls_running = status.calls_running,
        .round_trip_us = (uint64_t)round_trip_ns / 1000,
    };
    snprintf(info->version, sizeof info->version, "%s", status.software);
    free(arena);
    return MP_OK;
}

mp_rc_t mp_broker_ping(const char *endpoint, int timeout_ms, mp_broker_info_t *out)
{
    mp_broker_info_t info = {0};
    mpx_errand_t errand = {.endpoint = endpoint,
                           .question = {.op = MPX_OP_PING, .nonce = 1},
                           .answer = MPX_OP_PONG,
                           .answered = on_pong,
                           .self = &info};
    mp_rc_t rc = mpx_errand_run(&errand, timeout_ms);
    if (rc == MP_OK && out)
        *out = info;
    return rc;
}

static mp_rc_t on_dismissed(void *arg, const mpx_header_t *header, mp_bytes_t payload,
                            int64_t round_trip_ns)
{
    (void)round_trip_ns;
    uint32_t *count = arg;
    mpx_problem_t problem;
    void *arena = NULL;
    mp_rc_t rc = mpx_problem_unpack(payload, &problem, &arena);
    if (rc != MP_OK)
        return rc;
    *count = header->count;
    if (header->code)
        rc = mpx_fault(header->code < 0 ? (mp_rc_t)header->code : MP_EPROTO, "%s", problem.message);
    free(arena);
    return rc;
}

mp_rc_t mp_broker_dismiss(const char *endpoint, const char *worker, int timeout_ms, int *count)
{
    uint32_t told = 0;
    if (!worker || !*worker)
        return mpx_fault(MP_EINVAL, "no worker's name");
    mpx_errand_t errand = {.endpoint = endpoint,
                           .question = {.op = MPX_OP_DISMISS, .nonce = 1},
                           .payload = {worker, strlen(worker)},
                           .answer = MPX_OP_DISMISSED,
                           .answered = on_dismissed,
                           .self = &told};
    mp_rc_t rc = mpx_errand_run(&errand, timeout_ms);
    if (rc == MP_OK && count)
        *count = (int)told;
    return rc;
}
