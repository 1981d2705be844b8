#include "logger.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static mp_log_sink_t *sink;
static void *sink_arg;
static mp_log_level_t highest;
static char process[64] = "MainProcess";

void mp_log_set(mp_log_sink_t *new_sink, void *arg, mp_log_level_t level)
{
    sink = new_sink;
    sink_arg = arg;
    highest = level;
}

/* By write: it is in one piece, and no buffer of the program is touched. */
static void to_stderr(void *arg, mp_log_level_t level, const char *line)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char text[1200];
    (void)arg;
    int length = snprintf(text, sizeof text - 1, "[%s/%s] %s", names[level], process, line);
    size_t size = length < (int)sizeof text - 1 ? (size_t)length : sizeof text - 2;
    text[size++] = '\n';
    (void)!write(STDERR_FILENO, text, size);
}

void mp_log_to_stderr(mp_log_level_t level)
{
    mp_log_set(to_stderr, NULL, level);
}

bool mpx_logger_on_stderr(mp_log_level_t *level)
{
    *level = highest;
    return sink == to_stderr;
}

void mpx_logger_name(const char *name)
{
    snprintf(process, sizeof process, "%s", name);
}

void mpx_tell(mp_log_level_t level, const char *format, ...)
{
    if (!sink || level > highest)
        return;
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    sink(sink_arg, level, line);
}
