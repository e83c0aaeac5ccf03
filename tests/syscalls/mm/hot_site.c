/* SPDX-License-Identifier: Apache-2.0 */
/* Memory around code that makes one system call often: a hole that a program made stays one. */
#include <fcntl.h>
#include <sys/mman.h>

#include "tests/support/guest_test.h"

enum { CALLS = 5000, CALL_AT = 64 };

/* getppid(2) at CALL_AT, wherever this page is mapped. */
__asm__(".pushsection .text\n"
        ".balign 4096\n"
        "hot_page: .skip 64, 0x90\n"
        "movl $110, %eax\n"
        "syscall\n"
        "ret\n"
        ".balign 4096\n"
        ".popsection\n");
extern const char hot_page[];

/* The page of our own program's file once more, and the offset at which it is in there. */
static off_t offset_of(const char *page)
{
    unsigned long start, end, offset;
    char line[512];
    off_t found = -1;
    FILE *f = fopen("/proc/self/maps", "r");

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 &&
            (unsigned long)page >= start && (unsigned long)page < end)
            found = (off_t)(offset + (unsigned long)page - start);
    if (f)
        fclose(f);
    return found;
}

TEST(holes_beside_it_stay)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    off_t offset = offset_of(hot_page);
    unsigned char vec[1];
    long (*call)(void);
    char *area;

    REQUIRE(fd >= 0 && offset >= 0);
    area = mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(area != MAP_FAILED);
    REQUIRE(mmap(area + 32 * 4096, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd,
                 offset) == area + 32 * 4096);
    REQUIRE(munmap(area, 32 * 4096) == 0 && munmap(area + 33 * 4096, 31 * 4096) == 0);
    call = (long (*)(void))(void *)(area + 32 * 4096 + CALL_AT);
    for (int i = 0; i < CALLS; i++)
        REQUIRE(call() == getppid());
    for (int i = 0; i < 64; i++)
        if (i != 32)
            CHECK_ERR(mincore(area + (long)i * 4096, 4096, vec), ENOMEM);
    /* and can be filled again */
    CHECK(mmap(area, 32 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
               0) == area);
    CHECK(mmap(area + 33 * 4096, 31 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
               0) == area + 33 * 4096);
    CHECK_EQ(call(), getppid());
    CHECK_EQ(munmap(area, 64 * 4096), 0);
    close(fd);
}

GUEST_TEST_MAIN
