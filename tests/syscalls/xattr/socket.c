/* SPDX-License-Identifier: Apache-2.0 */
/* The one attribute of a socket: the name of its protocol. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/xattr.h>

#include "tests/support/guest_test.h"

#define PROTONAME "system.sockprotoname"

/* Of a socket that may not be had here nothing is checked. */
static void check_name(int family, int type, int protocol, const char *want)
{
    char buf[64] = "";
    int fd = socket(family, type, protocol);

    if (fd < 0)
        return;
    CHECK_EQ(sysp(SYS_fgetxattr, fd, PROTONAME, buf, sizeof(buf)), (long)strlen(want) + 1);
    CHECK_STR(buf, want);
    close(fd);
}

TEST(protocols)
{
    check_name(AF_UNIX, SOCK_STREAM, 0, "UNIX-STREAM");
    check_name(AF_UNIX, SOCK_DGRAM, 0, "UNIX");
    check_name(AF_UNIX, SOCK_SEQPACKET, 0, "UNIX");
    check_name(AF_INET, SOCK_STREAM, 0, "TCP");
    check_name(AF_INET, SOCK_DGRAM, 0, "UDP");
    check_name(AF_INET, SOCK_DGRAM, IPPROTO_ICMP, "PING");
    check_name(AF_INET, SOCK_RAW, IPPROTO_ICMP, "RAW");
    check_name(AF_INET6, SOCK_STREAM, 0, "TCPv6");
    check_name(AF_INET6, SOCK_DGRAM, 0, "UDPv6");
    check_name(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, "RAWv6");
    check_name(AF_NETLINK, SOCK_RAW, 0, "NETLINK");
    check_name(AF_PACKET, SOCK_RAW, 0, "PACKET");
}

TEST(size_and_list)
{
    char buf[64];
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    CHECK_EQ(sysp(SYS_fgetxattr, s[0], PROTONAME, NULL, (size_t)0), 5);
    CHECK_ERR(sysp(SYS_fgetxattr, s[0], PROTONAME, buf, (size_t)4), ERANGE);
    CHECK_EQ(sysp(SYS_flistxattr, s[0], NULL, (size_t)0), (long)sizeof(PROTONAME));
    CHECK_ERR(sysp(SYS_flistxattr, s[0], buf, (size_t)4), ERANGE);
    CHECK_EQ(sysp(SYS_flistxattr, s[0], buf, sizeof(buf)), (long)sizeof(PROTONAME));
    CHECK_STR(buf, PROTONAME);
}

TEST(others_and_changes_are_refused)
{
    char buf[64];
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_ERR(sysp(SYS_fgetxattr, s[0], "system.other", buf, sizeof(buf)), EOPNOTSUPP);
    CHECK_ERR(sysp(SYS_fsetxattr, s[0], PROTONAME, "x", (size_t)1, 0), EOPNOTSUPP);
    CHECK_ERR(sysp(SYS_fremovexattr, s[0], PROTONAME), EOPNOTSUPP);
}

TEST(by_the_link_of_the_descriptor)
{
    char buf[64], link[64];
    int s[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", s[0]);
    CHECK_EQ(sysp(SYS_getxattr, link, PROTONAME, buf, sizeof(buf)), 12);
    CHECK_STR(buf, "UNIX-STREAM");
    CHECK_ERR(sysp(SYS_lgetxattr, link, PROTONAME, buf, sizeof(buf)), EOPNOTSUPP);
}

/* The file of a bound socket is a file like others. */
TEST(not_of_the_name_in_a_directory)
{
    struct sockaddr_un_short {
        sa_family_t family;
        char path[14];
    } addr = {AF_UNIX, "bound"};
    char buf[64];
    int s = socket(AF_UNIX, SOCK_STREAM, 0);

    test_tmpdir();
    REQUIRE(bind(s, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    CHECK_ERR(sysp(SYS_getxattr, "bound", PROTONAME, buf, sizeof(buf)), EOPNOTSUPP);
}

GUEST_TEST_MAIN
