#include "fields.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>

const char *field_text(const mp_tree_t *dict, const char *key)
{
    return mp_tree_str_or(mp_tree_get(dict, key), "");
}

long long field_number(const mp_tree_t *dict, const char *key)
{
    return (long long)mp_tree_int_or(mp_tree_get(dict, key), 0);
}

mp_rc_t field_json(output_t *out, const mp_tree_t *tree)
{
    char *text = NULL;
    mp_rc_t rc = mp_tree_to_json(tree, 0, &text);
    if (rc == MP_OK)
        output_printf(out, "%s\n", text);
    free(text);
    return rc;
}

void field_show(output_t *out, const char *text)
{
    char shown[1200];
    text_show(text, strlen(text), shown, sizeof shown);
    output_text(out, shown);
}

/* Piece by piece, so that a line may be of any length. */
static void show_line(output_t *out, const char *line, size_t size)
{
    enum { PIECE = 200 };
    char shown[1200];
    while (size) {
        size_t piece = size < PIECE ? size : PIECE;
        while (piece < size && piece > PIECE - 4 && (line[piece] & 0xc0) == 0x80)
            piece--; /* not in the midst of a character */
        text_show(line, piece, shown, sizeof shown);
        output_text(out, shown);
        line += piece;
        size -= piece;
    }
    output_text(out, "\n");
}

void field_show_lines(output_t *out, const char *text, size_t size)
{
    while (size) {
        const char *newline = memchr(text, '\n', size);
        size_t line = newline ? (size_t)(newline - text) : size;
        show_line(out, text, line);
        text += line + (newline != NULL);
        size -= line + (newline != NULL);
    }
}

const char *plural(unsigned long long n)
{
    return n == 1 ? "" : "s";
}
