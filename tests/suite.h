/* suite.h: the main of a Check suite: a list of tests, run in forked children. */
#ifndef SUITE_H
#define SUITE_H

#include <check.h>
#include <stdlib.h>

/* An assertion for millions: Check keeps each of its own, also when it holds. */
#define SURE(holds)                                                                                \
    do {                                                                                           \
        if (!(holds))                                                                              \
            ck_abort_msg("%s", #holds);                                                            \
    } while (0)

static inline int suite_end(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Ends with NULL. Each test gets `seconds`, and has `setup` called first if there is one. */
static inline int suite_run_with(void (*setup)(void), const char *name, const TTest *const *tests,
                                 double seconds)
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, seconds);
    if (setup)
        tcase_add_checked_fixture(cases, setup, NULL);
    for (; *tests; tests++)
        tcase_add_test(cases, *tests);
    suite_add_tcase(suite, cases);
    return suite_end(suite);
}

/* Those of `each` run n times, with _i from 0 to n-1; those of `once` once. */
static inline int suite_run_each(void (*setup)(void), const char *name, const TTest *const *each,
                                 int n, const TTest *const *once, double seconds)
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, seconds);
    if (setup)
        tcase_add_checked_fixture(cases, setup, NULL);
    for (; *each; each++)
        tcase_add_loop_test(cases, *each, 0, n);
    for (; *once; once++)
        tcase_add_test(cases, *once);
    suite_add_tcase(suite, cases);
    return suite_end(suite);
}

static inline int suite_run(const char *name, const TTest *const *tests, double seconds)
{
    return suite_run_with(NULL, name, tests, seconds);
}

#endif
