#include "log.h"

#include "clock.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, VALUE_MAX_BYTES = 512 };

typedef struct line {
    char text[LINE_MAX_BYTES];
    size_t size;
} line_t;

static const char *const level_names[] = {
    [MP_LOG_ERROR] = "error",
    [MP_LOG_WARNING] = "warning",
    [MP_LOG_INFO] = "info",
    [MP_LOG_DEBUG] = "debug",
};

void mpx_log_init(mpx_log_t *self, mp_log_level_t level, int fd)
{
    *self = (mpx_log_t){.level = level, .fd = fd};
}

mp_rc_t mpx_log_level_of(const char *name, mp_log_level_t *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++)
        if (strcmp(name, level_names[i]) == 0) {
            *out = (mp_log_level_t)i;
            return MP_OK;
        }
    return MP_EINVAL;
}

/* One byte is kept for the newline. */
static void add_char(line_t *line, char c)
{
    if (line->size < LINE_MAX_BYTES - 1)
        line->text[line->size++] = c;
}

static void add_text(line_t *line, const char *text)
{
    while (*text)
        add_char(line, *text++);
}

static bool is_plain(const char *value)
{
    const char *c = value;
    while ((unsigned char)*c > ' ' && (unsigned char)*c < 0x7f && !strchr("\"=\\", *c))
        c++;
    return *c == '\0' && c > value && c - value <= VALUE_MAX_BYTES;
}

/* How many bytes a printable character of UTF-8 has here; 0 if it is none. Overlong forms
 * and surrogates are let through: no terminal takes them for a control character. */
static size_t printable(const char *at)
{
    unsigned char c = (unsigned char)*at;
    if (c < 0x80)
        return c >= ' ' && c != 0x7f;
    size_t size = c >= 0xf0 && c < 0xf5   ? 4
                  : c >= 0xe0 && c < 0xf0 ? 3
                  : c >= 0xc2 && c < 0xe0 ? 2
                                          : 0;
    for (size_t i = 1; i < size; i++)
        if (((unsigned char)at[i] & 0xc0) != 0x80)
            return 0;
    return c == 0xc2 && (unsigned char)at[1] < 0xa0 ? 0 : size; /* C1 controls */
}

static void add_quoted(line_t *line, const char *value)
{
    const char *end = value + VALUE_MAX_BYTES;
    add_char(line, '"');
    while (*value && value < end) {
        size_t size = printable(value);
        if (*value == '"' || *value == '\\')
            add_char(line, '\\');
        if (size == 0)
            add_char(line, '?');
        for (size_t i = 0; i < size; i++)
            add_char(line, value[i]);
        value += size ? size : 1;
    }
    add_text(line, *value ? "...\"" : "\"");
}

static void add_value(line_t *line, const char *value)
{
    if (is_plain(value))
        add_text(line, value);
    else
        add_quoted(line, value);
}

static void add_head(line_t *line, mp_log_level_t level, const char *event)
{
    struct timespec now;
    struct tm parts;
    char stamp[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(stamp, sizeof stamp, "ts=%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(stamp + length, sizeof stamp - length, ".%03ldZ", now.tv_nsec / 1000000);
    add_text(line, stamp);
    add_text(line, " level=");
    add_text(line, level_names[level]);
    add_text(line, " event=");
    add_text(line, event);
}

static void put(const mpx_log_t *self, line_t *line)
{
    line->text[line->size++] = '\n';
    (void)!write(self->fd, line->text, line->size);
}

static mpx_log_rate_t *rate_of(mpx_log_t *self, const char *event)
{
    for (size_t i = 0; i < MPX_LOG_EVENTS; i++) {
        mpx_log_rate_t *rate = &self->rates[i];
        if (!rate->event)
            rate->event = event;
        if (rate->event == event)
            return rate;
    }
    return NULL;
}

/* Whether the line may be written; says first what the last second left out. */
static bool admit(mpx_log_t *self, mp_log_level_t level, const char *event)
{
    mpx_log_rate_t *rate = rate_of(self, event);
    int64_t second = mpx_now() / MPX_S;
    if (!rate)
        return true;
    if (rate->second != second && rate->left_out) {
        line_t line = {.size = 0};
        char count[32];
        snprintf(count, sizeof count, " left_out=%u", rate->left_out);
        add_head(&line, level, event);
        add_text(&line, count);
        put(self, &line);
    }
    if (rate->second != second) {
        rate->second = second;
        rate->lines = 0;
        rate->left_out = 0;
    }
    if (rate->lines < MPX_LOG_RATE) {
        rate->lines++;
        return true;
    }
    rate->left_out++;
    return false;
}

void mpx_log(mpx_log_t *self, mp_log_level_t level, const char *event, ...)
{
    if (level > self->level || !admit(self, level, event))
        return;
    line_t line = {.size = 0};
    add_head(&line, level, event);
    va_list args;
    va_start(args, event);
    for (const char *key = va_arg(args, const char *); key; key = va_arg(args, const char *)) {
        add_char(&line, ' ');
        add_text(&line, key);
        add_char(&line, '=');
        add_value(&line, va_arg(args, const char *));
    }
    va_end(args);
    put(self, &line);
}
