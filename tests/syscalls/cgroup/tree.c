/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup2 without controllers: groups, members, limits of the tree, events, kill, freeze. */
#include <sys/inotify.h>

#include "tests/support/cgroup_test.h"

#define BEGIN                                                                                      \
    const char *why = cg_begin();                                                                  \
    if (why)                                                                                       \
    SKIP(why)

TEST(files_of_a_new_group)
{
    BEGIN;
    char buf[256];

    CHECK(cg_read("cgroup.type", buf, sizeof(buf)) > 0);
    CHECK_STR(buf, "domain\n");
    CHECK_EQ(cg_read("cgroup.procs", buf, sizeof(buf)), 0);
    CHECK_EQ(cg_read("cgroup.subtree_control", buf, sizeof(buf)), 0);
    CHECK_EQ(cg_number("cgroup.events", "populated"), 0);
    CHECK_EQ(cg_number("cgroup.events", "frozen"), 0);
    CHECK_EQ(cg_number("cgroup.freeze", NULL), 0);
    CHECK(cg_read("cgroup.max.depth", buf, sizeof(buf)) > 0);
    CHECK_STR(buf, "max\n");
    CHECK_EQ(cg_number("cgroup.stat", "nr_descendants"), 0);
    CHECK_EQ(cg_number("cpu.stat", "usage_usec"), 0);
    cg_end();
}

TEST(errors)
{
    BEGIN;
    char path[256];

    CHECK_ERR(mkdir(g_cg, 0755), EEXIST);
    snprintf(path, sizeof(path), "%s/file", g_cg);
    CHECK_ERR(open(path, O_CREAT | O_WRONLY, 0644), EACCES);
    snprintf(path, sizeof(path), "%s/a\nb", g_cg);
    CHECK_ERR(mkdir(path, 0755), EINVAL);
    snprintf(path, sizeof(path), "%s/cgroup.procs", g_cg);
    CHECK_ERR(unlink(path), EPERM);
    CHECK_EQ(cg_write("cgroup.procs", "x"), -EINVAL);
    CHECK_EQ(cg_write("cgroup.procs", "-1"), -EINVAL);
    CHECK_EQ(cg_write("cgroup.procs", "4194303"), -ESRCH);
    CHECK_EQ(cg_write("cgroup.freeze", "2"), -ERANGE);
    CHECK_EQ(cg_write("cgroup.freeze", "x"), -EINVAL);
    CHECK_EQ(cg_write("cgroup.kill", "0"), -ERANGE);
    CHECK_EQ(cg_write("cgroup.subtree_control", "+nonsense"), -EINVAL);
    CHECK_EQ(cg_write("cgroup.subtree_control", "memory"), -EINVAL);
    CHECK_EQ(cg_write("cgroup.max.depth", "-1"), -ERANGE);
    CHECK_EQ(cg_write("cgroup.max.depth", "x"), -EINVAL);
    cg_end();
}

/* A group's ID: the number of its directory, which is its handle too. */
TEST(handle_is_the_number)
{
    BEGIN;
    struct {
        uint32_t bytes;
        int32_t type;
        uint64_t number;
    } h = {.bytes = 7};
    struct stat st, again;
    int id, fd, dir;

    CHECK_ERR(sysp(SYS_name_to_handle_at, AT_FDCWD, g_cg, &h, &id, 0), EOVERFLOW);
    CHECK_EQ(h.bytes, 8);
    REQUIRE(sysp(SYS_name_to_handle_at, AT_FDCWD, g_cg, &h, &id, 0) == 0);
    CHECK_EQ(h.type, 0xfe);
    REQUIRE(stat(g_cg, &st) == 0);
    CHECK_EQ(h.number, st.st_ino);
    dir = open(g_cg, O_RDONLY | O_DIRECTORY);
    fd = (int)sysp(SYS_open_by_handle_at, dir, &h, O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, &again) == 0 && again.st_ino == st.st_ino);
    h.type = 7;
    CHECK_ERR(sysp(SYS_open_by_handle_at, dir, &h, O_RDONLY), ESTALE);
    close(fd);
    close(dir);
    cg_end();
}

TEST(limits_of_the_tree)
{
    BEGIN;
    char a[256], b[300], deep[350];

    snprintf(a, sizeof(a), "%s/a", g_cg);
    snprintf(b, sizeof(b), "%s/b", g_cg);
    snprintf(deep, sizeof(deep), "%s/a/c", g_cg);
    CHECK_EQ(cg_write("cgroup.max.descendants", "1"), 0);
    CHECK_EQ(mkdir(a, 0755), 0);
    CHECK_ERR(mkdir(b, 0755), EAGAIN);
    CHECK_EQ(cg_write("cgroup.max.descendants", "max"), 0);
    CHECK_EQ(cg_write("cgroup.max.depth", "1"), 0);
    CHECK_ERR(mkdir(deep, 0755), EAGAIN);
    CHECK_EQ(cg_number("cgroup.stat", "nr_descendants"), 1);
    CHECK_ERR(rmdir(g_cg), EBUSY);
    CHECK_EQ(rmdir(a), 0);
    cg_end();
}

TEST(members)
{
    BEGIN;
    char buf[64], want[64], own[128];
    pid_t pid = cg_fork_at(g_cg, cg_sleeper, NULL);
    FILE *f;

    WAIT_UNTIL(cg_number("cgroup.events", "populated") == 1);
    CHECK(cg_read("cgroup.procs", buf, sizeof(buf)) > 0);
    snprintf(want, sizeof(want), "%d\n", pid);
    CHECK_STR(buf, want);
    CHECK(cg_read("cgroup.threads", buf, sizeof(buf)) > 0);
    CHECK_STR(buf, want);
    snprintf(buf, sizeof(buf), "/proc/%d/cgroup", pid);
    f = fopen(buf, "r");
    while (f && fgets(own, sizeof(own), f) && strncmp(own, "0::", 3) != 0)
        ;
    if (f)
        fclose(f);
    snprintf(want, sizeof(want), "/t-%d\n", getpid());
    CHECK(strstr(own, want) != NULL);
    CHECK_ERR(rmdir(g_cg), EBUSY);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    WAIT_UNTIL(cg_number("cgroup.events", "populated") == 0);
    cg_end();
}

TEST(children_inherit_and_a_zombie_keeps_no_group)
{
    BEGIN;
    char dir[256];
    int status, pipefd[2];
    pid_t pid;
    char c;

    snprintf(dir, sizeof(dir), "%s/z", g_cg);
    CHECK_EQ(mkdir(dir, 0755), 0);
    REQUIRE(pipe(pipefd) == 0);
    pid = fork();
    if (pid == 0) {
        close(pipefd[0]);
        if (cg_write_at(dir, "cgroup.procs", "0") < 0)
            _exit(1);
        if (fork() == 0) { /* inherits the group and the pipe */
            test_sleep_ms(100);
            _exit(0);
        }
        _exit(0);
    }
    close(pipefd[1]);
    CHECK_EQ(read(pipefd[0], &c, 1), 0); /* both ended; the first one is a zombie */
    WAIT_UNTIL(cg_number_at(dir, "cgroup.events", "populated") == 0);
    CHECK_EQ(rmdir(dir), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(pipefd[0]);
    cg_end();
}

TEST(removed_group)
{
    BEGIN;
    char path[256], buf[64];
    int fd, dir;

    snprintf(path, sizeof(path), "%s/cgroup.events", g_cg);
    fd = open(path, O_RDONLY);
    snprintf(path, sizeof(path), "%s/cgroup.procs", g_cg);
    dir = open(path, O_WRONLY);
    REQUIRE(fd >= 0 && dir >= 0);
    CHECK_EQ(rmdir(g_cg), 0);
    CHECK_ERR(read(fd, buf, sizeof(buf)), ENODEV);
    CHECK_ERR(write(dir, "0", 1), ENODEV);
    close(fd);
    close(dir);
}

__attribute__((noreturn)) static int fork_bomb_lite(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        if (fork() == 0)
            for (;;)
                pause();
    }
    for (;;)
        pause();
}

static int processes(void)
{
    char buf[512] = "";
    int lines = 0;

    cg_read("cgroup.procs", buf, sizeof(buf));
    for (char *p = buf; (p = strchr(p, '\n')); p++)
        lines++;
    return lines;
}

TEST(kill_takes_everybody)
{
    BEGIN;
    int status;
    pid_t pid = cg_fork_at(g_cg, fork_bomb_lite, NULL);

    WAIT_UNTIL(processes() == 6);
    if (cg_write("cgroup.kill", "1") == -ENOENT) {
        kill(pid, SIGKILL);
        SKIP("no cgroup.kill here");
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    WAIT_UNTIL(cg_number("cgroup.events", "populated") == 0);
    cg_end();
}

static int *g_counter;

__attribute__((noreturn)) static int count_forever(void *arg)
{
    (void)arg;
    for (;;)
        __atomic_fetch_add(g_counter, 1, __ATOMIC_RELAXED);
}

TEST(freeze_stops_and_thaw_goes_on)
{
    BEGIN;
    int before, status;
    pid_t pid;

    g_counter = (int *)sys(SYS_mmap, NULL, 4096UL, 3UL, 0x21UL, -1L, 0UL);
    pid = cg_fork_at(g_cg, count_forever, NULL);
    WAIT_UNTIL(__atomic_load_n(g_counter, __ATOMIC_RELAXED) != 0);
    CHECK_EQ(cg_write("cgroup.freeze", "1"), 0);
    WAIT_UNTIL(cg_number("cgroup.events", "frozen") == 1);
    before = __atomic_load_n(g_counter, __ATOMIC_RELAXED);
    test_sleep_ms(50);
    CHECK_EQ(__atomic_load_n(g_counter, __ATOMIC_RELAXED), before);
    CHECK_EQ(cg_write("cgroup.freeze", "0"), 0);
    WAIT_UNTIL(cg_number("cgroup.events", "frozen") == 0);
    WAIT_UNTIL(__atomic_load_n(g_counter, __ATOMIC_RELAXED) != before);
    CHECK(__atomic_load_n(g_counter, __ATOMIC_RELAXED) != before);
    /* SIGKILL reaches a frozen process. */
    CHECK_EQ(cg_write("cgroup.freeze", "1"), 0);
    WAIT_UNTIL(cg_number("cgroup.events", "frozen") == 1);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(cg_write("cgroup.freeze", "0"), 0);
    sys(SYS_munmap, g_counter, 4096UL);
    cg_end();
}

TEST(frozen_parent_freezes_children_and_movers)
{
    BEGIN;
    char sub[256], text[32];
    pid_t inside, mover;

    snprintf(sub, sizeof(sub), "%s/sub", g_cg);
    CHECK_EQ(mkdir(sub, 0755), 0);
    inside = cg_fork_at(sub, cg_sleeper, NULL);
    WAIT_UNTIL(cg_number("cgroup.events", "populated") == 1);
    CHECK_EQ(cg_write("cgroup.freeze", "1"), 0);
    WAIT_UNTIL(cg_number("cgroup.events", "frozen") == 1);
    CHECK_EQ(cg_number_at(sub, "cgroup.events", "frozen"), 1);
    CHECK_EQ(cg_number_at(sub, "cgroup.freeze", NULL), 0);
    mover = fork();
    if (mover == 0)
        _exit(cg_sleeper(NULL));
    snprintf(text, sizeof(text), "%d", mover);
    CHECK_EQ(cg_write_at(sub, "cgroup.procs", text), 0);
    WAIT_UNTIL(cg_number("cgroup.events", "frozen") == 1);
    /* Out of the frozen group it runs again: it dies of SIGTERM, which a frozen one does not. */
    CHECK_EQ(cg_write_at(g_cg_root, "cgroup.procs", text), 0);
    kill(mover, SIGTERM);
    CHECK_EQ(waitpid(mover, NULL, 0), mover);
    kill(inside, SIGKILL);
    CHECK_EQ(waitpid(inside, NULL, 0), inside);
    CHECK_EQ(cg_write("cgroup.freeze", "0"), 0);
    WAIT_UNTIL(rmdir(sub) == 0 || errno != EBUSY);
    cg_end();
}

TEST(events_wake_poll_and_inotify)
{
    BEGIN;
    char path[256], buf[4096];
    struct pollfd p = {.events = POLLPRI};
    int in = inotify_init1(0);
    pid_t pid;

    snprintf(path, sizeof(path), "%s/cgroup.events", g_cg);
    p.fd = open(path, O_RDONLY);
    REQUIRE(p.fd >= 0);
    CHECK(inotify_add_watch(in, path, IN_MODIFY) >= 0);
    CHECK(read(p.fd, buf, sizeof(buf)) > 0);
    CHECK_EQ(poll(&p, 1, 0), 0);
    pid = cg_fork_at(g_cg, cg_sleeper, NULL);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK((p.revents & POLLPRI) != 0);
    CHECK(lseek(p.fd, 0, SEEK_SET) == 0 && read(p.fd, buf, sizeof(buf)) > 0);
    CHECK(strstr(buf, "populated 1") != NULL);
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK(read(in, buf, sizeof(buf)) > 0);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK(read(in, buf, sizeof(buf)) > 0);
    close(p.fd);
    close(in);
    cg_end();
}

struct clone_args_v2 {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};
#define INTO_CGROUP 0x200000000ULL

TEST(clone_into_cgroup)
{
    BEGIN;
    struct clone_args_v2 a = {.flags = INTO_CGROUP, .exit_signal = SIGCHLD};
    char buf[64], want[64];
    int dir = open(g_cg, O_RDONLY | O_DIRECTORY);
    long pid;

    a.cgroup = 9999;
    CHECK_ERR(sys(SYS_clone3, &a, sizeof(a)), EBADF);
    a.cgroup = 0;
    CHECK_ERR(sys(SYS_clone3, &a, sizeof(a)), EBADF);
    a.cgroup = 1ULL << 40;
    CHECK_ERR(sys(SYS_clone3, &a, sizeof(a)), EINVAL);
    a.cgroup = (uint64_t)dir;
    pid = sys(SYS_clone3, &a, sizeof(a));
    if (pid == 0)
        for (;;)
            pause();
    CHECK(pid > 0);
    CHECK(cg_read("cgroup.procs", buf, sizeof(buf)) > 0);
    snprintf(want, sizeof(want), "%ld\n", pid);
    CHECK_STR(buf, want);
    kill((pid_t)pid, SIGKILL);
    CHECK_EQ(waitpid((pid_t)pid, NULL, 0), pid);
    WAIT_UNTIL(cg_number("cgroup.events", "populated") == 0);
    CHECK_EQ(rmdir(g_cg), 0);
    CHECK_ERR(sys(SYS_clone3, &a, sizeof(a)), ENOENT);
    close(dir);
}

static int show_own_group(void *arg)
{
    char line[256];
    FILE *f = fopen("/proc/self/cgroup", "r");

    (void)arg;
    if (unshare(CLONE_NEWCGROUP) < 0)
        return 2;
    rewind(f);
    fclose(f);
    f = fopen("/proc/self/cgroup", "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (!strcmp(line, "0::/\n"))
            return 0;
    }
    return 1;
}

TEST(namespace_shows_own_group_as_root)
{
    BEGIN;
    int status;
    pid_t pid = cg_fork_at(g_cg, show_own_group, NULL);

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    cg_end();
}

TEST(namespace_file_can_be_joined)
{
    BEGIN;
    char path[64], line[256] = "";
    pid_t pid;
    int fd, status;

    pid = fork();
    if (pid == 0) {
        pid_t inner;

        if (cg_write("cgroup.procs", "0") < 0 || unshare(CLONE_NEWCGROUP) < 0)
            _exit(1);
        snprintf(path, sizeof(path), "/proc/%d/ns/cgroup", getppid());
        fd = open(path, O_RDONLY);
        /* In the parent's namespace the group has a name again. */
        if (fd < 0 || setns(fd, CLONE_NEWCGROUP) < 0)
            _exit(2);
        inner = fork();
        if (inner == 0) {
            FILE *f = fopen("/proc/self/cgroup", "r");

            while (f && fgets(line, sizeof(line), f)) {
                if (!strncmp(line, "0::/", 4) && line[4] != '\n')
                    _exit(0);
            }
            _exit(3);
        }
        waitpid(inner, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    cg_end();
}

GUEST_TEST_MAIN
