/* Four processes add 10000 each to one number, under its lock. */
#include <mp/mp.h>
#include <stdio.h>

static int count(void *value)
{
    int *n = mp_value_get_obj(value);
    for (int i = 0; i < 10000; i++)
        MP_WITH_LOCK(mp_value_get_lock(value))
    ++*n;
    return 0;
}

int main(void)
{
    MP_SCOPED(mp_value) value = NULL;
    mp_process_t *processes[4] = {0};
    if (mp_value_new('i', NULL, NULL, &value))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    mp_process_options_t options = {.target = count, .arg = value};
    for (int i = 0; i < 4; i++)
        if (mp_process_new(&options, &processes[i]) || mp_process_start(processes[i]))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (int i = 0; i < 4; i++) {
        mp_process_join(processes[i], -1);
        mp_process_destroy(&processes[i]);
    }
    printf("%d\n", *(int *)mp_value_get_obj(value));
    return 0;
}
/* prints:
40000
*/
