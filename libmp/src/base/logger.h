/* logger.h: lines for whoever listens (mp/log.h). */
#ifndef MPX_LOGGER_H
#define MPX_LOGGER_H

#include <mp/log.h>
#include <stdbool.h>

/* Costs nothing but a comparison when nobody listens at this level. */
void mpx_tell(mp_log_level_t level, const char *format, ...) MP_PRINTF(2, 3);

/* How this process is called in lines on stderr. Copied. */
void mpx_logger_name(const char *process);

/* What a spawned child is told: whether mp_log_to_stderr is in force, and its level. */
bool mpx_logger_on_stderr(mp_log_level_t *level);

#endif
