/* output.h: bytes gathered for a descriptor, and its first error, which is kept.
 *
 * Nothing is written before output_flush, so that the caller decides what is written before
 * what. A flush may have to wait for the descriptor's reader; news on another descriptor,
 * such as a signalfd, then ends it. */
#ifndef MP_CLI_OUTPUT_H
#define MP_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct output {
    int fd;
    int interrupt_fd; /* ends a flush that waits; -1: nothing does */
    size_t piece;     /* the most that one write may hold without having to wait */
    char *buffer;
    size_t size;
    size_t room;
    int error; /* errno of the first failure, EINTR for an interrupted flush; nothing is added
                  or written after it */
} output_t;

void output_init(output_t *self, int fd, int interrupt_fd);
void output_free(output_t *self);

void output_add(output_t *self, const void *bytes, size_t size);
void output_text(output_t *self, const char *text);
void output_printf(output_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A string in JSON, with quotes. What isn't UTF-8 becomes U+FFFD. */
void output_json(output_t *self, const void *bytes, size_t size);
void output_base64(output_t *self, const void *bytes, size_t size);

/* Write what is there. false: it failed, now or before. */
bool output_flush(output_t *self);
/* The same for a command's stdout, and say so where it fails. Returns an exit status. */
int output_end(output_t *self, const char *command);

#endif
