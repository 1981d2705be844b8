/* output.h: bytes gathered for a descriptor, written in large pieces, and its errors kept. */
#ifndef MP_CLI_OUTPUT_H
#define MP_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct output {
    int fd;
    char *buffer;
    size_t size;
    int error; /* errno of the first write that failed; nothing is written after it */
} output_t;

bool output_init(output_t *self, int fd);
void output_free(output_t *self);

void output_add(output_t *self, const void *bytes, size_t size);
void output_text(output_t *self, const char *text);
void output_printf(output_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A string in JSON, with quotes. What isn't UTF-8 becomes U+FFFD. */
void output_json(output_t *self, const void *bytes, size_t size);
void output_base64(output_t *self, const void *bytes, size_t size);

/* Write what is there. false: it failed, now or before. */
bool output_flush(output_t *self);

#endif
