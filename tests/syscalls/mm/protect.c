/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect(2), faults and their signals, guard pages, stack growth, pkeys of a CPU without them. */
#include "tests/support/guest_test.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

static sigjmp_buf g_jump;
static volatile int g_signo, g_code;
static void *volatile g_addr;

static void on_fault(int signo, siginfo_t *si, void *uc)
{
    (void)uc;
    g_signo = signo;
    g_code = si->si_code;
    g_addr = si->si_addr;
    siglongjmp(g_jump, 1);
}

static void catch_faults(void)
{
    static char stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigaltstack(&ss, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
}

/* 0 or the signal number. */
static int touch(volatile char *p, int write)
{
    g_signo = 0;
    if (sigsetjmp(g_jump, 1) == 0) {
        if (write)
            *p = 1;
        else
            (void)*p;
    }
    return g_signo;
}

static char *anon(size_t pages, int prot)
{
    return mmap(NULL, pages * PAGE, prot, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
}

TEST(errors)
{
    char *p = anon(4, RW);

    munmap(p + 2 * PAGE, PAGE);
    CHECK_ERR(sys(SYS_mprotect, p + 1, PAGE, (long)RW), EINVAL);
    CHECK_EQ(sys(SYS_mprotect, p, 0L, (long)RW), 0);
    CHECK_ERR(sys(SYS_mprotect, p, PAGE, 0x100L), EINVAL);
    CHECK_ERR(sys(SYS_mprotect, p, PAGE, (long)(PROT_GROWSDOWN | PROT_GROWSUP)), EINVAL);
    CHECK_ERR(sys(SYS_mprotect, p, PAGE, (long)PROT_GROWSDOWN), EINVAL);
    CHECK_ERR(sys(SYS_mprotect, p, -PAGE, (long)RW), ENOMEM);
    CHECK_ERR(sys(SYS_mprotect, p + 2 * PAGE, PAGE, (long)RW), ENOMEM);
    /* A gap in the middle: what comes before it is changed. */
    CHECK_ERR(sys(SYS_mprotect, p, 4 * PAGE, (long)PROT_READ), ENOMEM);
    catch_faults();
    CHECK_EQ(touch(p + PAGE, 1), SIGSEGV);
    CHECK_EQ(touch(p + 3 * PAGE, 1), 0);
}

TEST(rights)
{
    char *p = anon(3, RW);

    catch_faults();
    p[0] = 'a';
    CHECK_EQ(mprotect(p, PAGE, PROT_READ), 0);
    CHECK_EQ(touch(p, 0), 0);
    CHECK_EQ(touch(p + 7, 1), SIGSEGV);
    CHECK_EQ(g_code, SEGV_ACCERR);
    CHECK(g_addr == p + 7);
    CHECK_EQ(mprotect(p, PAGE, PROT_NONE), 0);
    CHECK_EQ(touch(p, 0), SIGSEGV);
    CHECK_EQ(g_code, SEGV_ACCERR);
    CHECK_EQ(mprotect(p, PAGE, RW), 0);
    CHECK_EQ(p[0], 'a');
    CHECK_EQ(touch(p, 1), 0);
    CHECK_EQ(munmap(p + PAGE, PAGE), 0);
    CHECK_EQ(touch(p + PAGE, 0), SIGSEGV);
    CHECK_EQ(g_code, SEGV_MAPERR);
    CHECK_EQ(touch(NULL, 1), SIGSEGV);
    CHECK_EQ(g_code, SEGV_MAPERR);
    /* The kernel sees the same rights. */
    mprotect(p, PAGE, PROT_READ);
    CHECK_ERR(sys(SYS_read, open("/dev/zero", O_RDONLY), p, 10L), EFAULT);
    CHECK_EQ(p[0], 1);
}

TEST(many_times)
{
    char *p = anon(64, RW);
    int i;

    catch_faults();
    for (i = 0; i < 300; i++) {
        size_t n = (size_t)(i * 7 % 64);

        mprotect(p + n * PAGE, PAGE, PROT_READ);
        CHECK_EQ(touch(p + n * PAGE, 0), 0);
        CHECK_EQ(touch(p + n * PAGE, 1), SIGSEGV);
        mprotect(p + n * PAGE, PAGE, RW);
        p[n * PAGE] = (char)i;
    }
}

TEST(code_in_pages)
{
    unsigned char *p = (unsigned char *)anon(1, RW);
    int (*fn)(void) = (int (*)(void))(void *)p;

    catch_faults();
    memcpy(p, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42, %eax; ret */
    g_signo = 0;
    if (sigsetjmp(g_jump, 1) == 0)
        fn();
    CHECK_EQ(g_signo, SIGSEGV);
    CHECK_EQ(g_code, SEGV_ACCERR);
    CHECK(g_addr == p);
    CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0);
    CHECK_EQ(fn(), 42);
    CHECK_EQ(touch((char *)p, 1), SIGSEGV);
    CHECK_EQ(mprotect(p, PAGE, RW | PROT_EXEC), 0);
    p[1] = 43;
    CHECK_EQ(fn(), 43);
}

TEST(past_the_end_of_a_file)
{
    char path[100], *p;
    int fd;

    catch_faults();
    snprintf(path, sizeof(path), "%s/short", test_tmpdir());
    fd = open(path, O_CREAT | O_RDWR, 0600);
    REQUIRE(write(fd, "hello", 5) == 5);
    p = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
    CHECK_EQ(p[0], 'h');
    CHECK_EQ(p[5], 0);
    CHECK_EQ(touch(p + PAGE, 0), SIGBUS);
    CHECK_EQ(g_code, BUS_ADRERR);
    CHECK_EQ(touch(p + PAGE, 1), SIGBUS);
    CHECK_ERR(sys(SYS_write, fd, p + PAGE, 1L), EFAULT);
    REQUIRE(ftruncate(fd, 2 * PAGE) == 0);
    CHECK_EQ(touch(p + PAGE, 1), 0);
    CHECK_EQ(touch(p, 1), 0);
    REQUIRE(ftruncate(fd, 100) == 0);
    CHECK_EQ(touch(p, 0), 0);
    CHECK_EQ(touch(p + PAGE, 0), SIGBUS);
    munmap(p, 3 * PAGE);
    /* Private copies go with a truncation too. */
    REQUIRE(ftruncate(fd, 2 * PAGE) == 0);
    p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
    p[PAGE] = 'x';
    REQUIRE(ftruncate(fd, 100) == 0);
    CHECK_EQ(touch(p + PAGE, 0), SIGBUS);
    close(fd);
}

static int deep(int n)
{
    volatile char buf[8192];

    buf[0] = (char)n;
    return n == 0 ? buf[0] : deep(n - 1) + buf[0] - buf[0];
}

TEST(stack_grows)
{
    CHECK_EQ(deep(500), 0); /* 4 MiB */
}

static void overflow(void)
{
    catch_faults();
    g_signo = 0;
    if (sigsetjmp(g_jump, 1) == 0)
        deep(1 << 20);
    CHECK_EQ(g_signo, SIGSEGV);
}

TEST(stack_ends)
{
    struct rlimit lim = {.rlim_cur = 8ul << 20, .rlim_max = RLIM_INFINITY};

    getrlimit(RLIMIT_STACK, &lim);
    lim.rlim_cur = 8ul << 20;
    setrlimit(RLIMIT_STACK, &lim);
    CHECK_EQ(test_in_child(overflow), 0);
}

TEST(grows_down_mapping)
{
    char *area = anon(600, PROT_NONE), *p;

    catch_faults();
    munmap(area, 600 * PAGE);
    p = mmap(area + 590 * PAGE, 2 * PAGE, RW,
             MAP_ANONYMOUS | MAP_PRIVATE | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    REQUIRE(p == area + 590 * PAGE);
    CHECK_EQ(touch(p - 1, 1), 0);
    CHECK_EQ(touch(p - 20 * PAGE, 1), 0);
}

TEST(pkeys)
{
    char *p = anon(1, RW);
    long key = sys(SYS_pkey_alloc, 0L, 0L);

    if (key >= 0)
        SKIP("this CPU has protection keys");
    CHECK_EQ(key, -EINVAL);
    CHECK_ERR(sys(SYS_pkey_alloc, 1L, 0L), EINVAL);
    CHECK_ERR(sys(SYS_pkey_alloc, 0L, 8L), EINVAL);
    CHECK_ERR(sysp(SYS_pkey_free, 1), EINVAL);
    CHECK_EQ(sysp(SYS_pkey_mprotect, p, PAGE, (long)PROT_READ, -1), 0);
    CHECK_ERR(sysp(SYS_pkey_mprotect, p, PAGE, (long)PROT_READ, 1), EINVAL);
}

GUEST_TEST_MAIN
