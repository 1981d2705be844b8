/* log.h: what the library has to tell, if somebody wants to hear it.
 *
 * Processes that start and end, the fork server's deaths, locks whose holder died, blocks that
 * were removed after the dead. Silent unless asked. Set it before starting processes: forked
 * children have it as it is; of spawned ones and those of the fork server, mp_log_to_stderr's
 * setting goes along, but a function of the program can't.
 */
#ifndef MP_LOG_H
#define MP_LOG_H

#include <mp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mp_log_level {
    MP_LOG_ERROR,
    MP_LOG_WARNING,
    MP_LOG_INFO,
    MP_LOG_DEBUG
} mp_log_level_t;

/* line  without a newline, valid during the call */
typedef void mp_log_sink_t(void *arg, mp_log_level_t level, const char *line);

/* Hand lines up to `level` to `sink`; NULL: silence. The sink may be called by any thread that
 * is in a call of the library, must return soon, and must not call the library.
 * Not while other threads are in the library. */
MP_API void mp_log_set(mp_log_sink_t *sink, void *arg, mp_log_level_t level);

/* Write them to stderr, each in one piece: "[info/Process-1] ended with 0". */
MP_API void mp_log_to_stderr(mp_log_level_t level);

#ifdef __cplusplus
}
#endif

#endif
