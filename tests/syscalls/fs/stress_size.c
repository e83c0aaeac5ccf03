/* SPDX-License-Identifier: Apache-2.0 */
/* Appends while others look at the file: each goes behind the one before. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "tests/support/guest_test.h"

enum { APPENDS = 20000, LOOKERS = 2, APPEND = 0x10 /* RWF_APPEND */ };

static char g_path[256];
static atomic_bool g_end;

static void *looker(void *arg)
{
    while (!g_end) {
        struct stat st;

        CHECK_EQ(stat(g_path, &st), 0);
    }
    return NULL;
}

TEST(appends_beside_stat)
{
    pthread_t t[LOOKERS];
    uint64_t word = 1, seen;
    struct iovec v = {&word, sizeof(word)};
    struct stat st;
    int fd;

    snprintf(g_path, sizeof(g_path), "%s/file", test_tmpdir());
    fd = open(g_path, O_RDWR | O_CREAT | O_EXCL, 0600);
    REQUIRE(fd >= 0);
    for (int i = 0; i < LOOKERS; i++)
        REQUIRE(pthread_create(&t[i], NULL, looker, NULL) == 0);
    for (; word <= APPENDS; word++)
        CHECK_EQ(sysp(SYS_pwritev2, fd, &v, 1UL, 0L, 0L, APPEND), 8);
    g_end = true;
    for (int i = 0; i < LOOKERS; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, APPENDS * 8);
    for (uint64_t i = 0; i < APPENDS; i++) {
        if (pread(fd, &seen, sizeof(seen), (off_t)i * 8) != 8 || seen != i + 1) {
            CHECK_EQ(seen, i + 1);
            break;
        }
    }
    close(fd);
    unlink(g_path);
}

GUEST_TEST_MAIN
