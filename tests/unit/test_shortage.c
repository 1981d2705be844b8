/* test_shortage: whose kill was the kernel's, by what its file counts. */
#include "shortage.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { S = 1000000000 };

static char path[] = "/tmp/mp-test-shortage-XXXXXX";

static void count(int kills)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "low 0\noom %d\noom_kill %d\noom_group_kill 0\n", kills + 7, kills);
    fclose(file);
}

START_TEST(each_kill_is_somebodys_once)
{
    mpx_shortage_t shortage;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    count(3);
    mpx_shortage_begin(&shortage, path);
    ck_assert(!mpx_shortage_took(&shortage, S));
    count(5);
    ck_assert(mpx_shortage_took(&shortage, 2 * (int64_t)S));
    ck_assert(mpx_shortage_took(&shortage, 2 * (int64_t)S + 1));
    ck_assert(!mpx_shortage_took(&shortage, 2 * (int64_t)S + 2));
    count(7);
    ck_assert(mpx_shortage_took(&shortage, 3 * (int64_t)S));
    ck_assert(!mpx_shortage_took(&shortage, 5 * (int64_t)S)); /* somebody else's, long ago */
    unlink(path);
    ck_assert(!mpx_shortage_took(&shortage, 6 * (int64_t)S));
}
END_TEST

START_TEST(where_nothing_can_be_read_nothing_is_known)
{
    mpx_shortage_t shortage;
    mpx_shortage_begin(&shortage, "/nowhere");
    ck_assert(!mpx_shortage_took(&shortage, 1));
    mpx_shortage_begin(&shortage, NULL);
    ck_assert(!mpx_shortage_took(&shortage, 1));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_kill_is_somebodys_once,
        where_nothing_can_be_read_nothing_is_known,
        NULL,
    };
    return suite_run("shortage", tests, 10);
}
