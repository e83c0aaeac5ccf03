/* SPDX-License-Identifier: Apache-2.0 */
/* Files of /proc and /sys that tell about the system: present, and in the form programs parse. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>

static char text[1 << 18];

static bool has(const char *path, const char *needle)
{
    int fd = open(path, O_RDONLY);
    ssize_t n, at = 0;

    if (fd < 0) {
        test_say("%s: %s\n", path, strerror(errno));
        return false;
    }
    while ((n = read(fd, text + at, sizeof(text) - 1 - (size_t)at)) > 0)
        at += n;
    text[at] = '\0';
    close(fd);
    if (n < 0 || !strstr(text, needle))
        test_say("%s: no \"%s\"\n", path, needle);
    return n >= 0 && strstr(text, needle);
}

TEST(text_files)
{
    CHECK(has("/proc/version", "Linux version "));
    CHECK(has("/proc/meminfo", "MemAvailable:"));
    CHECK(has("/proc/cpuinfo", "processor\t: 0"));
    CHECK(has("/proc/stat", "\nbtime "));
    CHECK(has("/proc/loadavg", "/"));
    CHECK(has("/proc/uptime", "."));
    CHECK(has("/proc/filesystems", "nodev\tproc"));
    CHECK(has("/proc/mounts", "proc"));
    CHECK(has("/proc/swaps", "Filename"));
    CHECK(has("/proc/devices", "Character devices:"));
    CHECK(has("/proc/vmstat", "nr_free_pages "));
    CHECK(has("/proc/net/dev", "lo:"));
    CHECK(has("/proc/net/tcp", "local_address"));
    CHECK(has("/proc/net/unix", "Inode Path"));
    CHECK(has("/proc/sys/kernel/random/uuid", "-4"));
    CHECK(has("/proc/sys/kernel/pid_max", "\n"));
    CHECK(has("/proc/sys/vm/overcommit_memory", "\n"));
    CHECK(has("/proc/sys/fs/nr_open", "\n"));
    CHECK(has("/proc/sys/net/core/somaxconn", "\n"));
    CHECK(has("/sys/devices/system/cpu/online", "0"));
    CHECK(has("/sys/class/net/lo/mtu", "65536"));
}

TEST(uname_agrees)
{
    struct utsname u;

    REQUIRE(uname(&u) == 0);
    CHECK(has("/proc/sys/kernel/osrelease", u.release));
    CHECK(has("/proc/sys/kernel/ostype", u.sysname));
    CHECK(has("/proc/sys/kernel/hostname", u.nodename));
    CHECK(has("/proc/version", u.release));
}

TEST(cpus_agree)
{
    cpu_set_t set;
    int count = 0;

    REQUIRE(sched_getaffinity(0, sizeof(set), &set) == 0);
    REQUIRE(has("/proc/stat", "cpu0 "));
    for (char *p = text; (p = strstr(p, "\ncpu")); p++)
        count++;
    CHECK(count >= CPU_COUNT(&set));
    CHECK_EQ(sysconf(_SC_NPROCESSORS_CONF) >= count, 1);
}

TEST(random_ids)
{
    char first[64];

    REQUIRE(has("/proc/sys/kernel/random/uuid", "-"));
    snprintf(first, sizeof(first), "%.36s", text);
    CHECK_EQ(strlen(first), 36);
    CHECK(has("/proc/sys/kernel/random/uuid", "-"));
    CHECK(strncmp(first, text, 36) != 0);
    REQUIRE(has("/proc/sys/kernel/random/boot_id", "-"));
    snprintf(first, sizeof(first), "%.36s", text);
    CHECK(has("/proc/sys/kernel/random/boot_id", first));
}

TEST(magic_numbers)
{
    struct statfs s;

    CHECK_EQ(statfs("/proc", &s), 0);
    CHECK_EQ(s.f_type, 0x9fa0);
    CHECK_EQ(statfs("/sys", &s), 0);
    CHECK_EQ(s.f_type, 0x62656572);
}

/* systemd mounts hugetlbfs where the directory is, and is "degraded" when it cannot. */
TEST(huge_pages_have_their_file_system)
{
    bool there = access("/sys/kernel/mm/hugepages", F_OK) == 0;

    CHECK(has("/proc/filesystems", "proc"));
    CHECK_EQ(there, strstr(text, "hugetlbfs") != NULL);
}

static void write_text(const char *path, const char *what)
{
    int fd = open(path, O_WRONLY);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, what, strlen(what)), (long)strlen(what));
    close(fd);
}

static void own_network(void)
{
    char map[32];
    struct stat st;

    if (geteuid() == 0)
        REQUIRE(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
    snprintf(map, sizeof(map), "0 %d 1\n", (int)geteuid());
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0); /* its files in /proc are its own again */
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
        return; /* the host allows none */
    write_text("/proc/self/uid_map", map);
    CHECK_EQ(stat("/proc/sys/net/core/somaxconn", &st), 0);
    CHECK_EQ(st.st_uid, 0);
    write_text("/proc/sys/net/core/somaxconn", "77\n");
    CHECK(has("/proc/sys/net/core/somaxconn", "77\n"));
    CHECK_EQ(stat("/proc/sys/kernel/threads-max", &st), 0);
    CHECK_EQ(st.st_uid, 65534);
    CHECK_ERR(open("/proc/sys/kernel/threads-max", O_WRONLY), EACCES);
}

/* Rootless podman sets them for its containers. */
TEST(network_tunables_are_of_the_namespaces_root)
{
    CHECK_EQ(test_in_child(own_network), 0);
}

TEST(nothing_can_be_made)
{
    CHECK(open("/proc/new", O_CREAT | O_WRONLY, 0600) < 0);
    CHECK(unlink("/proc/version") < 0);
    CHECK(rename("/proc/version", "/proc/v") < 0);
    CHECK(open("/proc/version", O_WRONLY) < 0 || geteuid() == 0);
}

/* Ticks of CPU nr in /proc/stat that were not idle, iowait or stolen. */
static long busy_ticks(int nr)
{
    char line[32], *at;
    long v[7] = {0};

    snprintf(line, sizeof(line), "\ncpu%d ", nr);
    if (!has("/proc/stat", line))
        return -1;
    at = strstr(text, line) + strlen(line);
    for (int i = 0; i < 7; i++)
        v[i] = strtol(at, &at, 10);
    return v[0] + v[1] + v[2] + v[5] + v[6];
}

static void burn_ms(long ms)
{
    struct timespec from, now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < ms);
}

/* CPU time is that of the CPU where it was used. */
TEST(stat_of_each_cpu)
{
    enum { MS = 400 };
    const long ticks = MS * sysconf(_SC_CLK_TCK) / 1000;
    cpu_set_t all, one;
    int checked = 0;

    REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE && checked < 2; cpu++) {
        long before;

        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
        before = busy_ticks(cpu);
        burn_ms(MS);
        /* The host counts in ticks, whoever they belong to. */
        CHECK(busy_ticks(cpu) - before >= ticks * 3 / 4);
        checked++;
    }
    sched_setaffinity(0, sizeof(all), &all);
}

/* And in a sandbox, where nobody else is, of no other. */
TEST(stat_of_other_cpus)
{
    enum { MS = 400 };
    const long ticks = MS * sysconf(_SC_CLK_TCK) / 1000;
    struct utsname u;
    cpu_set_t all, one;
    int first = -1, other = -1;
    long before;

    REQUIRE(uname(&u) == 0 && sched_getaffinity(0, sizeof(all), &all) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE && other < 0; cpu++) {
        if (CPU_ISSET(cpu, &all))
            *(first < 0 ? &first : &other) = cpu;
    }
    if (!strstr(u.version, "runsc-c") || other < 0)
        SKIP("other programs use the other CPUs, or there is one");
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
    before = busy_ticks(other);
    burn_ms(MS);
    CHECK(busy_ticks(other) - before <= ticks / 4);
    sched_setaffinity(0, sizeof(all), &all);
}

GUEST_TEST_MAIN
