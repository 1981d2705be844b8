/* lines.h: the input lines that were read and not yet reported, in input order:
 *
 *     reported <- head  [with the pool]  next_put  [waiting]  tail <- read
 *
 * A line that can't be run (too long, say) never goes to the pool: its outcome is known. */
#ifndef MP_CLI_LINES_H
#define MP_CLI_LINES_H

#include <mp/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

typedef struct line {
    uint64_t number; /* from 1 */
    uint64_t index;  /* on the job, once put */
    mp_rc_t refused; /* MP_OK, or why it is not run */
    size_t size;
    struct line *prev, *next;
    UT_hash_handle hh; /* by index */
    char text[];
} line_t;

typedef struct lines {
    line_t *head;
    line_t *next_put; /* NULL: all were put */
    line_t *by_index;
    size_t bytes; /* of memory */
} lines_t;

/* false: out of memory. */
bool lines_add(lines_t *self, uint64_t number, const char *text, size_t size, mp_rc_t refused);
/* next_put went to the job under that number (false: out of memory); or, refused, it stays
 * for its turn. */
bool lines_put(lines_t *self, uint64_t index);
void lines_pass(lines_t *self);
line_t *lines_find(const lines_t *self, uint64_t index);
void lines_remove(lines_t *self, line_t *line);
void lines_free(lines_t *self);

#endif
