/* A thousand keys set by one question and answer; and money that moves from one account to another
 * wholly or not at all. */
#include <mp/mp.h>
#include <stdio.h>

enum { KEYS = 1000 };

static mp_rc_t set_many(mp_manager_t *manager, mp_object_t *dict)
{
    MP_SCOPED(mp_pipeline) pipeline = NULL;
    mp_rc_t rc = mp_pipeline_new(manager, NULL, &pipeline);
    if (rc)
        return rc;
    mp_object_t *noted = mp_pipeline_object(pipeline, dict);
    for (int i = 0; i < KEYS && rc == MP_OK; i++)
        rc = noted ? mp_dict_set(noted, MP_K(i), MP_V(i * i), 0) : MP_ENOMEM;
    return rc ? rc : mp_pipeline_run(pipeline, 10000);
}

/* MP_ERANGE: there isn't so much. */
static mp_rc_t transfer(mp_manager_t *manager, mp_object_t *accounts, const char *from,
                        const char *to, int64_t amount)
{
    MP_SCOPED(mp_pipeline) pipeline = NULL;
    mp_rc_t rc = mp_pipeline_new(manager, &(mp_pipeline_options_t){.atomic = true}, &pipeline);
    if (rc)
        return rc;
    mp_object_t *both = mp_pipeline_object(pipeline, accounts);
    if (!both)
        return MP_ENOMEM;
    do {
        MP_SCOPED(mp_tree) balance = NULL;
        uint64_t version;
        rc = mp_dict_get_version(accounts, MP_K(from), &balance, &version, 10000);
        if (rc)
            return rc;
        int64_t rest = mp_tree_int_or(balance, 0) - amount;
        if (rest < 0)
            return MP_ERANGE;
        if ((rc = mp_dict_compare_and_set(both, MP_K(from), version, MP_V(rest), NULL, 0)) ||
            (rc = mp_dict_add(both, MP_K(to), amount, NULL, 0)))
            return rc;
        rc = mp_pipeline_run(pipeline, 10000);
    } while (rc == MP_ECHANGED); /* somebody else was quicker: look again */
    return rc;
}

static int show(mp_object_t *accounts, const char *what, mp_rc_t rc)
{
    int64_t ann, bob;
    if (mp_dict_add(accounts, MP_K("ann"), 0, &ann, 10000) ||
        mp_dict_add(accounts, MP_K("bob"), 0, &bob, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%s: %s, ann has %lld, bob has %lld\n", what, mp_errname(rc), (long long)ann,
           (long long)bob);
    return 0;
}

static int run(mp_manager_t *manager)
{
    MP_SCOPED(mp_object) dict = NULL;
    MP_SCOPED(mp_object) accounts = NULL;
    size_t count;
    mp_object_options_t options = {
        .initial = MP_DICT({"ann", MP_V(100)}, {"bob", MP_V(0)}, {"eve", MP_V("closed")})};
    if (mp_manager_dict(manager, NULL, &dict) || set_many(manager, dict) ||
        mp_dict_len(dict, &count, 10000) ||
        mp_manager_object(manager, MP_OBJECT_DICT, &options, &accounts))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%zu keys\n", count);
    return show(accounts, "30 to bob", transfer(manager, accounts, "ann", "bob", 30)) ||
           show(accounts, "80 to bob", transfer(manager, accounts, "ann", "bob", 80)) ||
           show(accounts, "30 to eve", transfer(manager, accounts, "ann", "eve", 30));
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
1000 keys
30 to bob: MP_OK, ann has 70, bob has 30
80 to bob: MP_ERANGE, ann has 70, bob has 30
30 to eve: MP_EINVAL, ann has 70, bob has 30
*/
