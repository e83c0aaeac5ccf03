/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID: links, descriptors, states and what the files say. proc(5). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <sched.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static char text[1 << 16];

static char *slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t n, at = 0;

    text[0] = '\0';
    if (fd < 0)
        return NULL;
    while ((n = read(fd, text + at, sizeof(text) - 1 - (size_t)at)) > 0)
        at += n;
    text[at] = '\0';
    close(fd);
    return n < 0 ? NULL : text;
}

static long field(const char *name)
{
    char *p = slurp("/proc/self/status") ? strstr(text, name) : NULL;

    return p ? strtol(p + strlen(name), NULL, 0) : -1;
}

TEST(self)
{
    char buf[64], want[64];
    ssize_t n = readlink("/proc/self", buf, sizeof(buf));

    snprintf(want, sizeof(want), "%d", getpid());
    CHECK_EQ(n, strlen(want));
    CHECK_EQ(memcmp(buf, want, (size_t)n), 0);
    snprintf(want, sizeof(want), "%d/task/%ld", getpid(), syscall(SYS_gettid));
    n = readlink("/proc/thread-self", buf, sizeof(buf));
    CHECK_EQ(n, strlen(want));
    CHECK_ERR(open("/proc/999999999", O_RDONLY), ENOENT);
    CHECK_ERR(open("/proc/01", O_RDONLY), ENOENT);
    CHECK_ERR(mkdir("/proc/x", 0700), ENOENT);
}

TEST(status_fields)
{
    CHECK_EQ(field("\nPid:"), getpid());
    CHECK_EQ(field("\nPPid:"), getppid());
    CHECK_EQ(field("\nUid:"), getuid());
    CHECK_EQ(field("\nThreads:"), 1);
    CHECK(field("\nVmRSS:") > 0);
    CHECK(strstr(text, "State:\tR (running)") != NULL);
    CHECK_EQ(prctl(PR_SET_NAME, "renamed"), 0);
    CHECK_STR(slurp("/proc/self/comm"), "renamed\n");
    CHECK(strncmp(slurp("/proc/self/status"), "Name:\trenamed\n", 14) == 0);
}

TEST(stat_has_52_fields)
{
    char *p = slurp("/proc/self/stat");
    int spaces = 0;

    REQUIRE(p);
    CHECK_EQ(strtol(p, NULL, 10), getpid());
    p = strrchr(p, ')');
    REQUIRE(p);
    for (; *p; p++)
        spaces += *p == ' ';
    CHECK_EQ(spaces, 50);
}

TEST(descriptors)
{
    char path[64], buf[128];
    struct stat st;
    int fd = open("/dev/null", O_WRONLY), s = socket(AF_UNIX, SOCK_STREAM, 0);
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = readlink(path, buf, sizeof(buf));
    CHECK_EQ(n, 9);
    CHECK_EQ(memcmp(buf, "/dev/null", 9), 0);
    CHECK_EQ(lstat(path, &st), 0);
    CHECK_EQ(st.st_mode, S_IFLNK | 0300);
    CHECK_EQ(stat(path, &st), 0);
    CHECK(S_ISCHR(st.st_mode));
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    CHECK(slurp(path) && strstr(text, "flags:\t01") != NULL);
    close(fd);
    CHECK_ERR(open(path, O_RDONLY), ENOENT);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", s);
    n = readlink(path, buf, sizeof(buf));
    CHECK(n > 9 && memcmp(buf, "socket:[", 8) == 0);
    CHECK_ERR(open(path, O_RDONLY), ENXIO);
    close(s);
}

TEST(files_of_the_image)
{
    char buf[4096], cwd[4096];
    ssize_t n = readlink("/proc/self/exe", buf, sizeof(buf) - 1);

    REQUIRE(n > 0);
    buf[n] = '\0';
    CHECK_EQ(access(buf, X_OK), 0);
    n = readlink("/proc/self/cwd", buf, sizeof(buf) - 1);
    REQUIRE(n > 0 && getcwd(cwd, sizeof(cwd)));
    buf[n] = '\0';
    CHECK_STR(buf, cwd);
    CHECK(slurp("/proc/self/cmdline") && strlen(text) > 0);
    CHECK(slurp("/proc/self/maps") && strstr(text, "[stack]") && strstr(text, "[vdso]"));
    CHECK(slurp("/proc/self/auxv") != NULL);
    CHECK(slurp("/proc/self/environ") != NULL);
    CHECK(slurp("/proc/self/limits") && strstr(text, "Max open files"));
    CHECK(slurp("/proc/self/mounts") && strstr(text, " /proc proc "));
    CHECK(slurp("/proc/self/mountinfo") && strstr(text, " / / "));
}

TEST(mem)
{
    static volatile int value = 42;
    int fd = open("/proc/self/mem", O_RDWR), v = 0;
    void *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    REQUIRE(fd >= 0);
    CHECK_EQ(pread(fd, &v, 4, (off_t)(uintptr_t)&value), 4);
    CHECK_EQ(v, 42);
    v = 43;
    CHECK_EQ(pwrite(fd, &v, 4, (off_t)(uintptr_t)&value), 4);
    CHECK_EQ(value, 43);
    /* Writes like a debugger: past the protection. */
    CHECK_EQ(pwrite(fd, &v, 4, (off_t)(uintptr_t)ro), 4);
    CHECK_EQ(*(int *)ro, 43);
    CHECK_ERR(pread(fd, &v, 4, 0), EIO);
    close(fd);
    munmap(ro, 4096);
}

static void *sit(void *arg)
{
    char c;

    return (void *)(intptr_t)read(*(int *)arg, &c, 1);
}

TEST(threads)
{
    char path[64];
    struct dirent *d;
    pthread_t t;
    int p[2], count = 0;
    DIR *dir;

    REQUIRE(pipe(p) == 0);
    REQUIRE(pthread_create(&t, NULL, sit, &p[0]) == 0);
    dir = opendir("/proc/self/task");
    REQUIRE(dir);
    while ((d = readdir(dir)))
        count += d->d_name[0] != '.';
    closedir(dir);
    CHECK_EQ(count, 2);
    CHECK_EQ(field("\nThreads:"), 2);
    snprintf(path, sizeof(path), "/proc/self/task/%d/comm", getpid());
    CHECK(slurp(path) != NULL);
    CHECK_EQ(write(p[1], "x", 1), 1);
    pthread_join(t, NULL);
    close(p[0]);
    close(p[1]);
}

static bool file_is(const char *path, const char *want)
{
    char buf[64] = "";
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, buf, sizeof(buf) - 1);

    close(fd);
    if (n < 0 || strcmp(buf, want) != 0)
        test_say("%s: \"%s\"\n", path, buf);
    return n >= 0 && !strcmp(buf, want);
}

static long write_loginuid(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    long ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;

    close(fd);
    return ret;
}

static char g_session[32];

/* Inherited; the parent's is not the child's to set. */
static void logged_in(void)
{
    char path[64];

    CHECK(file_is("/proc/self/loginuid", "1234"));
    CHECK(file_is("/proc/self/sessionid", g_session));
    if (geteuid() != 0)
        return;
    snprintf(path, sizeof(path), "/proc/%d/loginuid", (int)getppid());
    CHECK_EQ(write_loginuid(path, "5"), -EPERM);
    REQUIRE(setresuid(77, 77, 77) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
    CHECK_EQ(write_loginuid("/proc/self/loginuid", "5"), -EPERM);
}

static void log_in(void)
{
    int fd;

    if (write_loginuid("/proc/self/loginuid", "4294967295")) /* had one, and may not lose it */
        return;
    CHECK(file_is("/proc/self/loginuid", "4294967295"));
    CHECK(file_is("/proc/self/sessionid", "4294967295"));
    CHECK_EQ(write_loginuid("/proc/self/loginuid", "x"), -EINVAL);
    CHECK_EQ(write_loginuid("/proc/self/loginuid", "-1"), -EINVAL);
    CHECK_EQ(write_loginuid("/proc/self/loginuid", "1234\n"), 0);
    CHECK(file_is("/proc/self/loginuid", "1234"));
    fd = open("/proc/self/sessionid", O_RDONLY);
    CHECK(read(fd, g_session, sizeof(g_session) - 1) > 0);
    CHECK(strcmp(g_session, "4294967295") != 0);
    CHECK_EQ(test_in_child(logged_in), 0);
}

/* pam_loginuid, for whoever comes by ssh or login. */
TEST(login)
{
    CHECK_EQ(test_in_child(log_in), 0);
}

static void set_personality(void)
{
    CHECK(syscall(SYS_personality, 0) >= 0);
    CHECK(file_is("/proc/self/personality", "00000000\n"));
    CHECK_EQ(syscall(SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */), 0);
    CHECK(file_is("/proc/self/personality", "00040000\n"));
}

TEST(personality)
{
    CHECK_EQ(test_in_child(set_personality), 0);
}

TEST(zombie_and_gone)
{
    char path[64];
    int dirfd;
    pid_t pid = fork();

    if (pid == 0)
        _exit(3);
    snprintf(path, sizeof(path), "/proc/%d", pid);
    dirfd = open(path, O_RDONLY | O_DIRECTORY);
    REQUIRE(dirfd >= 0);
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    WAIT_UNTIL(test_state(pid) == 'Z');
    CHECK(slurp(path) && strstr(text, "State:\tZ (zombie)"));
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    CHECK_STR(slurp(path), "");
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK(slurp(path) == NULL);
    CHECK(openat(dirfd, "status", O_RDONLY) < 0);
    close(dirfd);
}

TEST(seek_restarts)
{
    char a[16], b[16];
    int fd = open("/proc/self/stat", O_RDONLY);

    REQUIRE(fd >= 0);
    CHECK_EQ(read(fd, a, 3), 3);
    CHECK(read(fd, b, 3) == 3);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(read(fd, b, 3), 3);
    CHECK_EQ(memcmp(a, b, 3), 0);
    CHECK_EQ(pread(fd, b, 3, 0), 3);
    CHECK_EQ(memcmp(a, b, 3), 0);
    close(fd);
}

/* Field 39 of stat: the processor. */
static int processor_of(pid_t pid)
{
    char path[64], line[1024] = "", *p;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY);
    CHECK(read(fd, line, sizeof(line) - 1) > 0);
    close(fd);
    p = strrchr(line, ')');
    for (int field = 2; p && field < 39; field++)
        p = strchr(p + 1, ' ');
    return p ? atoi(p) : -1;
}

TEST(stat_has_the_processor)
{
    cpu_set_t all, one;
    int p[2], status, last = -1;
    pid_t pid;
    char c;

    REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
    REQUIRE(pipe(p) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
        CHECK_EQ(processor_of(getpid()), cpu);
        last = cpu;
    }
    CHECK_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
    pid = fork();
    if (pid == 0) {
        sched_setaffinity(0, sizeof(one), &one); /* the last one */
        usleep(1000);
        close(p[1]);
        _exit(write(-1, "", 1) == -1 && pause());
    }
    close(p[1]);
    CHECK_EQ(read(p[0], &c, 1), 0);
    WAIT_UNTIL(processor_of(pid) == last);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    close(p[0]);
}

static void *wait_for_end(void *arg)
{
    char c;

    return read(*(int *)arg, &c, 1) == 0 ? NULL : arg;
}

/* Chromium's zygote looks there for threads that it must not have. */
TEST(links_of_task_tell_threads)
{
    struct stat st;
    pthread_t t;
    int p[2];

    REQUIRE(pipe(p) == 0);
    CHECK_EQ(stat("/proc/self/task/", &st), 0);
    CHECK_EQ(st.st_nlink, 3);
    REQUIRE(pthread_create(&t, NULL, wait_for_end, &p[0]) == 0);
    CHECK_EQ(stat("/proc/self/task/", &st), 0);
    CHECK_EQ(st.st_nlink, 4);
    close(p[1]);
    pthread_join(t, NULL);
    WAIT_UNTIL(test_threads() == 1);
    close(p[0]);
}

GUEST_TEST_MAIN
