#include "table.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

enum { CELL_MAX = 200 };

void table_bytes(char *out, size_t room, double bytes)
{
    static const char units[] = "kMGT";
    size_t unit = 0;
    if (bytes < 1000) {
        snprintf(out, room, "%.0f", bytes);
        return;
    }
    for (bytes /= 1024; bytes >= 1000 && units[unit + 1]; unit++)
        bytes /= 1024;
    snprintf(out, room, "%.1f%c", bytes, units[unit]);
}

static void show_list(char *out, const mp_tree_t *list)
{
    char all[CELL_MAX] = "";
    size_t used = 0;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)mp_tree_len(list) && used < sizeof all; i++)
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? "," : "",
                                 mp_tree_str_or(mp_tree_at(list, i), "?"));
    text_show(all, strlen(all), out, CELL_MAX);
}

static void show_cell(char out[CELL_MAX], cell_t cell, const mp_tree_t *value)
{
    double number = mp_tree_float_or(value, 0);
    const char *text = mp_tree_str_or(value, "");
    switch (cell) {
    case CELL_NUMBER:
        snprintf(out, CELL_MAX, "%.0f", number);
        break;
    case CELL_NAME:
        if (mp_tree_type(value) == MP_TREE_INT)
            snprintf(out, CELL_MAX, "%.0f", number);
        else
            text_show(text, strlen(text), out, CELL_MAX);
        break;
    case CELL_BYTES:
        table_bytes(out, CELL_MAX, number);
        break;
    case CELL_MS:
    case CELL_SECONDS:
        number = cell == CELL_MS ? number / 1000 : number;
        snprintf(out, CELL_MAX, number && number < 0.01 ? "%.6f s" : "%.2f s", number);
        break;
    case CELL_LIST:
        show_list(out, value);
        break;
    case CELL_TEXT:
        text_show(text, strlen(text), out, CELL_MAX);
        break;
    }
    if (!*out || !value)
        snprintf(out, CELL_MAX, "-");
}

static bool is_left(cell_t cell)
{
    return cell == CELL_TEXT || cell == CELL_NAME || cell == CELL_LIST;
}

/* The last one needs no spaces behind it. */
static void print_cell(output_t *out, const char *text, int width, bool left, bool last)
{
    if (left && last)
        output_printf(out, "%s\n", text);
    else
        output_printf(out, left ? "%-*s%s" : "%*s%s", width, text, last ? "\n" : "  ");
}

void table_print(output_t *out, const column_t *columns, size_t count, const mp_tree_t *rows)
{
    int widths[TABLE_COLUMNS];
    char text[CELL_MAX];
    if (!mp_tree_len(rows))
        return;
    for (size_t c = 0; c < count; c++) {
        widths[c] = (int)strlen(columns[c].title);
        for (ptrdiff_t r = 0; r < (ptrdiff_t)mp_tree_len(rows); r++) {
            show_cell(text, columns[c].cell, mp_tree_get(mp_tree_at(rows, r), columns[c].key));
            int width = (int)strlen(text);
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    output_text(out, "\n");
    for (size_t c = 0; c < count; c++)
        print_cell(out, columns[c].title, widths[c], is_left(columns[c].cell), c + 1 == count);
    for (ptrdiff_t r = 0; r < (ptrdiff_t)mp_tree_len(rows); r++)
        for (size_t c = 0; c < count; c++) {
            show_cell(text, columns[c].cell, mp_tree_get(mp_tree_at(rows, r), columns[c].key));
            print_cell(out, text, widths[c], is_left(columns[c].cell), c + 1 == count);
        }
}
