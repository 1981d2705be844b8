#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_init(progress_t *self, bool on)
{
    *self = (progress_t){.on = on, .started_ms = now_ms()};
}

static void put(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void describe_rate(double rate, char *out, size_t size)
{
    if (rate >= 1e6)
        snprintf(out, size, "%.1fM/s", rate / 1e6);
    else if (rate >= 1e3)
        snprintf(out, size, "%.1fk/s", rate / 1e3);
    else
        snprintf(out, size, "%.1f/s", rate);
}

static void describe_left(double seconds, char *out, size_t size)
{
    long left = seconds < 360000 ? (long)(seconds + 0.5) : 359999;
    if (left >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", left / 3600, left / 60 % 60, left % 60);
    else
        snprintf(out, size, "%ld:%02ld", left / 60, left % 60);
}

void progress_draw(progress_t *self, uint64_t done, uint64_t failed, uint64_t total)
{
    int64_t now = now_ms();
    if (!self->on || now - self->drawn_ms < PROGRESS_EVERY_MS)
        return;
    char line[200], rate_text[32], left_text[32] = "", failed_text[48] = "";
    double seconds = (double)(now - self->started_ms) / 1000;
    double rate = seconds > 0 ? (double)(done - self->done_before) / seconds : 0;
    describe_rate(rate, rate_text, sizeof rate_text);
    if (failed)
        snprintf(failed_text, sizeof failed_text, "  %llu failed", (unsigned long long)failed);
    if (total && rate > 0) {
        char left[24];
        describe_left((double)(total - done) / rate, left, sizeof left);
        snprintf(left_text, sizeof left_text, "  ETA %s", left);
    }
    if (total)
        snprintf(line, sizeof line, "\r\033[K%llu/%llu  %llu%%  %s%s%s", (unsigned long long)done,
                 (unsigned long long)total, (unsigned long long)(done * 100 / total), rate_text,
                 left_text, failed_text);
    else
        snprintf(line, sizeof line, "\r\033[K%llu/?  %s%s", (unsigned long long)done, rate_text,
                 failed_text);
    put(line);
    self->shown = true;
    self->drawn_ms = now;
}

void progress_erase(progress_t *self)
{
    if (self->shown)
        put("\r\033[K");
    self->shown = false;
}
