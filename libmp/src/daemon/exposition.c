#include "exposition.h"

#include "clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int64_t ns;
    const char *seconds;
} bounds[MPX_BOUNDS] = {
    {100 * 1000, "0.0001"},
    {MPX_MS, "0.001"},
    {5 * MPX_MS, "0.005"},
    {10 * MPX_MS, "0.01"},
    {50 * MPX_MS, "0.05"},
    {100 * MPX_MS, "0.1"},
    {500 * MPX_MS, "0.5"},
    {MPX_S, "1"},
    {5 * MPX_S, "5"},
    {10 * MPX_S, "10"},
    {60 * MPX_S, "60"},
    {300 * MPX_S, "300"},
    {INT64_C(3600) * MPX_S, "3600"},
};

void mpx_histogram_add(mpx_histogram_t *self, int64_t ns, uint64_t n)
{
    size_t i = 0;
    while (i < MPX_BOUNDS && ns > bounds[i].ns)
        i++;
    self->counts[i] += n;
    self->sum_s += (double)ns / (double)MPX_S * (double)n;
}

uint64_t mpx_histogram_count(const mpx_histogram_t *self)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= MPX_BOUNDS; i++)
        count += self->counts[i];
    return count;
}

/* ---- text --------------------------------------------------------------------------- */

static void add(mpx_exposition_t *self, const char *format, ...) MP_PRINTF(2, 3);

static void add(mpx_exposition_t *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (self->rc == MP_OK)
        self->rc = mpx_buf_vprintf(&self->text, format, args);
    va_end(args);
}

/* A backslash, a quote and a newline would end the value. */
static void add_label(mpx_exposition_t *self, const char *label, const char *value)
{
    add(self, "%s=\"", label);
    for (; *value; value++) {
        if (*value == '\n')
            add(self, "\\n");
        else
            add(self, *value == '\\' || *value == '"' ? "\\%c" : "%c", *value);
    }
    add(self, "\"");
}

void mpx_expose_family(mpx_exposition_t *self, const char *name, const char *type, const char *help)
{
    add(self, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void mpx_expose(mpx_exposition_t *self, const char *name, const char *label, const char *value,
                double number)
{
    add(self, "%s", name);
    if (label) {
        add(self, "{");
        add_label(self, label, value);
        add(self, "}");
    }
    add(self, " %.15g\n", number);
}

void mpx_expose_one(mpx_exposition_t *self, const char *name, const char *type, const char *help,
                    double number)
{
    mpx_expose_family(self, name, type, help);
    mpx_expose(self, name, NULL, NULL, number);
}

static void add_bucket(mpx_exposition_t *self, const char *name, const char *label,
                       const char *value, const char *bound, uint64_t count)
{
    add(self, "%s_bucket{", name);
    if (label) {
        add_label(self, label, value);
        add(self, ",");
    }
    add(self, "le=\"%s\"} %llu\n", bound, (unsigned long long)count);
}

void mpx_expose_histogram(mpx_exposition_t *self, const char *name, const char *label,
                          const char *value, const mpx_histogram_t *histogram)
{
    char part[128];
    uint64_t count = 0;
    for (size_t i = 0; i < MPX_BOUNDS; i++) {
        count += histogram->counts[i];
        add_bucket(self, name, label, value, bounds[i].seconds, count);
    }
    count += histogram->counts[MPX_BOUNDS];
    add_bucket(self, name, label, value, "+Inf", count);
    snprintf(part, sizeof part, "%s_sum", name);
    mpx_expose(self, part, label, value, histogram->sum_s);
    snprintf(part, sizeof part, "%s_count", name);
    mpx_expose(self, part, label, value, (double)count);
}
