/* SPDX-License-Identifier: Apache-2.0 */
/* Files of /proc and /sys that tell about the system: present, and in the form programs parse. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <sched.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

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

TEST(nothing_can_be_made)
{
    CHECK(open("/proc/new", O_CREAT | O_WRONLY, 0600) < 0);
    CHECK(unlink("/proc/version") < 0);
    CHECK(rename("/proc/version", "/proc/v") < 0);
    CHECK(open("/proc/version", O_WRONLY) < 0 || geteuid() == 0);
}

GUEST_TEST_MAIN
