/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compute-bound OpenMP loop: ROUNDS parallel regions, each with a barrier at its end where threads
 * spin before they sleep. The argument is the number of threads; prints the wall time in ms.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 400, STEPS = 400000 };

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    double start, sum = 0;

    omp_set_num_threads(threads);
    start = omp_get_wtime();
    for (int round = 0; round < ROUNDS; round++) {
#pragma omp parallel for schedule(static) reduction(+ : sum)
        for (int i = 0; i < STEPS; i++)
            sum += 1.0 / (1.0 + (double)i * round);
    }
    printf("omp %.1f\n", (omp_get_wtime() - start) * 1e3);
    return sum > 0 ? 0 : 1;
}
