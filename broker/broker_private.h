/* broker_private.h: what the broker knows. Only for broker.c, which is its loop, and life.c, which
 * makes and ends it. */
#ifndef MPX_BROKER_PRIVATE_H
#define MPX_BROKER_PRIVATE_H

#include "archive.h"
#include "broker.h"
#include "engine.h"
#include "foreman.h"
#include "gate.h"
#include "keeper.h"
#include "ledger.h"
#include "link.h"
#include "peer.h"
#include "survey.h"
#include "turnover.h"
#include "watch.h"
#include <mp/version.h>

#define MPX_BROKER_SOFTWARE "libmp " MP_VERSION_STRING

typedef enum state { SERVING, DRAINING, OVER } state_t;

struct mpx_broker {
    mpx_broker_options_t options;
    mpx_gate_t *gate;
    mpx_link_t *link;
    mpx_engine_t *engine;
    mpx_keeper_t *keeper;
    mpx_ledger_t *ledger;
    mpx_archive_t *archive;
    mpx_foreman_t *foreman;
    mpx_peer_t *peers;
    mpx_metrics_t *metrics;
    mpx_survey_t *surveys;
    uint64_t last_survey;
    state_t state;
    int64_t started_at;
    int64_t drain_until;
    uint32_t clients;
    uint32_t workers;
    uint32_t executors;
    mpx_turnover_t turnover;
    uint32_t executors_told; /* what clients were last told */
    mpx_turnover_t turnover_told;
    uint32_t leaving;
    mpx_buf_t scratch; /* packed bodies */
};

/* All of it, for those who look, now. */
mpx_scene_t mpx_broker_scene(const mpx_broker_t *self, int64_t now);
/* What a drain waits for, and how long yet: a client may not have submitted all calls of an open
 * job. */
uint64_t mpx_broker_open_jobs(const mpx_broker_t *self);
int64_t mpx_broker_drain_left_ms(const mpx_broker_t *self, int64_t now);

/* What its parts send by: an engine's transport, and the ways to a client. */
mp_rc_t mpx_broker_to_worker(void *broker, uint64_t worker, const mpx_header_t *header,
                             mp_bytes_t payload);
void mpx_broker_stop_worker(void *broker, uint64_t worker, uint64_t job, uint64_t chunk,
                            mpx_stop_stage_t stage, mp_rc_t why);
bool mpx_broker_recall(void *broker, uint64_t worker, uint64_t job, uint64_t chunk);
mp_rc_t mpx_broker_to_client(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload);
bool mpx_broker_to_client_on_credit(mpx_peer_t *peer, const mpx_header_t *header,
                                    mp_bytes_t payload);
void mpx_broker_answer(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload);

#endif
