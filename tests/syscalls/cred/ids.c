/* SPDX-License-Identifier: Apache-2.0 */
/* User and group ids, supplementary groups, capabilities: changes and who may make them. */
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#include "tests/support/guest_test.h"

static void uids(void)
{
    uid_t r, e, s;

    CHECK_EQ(sysp(SYS_getuid), 0);
    CHECK_EQ(sysp(SYS_geteuid), 0);
    CHECK_EQ(sysp(SYS_setresuid, 1u, 2u, 3u), 0);
    CHECK_EQ(sysp(SYS_getresuid, &r, &e, &s), 0);
    CHECK(r == 1 && e == 2 && s == 3);
    /* Without privilege only to one of the three. */
    CHECK_EQ(sysp(SYS_setresuid, ~0u, 3u, ~0u), 0);
    CHECK_ERR(sysp(SYS_setresuid, 4u, ~0u, ~0u), EPERM);
    CHECK_ERR(sysp(SYS_setuid, 9u), EPERM);
    CHECK_EQ(sysp(SYS_setuid, 1u), 0);
    CHECK_EQ(sysp(SYS_getresuid, &r, &e, &s), 0);
    CHECK(r == 1 && e == 1 && s == 3);
    CHECK_EQ(sysp(SYS_setreuid, ~0u, 3u), 0);
    CHECK_ERR(sysp(SYS_setreuid, 7u, ~0u), EPERM);
    CHECK_EQ(sysp(SYS_setfsuid, 1u), 3);
    CHECK_EQ(sysp(SYS_setfsuid, 99u), 1);
    CHECK_EQ(sysp(SYS_setfsuid, ~0u), 1);
    CHECK_ERR(sysp(SYS_getresuid, BAD_PTR, &e, &s), EFAULT);
}

static void gids(void)
{
    gid_t r, e, s;

    CHECK_EQ(sysp(SYS_setresgid, 11u, 12u, 13u), 0);
    CHECK_EQ(sysp(SYS_getresgid, &r, &e, &s), 0);
    CHECK(r == 11 && e == 12 && s == 13);
    CHECK_EQ(sysp(SYS_getgid), 11);
    CHECK_EQ(sysp(SYS_getegid), 12);
    /* Still privileged: any group. */
    CHECK_EQ(sysp(SYS_setregid, 20u, 21u), 0);
    CHECK_EQ(sysp(SYS_setgid, 30u), 0);
    CHECK_EQ(sysp(SYS_getresgid, &r, &e, &s), 0);
    CHECK(r == 30 && e == 30 && s == 30);
    CHECK_EQ(sysp(SYS_setfsgid, 31u), 30);
    CHECK_EQ(sysp(SYS_setfsgid, ~0u), 31);
    CHECK_EQ(sysp(SYS_setresuid, 1u, 1u, 1u), 0);
    CHECK_ERR(sysp(SYS_setgid, 40u), EPERM);
    CHECK_EQ(sysp(SYS_setgid, 30u), 0);
}

static void groups(void)
{
    gid_t in[3] = {7, 5, 6}, out[4];

    CHECK_EQ(sysp(SYS_setgroups, 3, in), 0);
    CHECK_EQ(sysp(SYS_getgroups, 0, NULL), 3);
    CHECK_EQ(sysp(SYS_getgroups, 4, out), 3);
    CHECK(out[0] + out[1] + out[2] == 18);
    CHECK_ERR(sysp(SYS_getgroups, 2, out), EINVAL);
    CHECK_ERR(sysp(SYS_getgroups, -1, out), EINVAL);
    CHECK_ERR(sysp(SYS_setgroups, 70000, in), EINVAL);
    CHECK_ERR(sysp(SYS_setgroups, 1, BAD_PTR), EFAULT);
    CHECK_EQ(sysp(SYS_setgroups, 0, NULL), 0);
    CHECK_EQ(sysp(SYS_setresuid, 1u, 1u, 1u), 0);
    CHECK_ERR(sysp(SYS_setgroups, 0, NULL), EPERM);
}

static void group_gives_access(void)
{
    gid_t g[1] = {4321};

    test_tmpdir();
    CHECK(chmod(".", 0755) == 0);
    CHECK(close(open("f", O_CREAT | O_WRONLY, 0640)) == 0);
    CHECK(chown("f", 0, 4321) == 0);
    CHECK(setgroups(1, g) == 0);
    CHECK(setresgid(9, 9, 9) == 0 && setresuid(9, 9, 9) == 0);
    CHECK(close(open("f", O_RDONLY)) == 0);
    CHECK_ERR(open("f", O_WRONLY), EACCES);
}

#define NEED_ROOT                                                                                  \
    do {                                                                                           \
        if (getuid() != 0)                                                                         \
            SKIP("needs root");                                                                    \
    } while (0)

TEST(user_ids)
{
    NEED_ROOT;
    CHECK_EQ(test_in_child(uids), 0);
}

TEST(group_ids)
{
    NEED_ROOT;
    CHECK_EQ(test_in_child(gids), 0);
}

TEST(supplementary_groups)
{
    NEED_ROOT;
    CHECK_EQ(test_in_child(groups), 0);
    CHECK_EQ(test_in_child(group_gives_access), 0);
}

static struct __user_cap_header_struct g_hdr;
static struct __user_cap_data_struct g_cap[2];

static unsigned long long effective(void)
{
    g_hdr.version = _LINUX_CAPABILITY_VERSION_3;
    g_hdr.pid = 0;
    if (sysp(SYS_capget, &g_hdr, g_cap) < 0)
        return 0;
    return g_cap[0].effective | (unsigned long long)g_cap[1].effective << 32;
}

static void capabilities(void)
{
    unsigned long long all = effective();

    CHECK(all & 1ull << CAP_CHOWN);
    CHECK(all & 1ull << CAP_SETUID);
    /* Giving up and taking back what is permitted. */
    g_cap[0].effective &= ~(1u << CAP_CHOWN);
    CHECK_EQ(sysp(SYS_capset, &g_hdr, g_cap), 0);
    CHECK(!(effective() & 1ull << CAP_CHOWN));
    g_cap[0].effective |= 1u << CAP_CHOWN;
    CHECK_EQ(sysp(SYS_capset, &g_hdr, g_cap), 0);
    g_cap[0].effective &= ~(1u << CAP_CHOWN);
    g_cap[0].permitted &= ~(1u << CAP_CHOWN);
    CHECK_EQ(sysp(SYS_capset, &g_hdr, g_cap), 0);
    g_cap[0].permitted |= 1u << CAP_CHOWN;
    CHECK_ERR(sysp(SYS_capset, &g_hdr, g_cap), EPERM);
    /* A change of user from root drops all. */
    CHECK(setresuid(9, 9, 9) == 0);
    CHECK_EQ(effective(), 0);
    CHECK_EQ(g_cap[0].permitted, 0);
}

static void keep_capabilities(void)
{
    CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0);
    CHECK(setresuid(9, 9, 9) == 0);
    CHECK_EQ(effective(), 0);
    CHECK(g_cap[0].permitted & 1u << CAP_SETUID);
    g_cap[0].effective = 1u << CAP_SETUID;
    g_cap[1].effective = 0;
    CHECK_EQ(sysp(SYS_capset, &g_hdr, g_cap), 0);
    CHECK(setresuid(0, 0, 0) == 0);
}

TEST(capability_sets)
{
    NEED_ROOT;
    CHECK_EQ(test_in_child(capabilities), 0);
    CHECK_EQ(test_in_child(keep_capabilities), 0);
}

TEST(capability_errors)
{
    g_hdr.version = 0x1234;
    CHECK_EQ(sysp(SYS_capget, &g_hdr, NULL), 0);
    CHECK_EQ(g_hdr.version, _LINUX_CAPABILITY_VERSION_3);
    g_hdr.version = 0x1234;
    CHECK_ERR(sysp(SYS_capget, &g_hdr, g_cap), EINVAL);
    CHECK_ERR(sysp(SYS_capget, BAD_PTR, g_cap), EFAULT);
    g_hdr.version = _LINUX_CAPABILITY_VERSION_3;
    g_hdr.pid = -1;
    CHECK_ERR(sysp(SYS_capget, &g_hdr, g_cap), EINVAL);
    g_hdr.pid = 0x3ffffff;
    CHECK_ERR(sysp(SYS_capget, &g_hdr, g_cap), ESRCH);
    g_hdr.pid = 1;
    if (getpid() != 1)
        CHECK_ERR(sysp(SYS_capset, &g_hdr, g_cap), EPERM);
}

GUEST_TEST_MAIN
