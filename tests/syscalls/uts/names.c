/* SPDX-License-Identifier: Apache-2.0 */
/* uname, sethostname, setdomainname, and the calls that only a machine's administrator makes. */
#include <sched.h>
#include <sys/personality.h>
#include <sys/utsname.h>

#include "tests/support/guest_test.h"

TEST(uname_fields)
{
    struct utsname u;

    memset(&u, 'x', sizeof(u));
    CHECK_EQ(sysp(SYS_uname, &u), 0);
    CHECK_STR(u.sysname, "Linux");
    CHECK_STR(u.machine, "x86_64");
    CHECK(u.release[0] >= '3' && u.release[0] <= '9');
    CHECK(memchr(u.version, 0, sizeof(u.version)) != NULL);
    CHECK_ERR(sysp(SYS_uname, BAD_PTR), EFAULT);
}

TEST(machine_of_another_personality)
{
    struct utsname u;

    CHECK_EQ(personality(PER_LINUX32), PER_LINUX);
    CHECK_EQ(uname(&u), 0);
    CHECK_STR(u.machine, "i686");
    CHECK_EQ(personality(PER_LINUX | ADDR_NO_RANDOMIZE), PER_LINUX32);
    CHECK_EQ(uname(&u), 0);
    CHECK_STR(u.machine, "x86_64");
    CHECK_EQ(personality(PER_LINUX), PER_LINUX | ADDR_NO_RANDOMIZE);
}

#define LONG_NAME "0123456789012345678901234567890123456789012345678901234567890123456789"

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void own_names(void)
{
    struct utsname u;

    if (unshare(CLONE_NEWUTS) < 0)
        _exit(0);
    CHECK_EQ(sysp(SYS_sethostname, "new-name", 8), 0);
    CHECK_EQ(sysp(SYS_setdomainname, "domain", 6), 0);
    CHECK_EQ(sysp(SYS_uname, &u), 0);
    CHECK_STR(u.nodename, "new-name");
    CHECK_STR(u.domainname, "domain");
    CHECK_ERR(sysp(SYS_sethostname, "x", -1), EINVAL);
    CHECK_ERR(sysp(SYS_sethostname, "x", 65), EINVAL);
    CHECK_ERR(sysp(SYS_sethostname, BAD_PTR, 5), EFAULT);
    write_text("/proc/sys/kernel/hostname", "by-file\nmore");
    write_text("/proc/sys/kernel/domainname", LONG_NAME);
    CHECK_EQ(sysp(SYS_uname, &u), 0);
    CHECK_STR(u.nodename, "by-file");
    CHECK_EQ(strlen(u.domainname), 64u); /* cut to what fits */
    CHECK_EQ(setuid(65534), 0);
    CHECK_ERR(sysp(SYS_sethostname, "x", 1), EPERM);
    CHECK_ERR(sysp(SYS_setdomainname, "x", -1), EPERM);
}

TEST(changing_names)
{
    struct utsname before, after;

    if (getuid() != 0)
        SKIP("needs root");
    CHECK(uname(&before) == 0);
    CHECK_EQ(test_in_child(own_names), 0);
    CHECK(uname(&after) == 0);
    CHECK_STR(after.nodename, before.nodename);
}

static void not_for_users(void)
{
    char buf[100];

    if (getuid() == 0)
        REQUIRE(setuid(65534) == 0);
    CHECK_ERR(sysp(SYS_reboot, 0xfee1dead, 672274793, 0x89abcdefu, NULL), EPERM);
    CHECK_ERR(sysp(SYS_vhangup), EPERM);
    CHECK_ERR(sysp(SYS_chroot, "/"), EPERM);
    CHECK_ERR(sysp(SYS_mount, "x", "/", "tmpfs", 0UL, NULL), EPERM);
    CHECK_ERR(sysp(SYS_umount2, "/", 0), EPERM);
    CHECK_ERR(sysp(SYS_syslog, 5, buf, 10), EPERM);
    CHECK_ERR(sysp(SYS_setns, 9999, 0), EBADF);
    CHECK_ERR(sysp(SYS_setns, 0, 0x1), EINVAL);
}

TEST(administration)
{
    CHECK_EQ(test_in_child(not_for_users), 0);
    CHECK_ERR(sysp(9999), ENOSYS);
    CHECK_ERR(sysp(350), ENOSYS);
    CHECK_ERR(sysp(SYS_getpmsg), ENOSYS);
    CHECK_ERR(sysp(SYS_create_module), ENOSYS);
    /* Only the low half of the number counts. */
    CHECK_EQ(sys(0x1234567800000000L + SYS_getpid), getpid());
    CHECK_ERR(sys(0x40000000L + SYS_getpid), ENOSYS);
    CHECK_ERR(sys(-1L), ENOSYS);
}

GUEST_TEST_MAIN
