/* SPDX-License-Identifier: Apache-2.0 */
/* The memory file where it may have huge pages: pages are zero and nobody else's whatever their run's
 * size, runs of a block start at one, and all of it goes back to the host. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sentry/mm/memfile_internal.h"

#define SLOTS 40

static struct {
    mfpage_t first;
    uint32_t count;
    uint8_t tag;
} g_slot[SLOTS];

static uint32_t random_count(void)
{
    switch (rand() % 8) {
    case 0:
        return 512;
    case 1:
        return 512 + (uint32_t)(rand() % 1200);
    default:
        return 1 + (uint32_t)(rand() % 64);
    }
}

static bool all_are(const uint8_t *p, uint8_t value, size_t size)
{
    return p[0] == value && memcmp(p, p + 1, size - 1) == 0;
}

static void take(int i)
{
    uint32_t n = random_count();
    mfpage_t hint = MEMFILE_NONE, first;

    if (g_slot[(i + 1) % SLOTS].count && rand() % 2)
        hint = g_slot[(i + 1) % SLOTS].first + g_slot[(i + 1) % SLOTS].count;
    assert_true(memfile_alloc_near(MEMFILE_ANON, n, hint, &first) >= 0);
    if (n == MEMFILE_BLOCK_PAGES)
        assert_int_equal(first % MEMFILE_BLOCK_PAGES, 0);
    assert_true(all_are(memfile_ptr(first), 0, n * 4096ul));
    g_slot[i].first = first;
    g_slot[i].count = n;
    g_slot[i].tag = (uint8_t)(1 + rand() % 255);
    memset(memfile_ptr(first), g_slot[i].tag, n * 4096ul);
}

static void give(int i)
{
    assert_true(all_are(memfile_ptr(g_slot[i].first), g_slot[i].tag, g_slot[i].count * 4096ul));
    memfile_put(g_slot[i].first, g_slot[i].count);
    g_slot[i].count = 0;
}

static void test_random(void **state)
{
    struct stat st;

    (void)state;
    srand(11);
    for (int round = 0; round < 500; round++) {
        int i = rand() % SLOTS;

        if (g_slot[i].count)
            give(i);
        else
            take(i);
    }
    for (int i = 0; i < SLOTS; i++) {
        if (g_slot[i].count)
            give(i);
    }
    memfile_trim();
    assert_int_equal(fstat(memfile_fd(), &st), 0);
    /* What was filled ahead and never handed out: one block. */
    assert_true(st.st_blocks * 512 <= (blkcnt_t)MEMFILE_BLOCK_PAGES * 4096);
}

/* A file that can have huge pages where the caller may mount, else one that only might. */
static int open_file(void)
{
    int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), dir = -1, fd = -1;

    if (fs >= 0 && fsconfig(fs, FSCONFIG_SET_STRING, "huge", "advise", 0) == 0 &&
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        dir = fsmount(fs, FSMOUNT_CLOEXEC, 0);
    if (dir >= 0)
        fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : memfd_create("memory", MFD_CLOEXEC);
}

static int setup(void **state)
{
    (void)state;
    memfile_provide(open_file());
    return memfile_init(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

    return cmocka_run_group_tests(tests, setup, NULL);
}
