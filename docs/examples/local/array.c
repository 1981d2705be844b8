/* A child fills an array, and changes a number, that its parent sees. */
#include <mp/mp.h>
#include <stdio.h>

typedef struct shared {
    mp_value_t *number;
    mp_array_t *array;
} shared_t;

static int fill(void *arg)
{
    shared_t *shared = arg;
    double *number = mp_value_get_obj(shared->number);
    int *items = mp_array_get_obj(shared->array);
    *number = 3.1415927;
    for (size_t i = 0; i < mp_array_len(shared->array); i++)
        items[i] = 100 + (int)i;
    return 0;
}

int main(void)
{
    shared_t shared = {NULL, NULL};
    MP_SCOPED(mp_process) process = NULL;
    mp_process_options_t options = {.target = fill, .arg = &shared};
    if (mp_value_new('d', NULL, NULL, &shared.number) ||
        mp_array_new('i', 10, NULL, NULL, &shared.array) || mp_process_new(&options, &process) ||
        mp_process_start(process) || mp_process_join(process, -1))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;

    int items[10];
    size_t count = 10;
    printf("%.7f\n", *(double *)mp_value_get_obj(shared.number));
    if (mp_array_get_slice(shared.array, 0, MP_SLICE_OPEN, 1, items, &count) == MP_OK)
        for (size_t i = 0; i < count; i++)
            printf("%d%c", items[i], i + 1 < count ? ' ' : '\n');
    mp_array_destroy(&shared.array);
    mp_value_destroy(&shared.number);
    return 0;
}
/* prints:
3.1415927
100 101 102 103 104 105 106 107 108 109
*/
