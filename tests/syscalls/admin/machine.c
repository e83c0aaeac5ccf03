/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container without capabilities over the machine hears from calls that manage the machine:
 * swapon, swapoff, acct, init_module, finit_module, delete_module, quotactl, quotactl_fd,
 * perf_event_open, bpf. sysfs(2) answers everybody. The kernel may lack modules (ENOSYS) and have more
 * generous perf settings.
 */
#include <linux/capability.h>

#include "tests/support/guest_test.h"

static bool privileged(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{0}};

    syscall(SYS_capget, &h, d);
    return d[0].effective & (1u << CAP_SYS_ADMIN);
}

static void drop(void)
{
    if (privileged())
        CHECK_EQ(setresuid(1, 1, 1), 0);
}

static void refused(void)
{
    long ret;

    drop();
    CHECK_ERR(sysp(SYS_swapon, "/none", 0x100000), EINVAL);
    CHECK_ERR(sysp(SYS_swapon, BAD_PTR, 0), EPERM);
    CHECK_ERR(sysp(SYS_swapoff, BAD_PTR), EPERM);
    CHECK_ERR(sysp(SYS_acct, BAD_PTR), EPERM);
    CHECK_ERR(sysp(SYS_acct, NULL), EPERM);
    ret = sysp(SYS_init_module, BAD_PTR, 1UL, BAD_PTR);
    CHECK(ret == -EPERM || ret == -ENOSYS);
    CHECK_ERR(sysp(SYS_finit_module, -1, BAD_PTR, 0), -ret);
    CHECK_ERR(sysp(SYS_delete_module, BAD_PTR, 0u), -ret);
}

TEST(machine_is_not_ours)
{
    CHECK_EQ(test_in_child(refused), 0);
}

TEST(quotas)
{
    long ret;

    CHECK_ERR(sysp(SYS_quotactl, 0x80000703u, BAD_PTR, 0, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_quotactl, 0x80000700u, NULL, 0, NULL), ENODEV);
    CHECK_ERR(sysp(SYS_quotactl, 0x80000700u, "/none", 0, NULL), ENOENT);
    CHECK_ERR(sysp(SYS_quotactl, 0x80000700u, "/dev/null", 0, NULL), ENOTBLK);
    CHECK_ERR(sysp(SYS_quotactl, 0x80000700u, BAD_PTR, 0, NULL), EFAULT);
    CHECK_EQ(sysp(SYS_quotactl, 0x80000100u, NULL, 0, NULL), 0); /* Q_SYNC of everything */
    CHECK_ERR(sysp(443, -1, 0x80000703u, 0, NULL), EBADF);       /* quotactl_fd */
    CHECK_ERR(sysp(443, 0, 0x80000703u, 0, NULL), EINVAL);
    ret = sysp(443, 0, 0x80000700u, 0, NULL);
    CHECK(ret == -ENOSYS || ret == -ESRCH || ret == -EPERM);
}

TEST(file_system_types)
{
    char name[64];
    long n = sysp(SYS_sysfs, 3, 0UL, 0UL), at;

    REQUIRE(n > 3);
    at = sysp(SYS_sysfs, 1, "tmpfs", 0UL);
    CHECK(at >= 0 && at < n);
    CHECK_EQ(sysp(SYS_sysfs, 2, at, name), 0);
    CHECK_STR(name, "tmpfs");
    CHECK_ERR(sysp(SYS_sysfs, 1, "no such type", 0UL), EINVAL);
    CHECK_ERR(sysp(SYS_sysfs, 1, BAD_PTR, 0UL), EFAULT);
    CHECK_ERR(sysp(SYS_sysfs, 2, n, name), EINVAL);
    CHECK_ERR(sysp(SYS_sysfs, 2, 0UL, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_sysfs, 4, 0UL, 0UL), EINVAL);
}

static void counters(void)
{
    uint32_t attr[42] = {1, 63}; /* PERF_TYPE_SOFTWARE, size */

    drop();
    CHECK_ERR(sysp(SYS_perf_event_open, BAD_PTR, 0, -1, -1, 0x10UL), EINVAL);
    CHECK_ERR(sysp(SYS_perf_event_open, BAD_PTR, 0, -1, -1, 0UL), EFAULT);
    CHECK_ERR(sysp(SYS_perf_event_open, attr, 0, -1, -1, 0UL), E2BIG);
    attr[1] = 5000;
    CHECK_ERR(sysp(SYS_perf_event_open, attr, 0, -1, -1, 0UL), E2BIG);
    attr[1] = 64;
    CHECK_ERR(sysp(SYS_perf_event_open, attr, 0, -1, -1, 0UL), EACCES); /* counts the kernel, too */
    memset(attr, 0, sizeof(attr));
    CHECK_ERR(sysp(SYS_bpf, 0, BAD_PTR, 9999u), E2BIG);
    CHECK_ERR(sysp(SYS_bpf, 0, BAD_PTR, 16u), EFAULT);
    attr[0] = 1;
    CHECK_ERR(sysp(SYS_bpf, 5, attr, 72u), EPERM); /* BPF_PROG_LOAD */
}

TEST(counters_and_bpf)
{
    CHECK_EQ(test_in_child(counters), 0);
}

GUEST_TEST_MAIN
