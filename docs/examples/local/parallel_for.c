/* A loop over all processors: the sum of each row of a matrix that the processes simply see, into
 * an array that they share. One row is bad, and costs nothing but itself. */
#include <mp/mp.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 1000, COLUMNS = 1000 };

static int (*matrix)[COLUMNS];

static int add_row(size_t row, void *sums)
{
    long sum = 0;
    if (row == 500)
        abort();
    for (int i = 0; i < COLUMNS; i++)
        sum += matrix[row][i];
    ((long *)mp_array_get_obj(sums))[row] = sum;
    return 0;
}

int main(void)
{
    MP_SCOPED(mp_array) sums = NULL;
    matrix = malloc(sizeof(int[ROWS][COLUMNS]));
    if (!matrix || mp_array_new('l', ROWS, NULL, NULL, &sums))
        return 1;
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < COLUMNS; k++)
            matrix[i][k] = i;
    mp_rc_t rc = mp_parallel_for(ROWS, add_row, sums);
    printf("%s: %s\n", mp_errname(rc), mp_errmsg());
    const long *sum = mp_array_get_obj(sums);
    printf("%ld %ld %ld\n", sum[1], sum[500], sum[999]);
    free(matrix);
    return 0;
}
/* prints:
MP_ECRASHED: parallel_for: index 500: killed by signal 6
1000 0 999000
*/
