/* fields.h: what is read of an answer's dicts, and words for it. */
#ifndef MP_CLI_FIELDS_H
#define MP_CLI_FIELDS_H

#include "output.h"
#include <mp/tree.h>

/* "" and 0 where there is none of that key, or it is something else. */
const char *field_text(const mp_tree_t *dict, const char *key);
long long field_number(const mp_tree_t *dict, const char *key);

/* A tree as JSON, and a newline. MP_OK; MP_ENOMEM. */
mp_rc_t field_json(output_t *out, const mp_tree_t *tree);
/* A text of somebody's, for people: on one line whatever it is. */
void field_show(output_t *out, const char *text);

/* The same on as many lines as the text has. */
void field_show_lines(output_t *out, const char *text, size_t size);

/* "s", or "" for one. */
const char *plural(unsigned long long n);

#endif
