/* SPDX-License-Identifier: Apache-2.0 */
/* The vDSO: there, an ELF image, its clocks agree with the system calls and never step back. */
#include "tests/support/guest_test.h"

#include <elf.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/time.h>

#define NS 1000000000ll

static const Elf64_Ehdr *image(void)
{
    return (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
}

/* A function of the image, found through its dynamic symbol table. */
static void *find(const char *name)
{
    const char *base = (const char *)image();
    const Elf64_Phdr *ph = (const Elf64_Phdr *)(const void *)(base + image()->e_phoff);
    const Elf64_Sym *sym = NULL;
    const char *str = NULL;
    const uint32_t *hash = NULL;
    const Elf64_Dyn *dyn = NULL;

    for (int i = 0; i < image()->e_phnum; i++) {
        if (ph[i].p_type == PT_DYNAMIC)
            dyn = (const Elf64_Dyn *)(const void *)(base + ph[i].p_offset);
    }
    for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
        if (dyn->d_tag == DT_SYMTAB)
            sym = (const Elf64_Sym *)(const void *)(base + dyn->d_un.d_ptr);
        if (dyn->d_tag == DT_STRTAB)
            str = base + dyn->d_un.d_ptr;
        if (dyn->d_tag == DT_HASH)
            hash = (const uint32_t *)(const void *)(base + dyn->d_un.d_ptr);
    }
    if (!sym || !str || !hash)
        return NULL;
    for (uint32_t i = 0; i < hash[1]; i++) {
        if (strcmp(str + sym[i].st_name, name) == 0)
            return (void *)(uintptr_t)(base + sym[i].st_value);
    }
    return NULL;
}

static int (*g_gettime)(int, struct timespec *);

static long long vdso_ns(int clock)
{
    struct timespec ts;

    return g_gettime(clock, &ts) == 0 ? ts.tv_sec * NS + ts.tv_nsec : -1;
}

static long long sys_ns(int clock)
{
    struct timespec ts;

    return sysp(SYS_clock_gettime, clock, &ts) == 0 ? ts.tv_sec * NS + ts.tv_nsec : -1;
}

TEST(image_is_elf)
{
    REQUIRE(image() != NULL);
    CHECK(memcmp(image()->e_ident, ELFMAG, SELFMAG) == 0);
    CHECK_EQ(image()->e_type, ET_DYN);
    g_gettime = (int (*)(int, struct timespec *))(uintptr_t)find("__vdso_clock_gettime");
    if (!g_gettime)
        SKIP("no DT_HASH in this kernel's vDSO");
    CHECK(find("__vdso_gettimeofday") && find("__vdso_time") && find("__vdso_getcpu"));
}

TEST(clocks_agree)
{
    static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    long long a, b, c;

    if (!g_gettime)
        SKIP("not found");
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 300; i++) {
            a = vdso_ns(clocks[k]);
            b = sys_ns(clocks[k]);
            c = vdso_ns(clocks[k]);
            if (!CHECK(a <= b && b <= c))
                return;
        }
    }
}

TEST(never_back)
{
    long long last = 0, end;

    if (!g_gettime)
        SKIP("not found");
    end = vdso_ns(CLOCK_MONOTONIC) + NS / 3;
    while (last < end) {
        long long now = vdso_ns(CLOCK_MONOTONIC);

        if (!CHECK(now >= last))
            return;
        last = now;
        if ((now & 1023) == 0)
            sched_yield();
    }
}

TEST(other_clocks_and_errors)
{
    struct timespec ts;
    struct timeval tv;
    long long ns;

    if (!g_gettime)
        SKIP("not found");
    CHECK_EQ(g_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts), 0);
    CHECK_EQ(g_gettime(CLOCK_MONOTONIC_RAW, &ts), 0);
    CHECK_EQ(g_gettime(CLOCK_MONOTONIC_COARSE, &ts), 0);
    CHECK_EQ(g_gettime(77, &ts), -EINVAL);
    ns = vdso_ns(CLOCK_REALTIME);
    gettimeofday(&tv, NULL);
    CHECK(tv.tv_sec * NS + tv.tv_usec * 1000 + 1000 > ns);
    CHECK(time(NULL) >= ns / NS - 1);
    CHECK(sched_getcpu() >= 0);
}

TEST(sleep_takes_its_time)
{
    struct timespec ts = {0, 20000000};
    long long a, b;

    if (!g_gettime)
        SKIP("not found");
    a = vdso_ns(CLOCK_MONOTONIC);
    nanosleep(&ts, NULL);
    b = vdso_ns(CLOCK_MONOTONIC);
    CHECK(b - a >= 20000000);
}

TEST(aux_vector)
{
    CHECK_EQ(getauxval(AT_PAGESZ), 4096);
    CHECK_EQ(getauxval(AT_CLKTCK), 100);
    CHECK_EQ(getauxval(AT_UID), getuid());
    CHECK_EQ(getauxval(AT_EGID), getegid());
    CHECK(getauxval(AT_RANDOM) != 0);
    CHECK(getauxval(AT_HWCAP) != 0);
    CHECK_STR((char *)getauxval(AT_PLATFORM), "x86_64");
    CHECK(strstr((char *)getauxval(AT_EXECFN), "vdso") != NULL);
    CHECK(getauxval(AT_PHNUM) > 0 && getauxval(AT_PHDR) != 0);
}

GUEST_TEST_MAIN
