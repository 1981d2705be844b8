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

const char *plural(unsigned long long n)
{
    return n == 1 ? "" : "s";
}
