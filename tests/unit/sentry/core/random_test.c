/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes: every byte is given out once, whatever the sizes and threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/core/random.h"

enum { WORDS = 2000, THREADS = 4 };

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(uint64_t));
}

static void *fetch_words(void *arg)
{
    uint64_t *out = arg;

    for (int i = 0; i < WORDS; i++) {
        if (random_bytes(&out[i], sizeof(out[i])) != sizeof(out[i]))
            return out;
    }
    return NULL;
}

static void test_words_differ(void **state)
{
    static uint64_t words[THREADS][WORDS];
    pthread_t threads[THREADS];
    void *failed;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fetch_words, words[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    qsort(words, THREADS * WORDS, sizeof(uint64_t), compare);
    for (int i = 1; i < THREADS * WORDS; i++)
        assert_int_not_equal((&words[0][0])[i - 1], (&words[0][0])[i]);
}

static void test_sizes(void **state)
{
    static const uint8_t zero[64];
    uint8_t buf[1024];

    (void)state;
    assert_int_equal(random_bytes(buf, 0), 0);
    for (size_t size = 1; size <= 256; size++) {
        memset(buf, 0, sizeof(buf));
        assert_int_equal(random_bytes(buf, size), (int64_t)size);
        assert_int_equal(buf[size], 0); /* nothing behind */
        if (size >= 16)
            assert_memory_not_equal(buf, zero, MIN(size, sizeof(zero)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_differ),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
