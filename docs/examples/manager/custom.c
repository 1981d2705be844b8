/* A type of objects of our own: a mean that two processes feed. What it does is done in the server,
 * so an address must be that of a server which has the type too, such as a program that registers
 * it and calls mp_manager_serve. */
#include <mp/mp.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- in the server: one call at a time ----------------------------------------------------- */

typedef struct mean {
    double sum;
    int64_t count;
} mean_t;

static mp_rc_t make(const mp_tree_t *from, void **self)
{
    (void)from;
    *self = calloc(1, sizeof(mean_t));
    return *self ? MP_OK : MP_ENOMEM;
}

static mp_rc_t add(void *self, const mp_tree_t *args, mp_tree_t **result)
{
    mean_t *mean = self;
    double number;
    (void)result;
    if (mp_tree_as_float(args, &number))
        return mp_type_fail(MP_EINVAL, "add: a %s is no number",
                            mp_tree_type_name(mp_tree_type(args)));
    mean->sum += number;
    mean->count++;
    return MP_OK;
}

static mp_rc_t get(void *self, const mp_tree_t *args, mp_tree_t **result)
{
    const mean_t *mean = self;
    (void)args;
    if (mean->count == 0)
        return mp_type_fail(MP_ESTATE, "get: a mean of nothing");
    *result = MP_V(mean->sum / (double)mean->count);
    return *result ? MP_OK : MP_ENOMEM;
}

static const mp_method_def_t methods[] = {{"add", add}, {"get", get}};
MP_OBJECT_TYPE(mean, .create = make, .destroy = free, .methods = methods, .methods_count = 2);

/* ---- its clients --------------------------------------------------------------------------- */

static int feed(void *mean)
{
    for (int i = 1; i <= 100; i++)
        if (mp_object_call(mean, "add", MP_V(i), NULL, -1))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return 0;
}

static int run(mp_manager_t *manager)
{
    MP_SCOPED(mp_object) mean = NULL;
    MP_SCOPED(mp_process) one = NULL;
    MP_SCOPED(mp_process) two = NULL;
    MP_SCOPED(mp_tree) value = NULL;
    if (mp_manager_object(manager, MP_OBJECT_CUSTOM, &(mp_object_options_t){.custom = "mean"},
                          &mean))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("of nothing: %s\n", mp_errname(mp_object_call(mean, "get", NULL, &value, 10000)));

    mp_process_options_t options = {.target = feed, .arg = mean};
    if (mp_process_new(&options, &one) || mp_process_new(&options, &two) || mp_process_start(one) ||
        mp_process_start(two) || mp_process_join(one, 10000) || mp_process_join(two, 10000) ||
        mp_object_call(mean, "get", NULL, &value, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("the mean: %g\n", mp_tree_float_or(value, -1));
    printf("of a text: %s\n", mp_errname(mp_object_call(mean, "add", MP_V("x"), NULL, 10000)));
    printf("no method: %s\n", mp_errname(mp_object_call(mean, "reset", NULL, NULL, 10000)));
    return 0;
}

int main(int argc, char **argv)
{
    MP_SCOPED(mp_manager) manager = NULL;
    if (argc > 1 ? mp_manager_connect(argv[1], NULL, 0, 10000, &manager)
                 : mp_manager_start(NULL, &manager))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return run(manager);
}
/* prints:
of nothing: MP_ESTATE
the mean: 50.5
of a text: MP_EINVAL
no method: MP_ENOTFOUND
*/
