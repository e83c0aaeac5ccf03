#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# 200 threads that contend for one mutex, in C.
command -v gcc >/dev/null || { echo "no gcc" >&2; exit 77; }
cat >t.c <<'END'
#include <pthread.h>
#include <stdio.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t b; static long n; static int turn;
static void *f(void *a) { pthread_barrier_wait(&b); for (int i = 0; i < 500; i++) { pthread_mutex_lock(&m); n++; pthread_mutex_unlock(&m); }
    pthread_mutex_lock(&m); while (turn != (int)(long)a) pthread_cond_wait(&c, &m); turn++; pthread_cond_broadcast(&c); pthread_mutex_unlock(&m); return a; }
int main(void) { pthread_t t[200]; long s = 0; void *r; pthread_barrier_init(&b, 0, 200);
    for (long i = 0; i < 200; i++) if (pthread_create(&t[i], 0, f, (void *)i)) return 1;
    for (int i = 0; i < 200; i++) { pthread_join(t[i], &r); s += (long)r; } printf("%ld %d %ld\n", n, turn, s); return 0; }
END
gcc -O1 -pthread -o t t.c && ./t
rm -f t
