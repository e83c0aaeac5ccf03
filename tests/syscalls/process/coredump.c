/* SPDX-License-Identifier: Apache-2.0 */
/* Core files: when there is one, what it is called, what is in it. core(5). */
#include <elf.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>

#include "tests/support/guest_test.h"

static rlim_t g_limit;
static void (*g_before)(void);

static bool pattern_is_core(void)
{
    char buf[64] = "", pid[8] = "";
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
    bool plain = fd >= 0 && read(fd, buf, sizeof(buf) - 1) > 0 && strcmp(buf, "core\n") == 0;

    close(fd);
    fd = open("/proc/sys/kernel/core_uses_pid", O_RDONLY);
    plain = plain && read(fd, pid, sizeof(pid) - 1) > 0 && pid[0] == '0';
    close(fd);
    return plain;
}

static void crash(void)
{
    struct rlimit lim = {g_limit, g_limit};

    setrlimit(RLIMIT_CORE, &lim);
    if (g_before)
        g_before();
    raise(SIGABRT);
}

/* The wait status of a child that aborts with these settings. */
static int crash_with(rlim_t limit, void (*before)(void))
{
    g_limit = limit;
    g_before = before;
    return test_in_child(crash);
}

#define REQUIRE_PATTERN                                                                            \
    do {                                                                                           \
        struct rlimit lim;                                                                         \
        if (!pattern_is_core())                                                                    \
            SKIP("core_pattern is not \"core\"");                                                  \
        getrlimit(RLIMIT_CORE, &lim);                                                              \
        if (lim.rlim_max != RLIM_INFINITY)                                                         \
            SKIP("RLIMIT_CORE cannot be raised");                                                  \
        test_tmpdir();                                                                             \
    } while (0)

TEST(a_core_file_in_the_working_directory)
{
    struct stat st;
    siginfo_t si;
    pid_t pid;
    int status;

    REQUIRE_PATTERN;
    status = crash_with(RLIM_INFINITY, NULL);
    CHECK_EQ(status, SIGABRT | 0x80);
    CHECK(WCOREDUMP(status));
    REQUIRE(stat("core", &st) == 0);
    CHECK_EQ(st.st_mode & 07777, 0600);
    CHECK_EQ(st.st_uid, geteuid());
    unlink("core");
    g_limit = RLIM_INFINITY;
    g_before = NULL;
    pid = fork();
    if (pid == 0)
        crash();
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WEXITED), 0);
    CHECK_EQ(si.si_code, CLD_DUMPED);
    CHECK_EQ(si.si_status, SIGABRT);
}

static void undumpable(void)
{
    prctl(PR_SET_DUMPABLE, 0);
}

static void make_link(void)
{
    if (symlink("elsewhere", "core") < 0)
        _exit(9);
}

static void make_two_names(void)
{
    close(open("core", O_CREAT | O_WRONLY, 0600));
    if (link("core", "other") < 0)
        _exit(9);
}

static void make_public(void)
{
    close(open("core", O_CREAT | O_WRONLY, 0644));
    if (chmod("core", 0644) < 0)
        _exit(9);
}

static void make_directory(void)
{
    if (mkdir("core", 0755) < 0)
        _exit(9);
}

static void terminated(void)
{
    raise(SIGTERM);
}

TEST(no_core_file)
{
    REQUIRE_PATTERN;
    CHECK_EQ(crash_with(0, NULL), SIGABRT);
    CHECK_EQ(crash_with(4095, NULL), SIGABRT);
    CHECK_EQ(crash_with(RLIM_INFINITY, undumpable), SIGABRT);
    CHECK_EQ(crash_with(RLIM_INFINITY, terminated), SIGTERM);
    CHECK_ERR(access("core", F_OK), ENOENT);
    CHECK_EQ(crash_with(RLIM_INFINITY, make_directory), SIGABRT);
}

/* What had the name is unlinked first. */
TEST(a_fresh_file)
{
    struct stat st;

    REQUIRE_PATTERN;
    CHECK_EQ(crash_with(RLIM_INFINITY, make_link), SIGABRT | 0x80);
    CHECK_ERR(access("elsewhere", F_OK), ENOENT);
    CHECK_EQ(lstat("core", &st), 0);
    CHECK(S_ISREG(st.st_mode));
    unlink("core");
    CHECK_EQ(crash_with(RLIM_INFINITY, make_two_names), SIGABRT | 0x80);
    CHECK_EQ(stat("other", &st), 0);
    CHECK_EQ(st.st_size, 0);
    unlink("core");
    CHECK_EQ(crash_with(RLIM_INFINITY, make_public), SIGABRT | 0x80);
    CHECK_EQ(stat("core", &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
}

static void old_core(void)
{
    int fd = open("core", O_CREAT | O_WRONLY, 0600);

    if (ftruncate(fd, 64 << 20) < 0)
        _exit(9);
    close(fd);
}

TEST(an_old_file_is_replaced_and_the_limit_cuts)
{
    struct stat st;

    REQUIRE_PATTERN;
    CHECK_EQ(crash_with(RLIM_INFINITY, old_core), SIGABRT | 0x80);
    CHECK_EQ(stat("core", &st), 0);
    CHECK(st.st_size < 64 << 20);
    unlink("core");
    CHECK_EQ(crash_with(16384, NULL), SIGABRT | 0x80);
    CHECK_EQ(stat("core", &st), 0);
    CHECK(st.st_blocks * 512 <= 16384 + 4096);
}

/* ---- contents ------------------------------------------------------------------------------- */

static char *g_block;

static void *thread(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void threads_and_memory(void)
{
    pthread_t t;

    for (int i = 0; i < 3; i++)
        pthread_create(&t, NULL, thread, NULL);
    memset(g_block, 0xab, 8192);
    madvise(g_block + 16384, 8192, MADV_DONTDUMP);
    memset(g_block + 16384, 0xcd, 8192);
    test_sleep_ms(30);
}

struct counts {
    int prstatus, prpsinfo, siginfo, auxv, file, fpu, xstate;
    int signo;
};

static void count_notes(const char *data, size_t size, struct counts *c)
{
    for (size_t off = 0; off + sizeof(Elf64_Nhdr) <= size;) {
        const Elf64_Nhdr *n = (const void *)(data + off);
        const char *desc = data + off + sizeof(*n) + ((n->n_namesz + 3) & ~3u);

        c->prstatus += n->n_type == NT_PRSTATUS;
        c->prpsinfo += n->n_type == NT_PRPSINFO;
        c->siginfo += n->n_type == NT_SIGINFO;
        c->auxv += n->n_type == NT_AUXV;
        c->file += n->n_type == NT_FILE;
        c->fpu += n->n_type == NT_PRFPREG;
        c->xstate += n->n_type == NT_X86_XSTATE;
        if (n->n_type == NT_PRSTATUS && c->prstatus == 1)
            c->signo = ((const prstatus_t *)(const void *)desc)->pr_cursig;
        off = (size_t)(desc - data) + ((n->n_descsz + 3) & ~3u);
    }
}

TEST(what_is_in_it)
{
    struct counts c = {0};
    const Elf64_Ehdr *eh;
    const Elf64_Phdr *ph;
    struct stat st;
    char *core;
    int fd, found = 0;

    REQUIRE_PATTERN;
    g_block = mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_EQ(crash_with(RLIM_INFINITY, threads_and_memory), SIGABRT | 0x80);
    fd = open("core", O_RDONLY);
    REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
    core = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(core != MAP_FAILED);
    eh = (const void *)core;
    CHECK(memcmp(eh->e_ident, ELFMAG, SELFMAG) == 0);
    CHECK_EQ(eh->e_type, ET_CORE);
    CHECK_EQ(eh->e_machine, EM_X86_64);
    ph = (const void *)(core + eh->e_phoff);
    CHECK_EQ(ph[0].p_type, PT_NOTE);
    count_notes(core + ph[0].p_offset, ph[0].p_filesz, &c);
    CHECK_EQ(c.prstatus, 4);
    CHECK_EQ(c.signo, SIGABRT);
    CHECK_EQ(c.prpsinfo, 1);
    CHECK_EQ(c.siginfo, 1);
    CHECK_EQ(c.auxv, 1);
    CHECK_EQ(c.file, 1);
    CHECK_EQ(c.fpu, 4);
    CHECK_EQ(c.xstate, 4);
    for (int i = 1; i < eh->e_phnum; i++) {
        unsigned long at = (unsigned long)g_block;

        CHECK_EQ(ph[i].p_type, PT_LOAD);
        if (at >= ph[i].p_vaddr && at + 8192 <= ph[i].p_vaddr + ph[i].p_filesz) {
            const char *p = core + ph[i].p_offset + (at - ph[i].p_vaddr);

            found++;
            CHECK_EQ((unsigned char)p[0], 0xab);
            CHECK_EQ((unsigned char)p[8191], 0xab);
        }
        if (ph[i].p_vaddr == at + 16384)
            CHECK_EQ(ph[i].p_filesz, 0);
    }
    CHECK_EQ(found, 1);
    close(fd);
}

static void filter_nothing(void)
{
    int fd = open("/proc/self/coredump_filter", O_RDWR);
    char buf[16] = "";

    CHECK_EQ(read(fd, buf, sizeof(buf) - 1), 9);
    CHECK_STR(buf, "00000033\n");
    CHECK_EQ(pwrite(fd, "0x0\n", 4, 0), 4);
    close(fd);
    if (g_test_failures)
        _exit(9);
}

TEST(filter)
{
    struct stat all, none;

    REQUIRE_PATTERN;
    g_block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(g_block, 1, 1 << 20);
    CHECK_EQ(crash_with(RLIM_INFINITY, NULL), SIGABRT | 0x80);
    CHECK_EQ(stat("core", &all), 0);
    CHECK_EQ(crash_with(RLIM_INFINITY, filter_nothing), SIGABRT | 0x80);
    CHECK_EQ(stat("core", &none), 0);
    CHECK(all.st_size > none.st_size + (1 << 20));
}

static void *crash_in_thread(void *arg)
{
    *(volatile int *)BAD_PTR = 1;
    return arg;
}

static void crash_elsewhere(void)
{
    pthread_t t;

    for (int i = 0; i < 10; i++)
        pthread_create(&t, NULL, thread, NULL);
    pthread_create(&t, NULL, crash_in_thread, NULL);
    for (;;)
        pause();
}

TEST(many_threads_many_times)
{
    REQUIRE_PATTERN;
    for (int i = 0; i < 10; i++)
        CHECK_EQ(crash_with(RLIM_INFINITY, crash_elsewhere), SIGSEGV | 0x80);
}

GUEST_TEST_MAIN
