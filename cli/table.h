/* table.h: columns for people, as wide as what is in them. */
#ifndef MP_CLI_TABLE_H
#define MP_CLI_TABLE_H

#include "output.h"
#include <mp/tree.h>

/* How a value of a dict is shown. */
typedef enum cell {
    CELL_TEXT,
    CELL_NUMBER,
    CELL_NAME, /* a number or a text, by which something goes */
    CELL_BYTES,
    CELL_SECONDS,
    CELL_MS,
    CELL_LIST
} cell_t;

typedef struct column {
    const char *title;
    const char *key;
    cell_t cell;
} column_t;

enum { TABLE_COLUMNS = 16 };

/* A line of titles, and one for each dict of the list; nothing for an empty list. Titles and
 * texts stand at the left, numbers at the right. */
void table_print(output_t *out, const column_t *columns, size_t count, const mp_tree_t *rows);

/* 12, 3.4k, 5.6M, 7.8G. */
void table_bytes(char *out, size_t room, double bytes);

#endif
