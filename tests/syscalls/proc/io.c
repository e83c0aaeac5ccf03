/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/io: what a process and its threads read and wrote. */
#include <pthread.h>

#include "tests/support/guest_test.h"

struct io {
    unsigned long long rchar, wchar, syscr, syscw;
};

static struct io io_of(const char *path)
{
    struct io io = {0};
    char buf[512];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, buf, sizeof(buf) - 1);

    close(fd);
    buf[n > 0 ? n : 0] = '\0';
    CHECK_EQ(sscanf(buf, "rchar: %llu wchar: %llu syscr: %llu syscw: %llu", &io.rchar, &io.wchar,
                    &io.syscr, &io.syscw),
             4);
    return io;
}

static void *write_much(void *arg)
{
    char block[1000] = "";
    int fd = open("file", O_WRONLY | O_CREAT, 0600);

    for (int i = 0; i < 10; i++)
        CHECK_EQ(write(fd, block, sizeof(block)), 1000);
    close(fd);
    return arg;
}

TEST(reads_and_writes_count)
{
    struct io before, after;
    char block[4000];
    pthread_t t;
    int fd;

    test_tmpdir();
    before = io_of("/proc/self/io");
    pthread_create(&t, NULL, write_much, NULL);
    pthread_join(t, NULL);
    WAIT_UNTIL(test_threads() == 1);
    after = io_of("/proc/self/io");
    CHECK_EQ(after.wchar - before.wchar, 10000); /* threads that are gone count */
    CHECK_EQ(after.syscw - before.syscw, 10);
    before = io_of("/proc/thread-self/io");
    fd = open("file", O_RDONLY);
    CHECK_EQ(read(fd, block, sizeof(block)), 4000);
    CHECK_EQ(pread(fd, block, 100, 0), 100);
    CHECK_EQ(read(fd, NULL, 0), 0);
    close(fd);
    after = io_of("/proc/thread-self/io");
    CHECK(after.rchar - before.rchar >= 4100 && after.rchar - before.rchar < 4400);
    CHECK(after.syscr - before.syscr >= 3);
    CHECK_EQ(after.wchar, before.wchar);
}

GUEST_TEST_MAIN
