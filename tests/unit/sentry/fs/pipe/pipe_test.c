/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sentry/fs/fs_unit.h"

#include "sentry/fs/pipe/pipe.h"

static void pair(struct file **r, struct file **w, uint32_t flags)
{
    assert_int_equal(pipe_create(flags, r, w), 0);
}

static void test_bytes(void **state)
{
    struct file *r, *w;
    char buf[16];

    pair(&r, &w, LX_O_NONBLOCK);
    assert_int_equal(unit_read(r, buf, 16), -EAGAIN);
    assert_int_equal(file_poll(r), 0);
    assert_int_equal(unit_write(w, "hello", 5), 5);
    assert_int_equal(unit_write(w, " you", 4), 4);
    assert_int_equal(file_poll(r), WAKE_IN | WAKE_RDNORM);
    assert_int_equal(unit_read(r, buf, 3), 3);
    assert_int_equal(unit_read(r, buf, 16), 6);
    assert_memory_equal(buf, "lo you", 6);
    file_put(w);
    assert_int_equal(file_poll(r), WAKE_HUP);
    assert_int_equal(unit_read(r, buf, 16), 0);
    file_put(r);
}

static void test_full_and_resize(void **state)
{
    struct file *r, *w;
    char *big = calloc(1, 1 << 20);

    pair(&r, &w, LX_O_NONBLOCK);
    assert_int_equal(unit_write(w, big, 1 << 20), 65536);
    assert_int_equal(unit_write(w, big, 1), -EAGAIN);
    assert_int_equal(file_poll(w), 0);
    assert_int_equal(pipe_set_size(w, 131072), 131072);
    assert_int_equal(unit_write(w, big, 1 << 20), 65536);
    assert_int_equal(pipe_set_size(w, 4096), -EBUSY);
    assert_int_equal(unit_read(r, big, 1 << 20), 131072);
    assert_int_equal(pipe_set_size(w, 100), 4096);
    file_put(r);
    assert_int_equal(file_poll(w) & WAKE_ERR, WAKE_ERR);
    g_unit_last_signal = 0;
    assert_int_equal(unit_write(w, big, 1), -EPIPE);
    assert_int_equal(g_unit_last_signal, 13);
    file_put(w);
    free(big);
}

static void test_packets(void **state)
{
    struct file *r, *w;
    char buf[8];

    pair(&r, &w, LX_O_NONBLOCK | LX_O_DIRECT);
    assert_int_equal(unit_write(w, "abcdef", 6), 6);
    assert_int_equal(unit_write(w, "gh", 2), 2);
    assert_int_equal(unit_read(r, buf, 3), 3);
    assert_int_equal(unit_read(r, buf, 8), 2);
    assert_memory_equal(buf, "gh", 2);
    file_put(r);
    file_put(w);
}

enum { STREAM_SIZE = 64 << 20, STREAM_CHUNK = 65536 };

static void *writer_main(void *arg)
{
    static char chunk[STREAM_CHUNK];

    unit_thread_init();
    for (size_t i = 0; i < STREAM_CHUNK; i++)
        chunk[i] = (char)(i * 7);
    for (size_t done = 0; done < STREAM_SIZE; done += STREAM_CHUNK)
        assert_int_equal(unit_write(arg, chunk, STREAM_CHUNK), STREAM_CHUNK);
    file_put(arg);
    return NULL;
}

static void test_stream_between_threads(void **state)
{
    struct file *r, *w;
    static char buf[100000];
    pthread_t thread;
    size_t total = 0;
    uint64_t start = clock_monotonic();
    ssize_t n;

    pair(&r, &w, 0);
    assert_int_equal(pthread_create(&thread, NULL, writer_main, w), 0);
    while ((n = unit_read(r, buf, sizeof(buf))) > 0) {
        assert_int_equal((uint8_t)buf[0], (uint8_t)((total % STREAM_CHUNK) * 7));
        total += (size_t)n;
    }
    assert_int_equal(n, 0);
    assert_int_equal(total, STREAM_SIZE);
    pthread_join(thread, NULL);
    print_message("64 MiB in %u ms\n", (unsigned)((clock_monotonic() - start) / 1000000));
    file_put(r);
}

static void test_splice_and_tee(void **state)
{
    struct file *r1, *w1, *r2, *w2;
    char buf[16];

    pair(&r1, &w1, LX_O_NONBLOCK);
    pair(&r2, &w2, LX_O_NONBLOCK);
    assert_int_equal(pipe_splice_pipe(r1, w2, 10, 0, true), -EAGAIN);
    assert_int_equal(unit_write(w1, "0123456789", 10), 10);
    assert_int_equal(pipe_splice_pipe(r1, w2, 4, 0, true), 4);
    assert_int_equal(pipe_splice_pipe(r1, w2, 6, 0, false), 6);
    assert_int_equal(unit_write(w1, "x", 1), 1);
    assert_int_equal(unit_read(r2, buf, 16), 10);
    assert_memory_equal(buf, "0123012345", 10);
    assert_int_equal(unit_read(r1, buf, 16), 5);
    assert_memory_equal(buf, "6789x", 5);
    assert_int_equal(pipe_splice_pipe(r1, w1, 4, 0, false), -EINVAL);
    assert_int_equal(unit_write(w1, "abc", 3), 3);
    /* Through the file interface: what splice to a non-pipe does. */
    assert_int_equal(pipe_splice_from(r1, w2, NULL, 2, 0), 2);
    assert_int_equal(pipe_splice_to(r2, NULL, w1, 8, 0), 2);
    assert_int_equal(unit_read(r1, buf, 16), 3);
    assert_memory_equal(buf, "cab", 3);
    file_put(r1);
    file_put(w1);
    file_put(r2);
    file_put(w2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),          cmocka_unit_test(test_full_and_resize),
        cmocka_unit_test(test_packets),        cmocka_unit_test(test_stream_between_threads),
        cmocka_unit_test(test_splice_and_tee),
    };

    return cmocka_run_group_tests(tests, unit_fs_setup, NULL);
}
