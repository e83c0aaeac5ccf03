/* SPDX-License-Identifier: Apache-2.0 */
/* SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER, SO_GET_FILTER. socket(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PROGRAM(...)                                                                               \
    (struct sock_fprog)                                                                            \
    {                                                                                              \
        sizeof((struct sock_filter[]){__VA_ARGS__}) / 8, (struct sock_filter[])                    \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define LOAD(size, at) BPF_STMT(BPF_LD | BPF_ABS | (size), (uint32_t)(at))
#define IS(value)      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1)
#define TAKE(count)    BPF_STMT(BPF_RET | BPF_K, (count))

static int attach(int fd, struct sock_fprog p)
{
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p));
}

/* Two datagram sockets, the second connected to the first. */
static void udp_pair(int family, int fds[2])
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof(a);

    if (family == AF_INET)
        *(struct sockaddr_in *)&a =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    fds[0] = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    fds[1] = socket(family, SOCK_DGRAM, 0);
    CHECK_EQ(bind(fds[0], (void *)&a, family == AF_INET ? sizeof(struct sockaddr_in) : len), 0);
    CHECK_EQ(getsockname(fds[0], (void *)&a, &len), 0);
    CHECK_EQ(connect(fds[1], (void *)&a, len), 0);
}

static void close_pair(int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

TEST(refusals)
{
    struct sock_filter take = TAKE(100), no_return = LOAD(BPF_W, 0);
    struct sock_fprog good = {1, &take}, empty = {0, &take}, none = {1, NULL}, bad = {1, BAD_PTR},
                      endless = {1, &no_return}, all = {BPF_MAXINSNS + 1, &take};
    int fds[2], v = 0;

    udp_pair(AF_INET, fds);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, &good, 2), EINVAL);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, &good, sizeof(good) - 1), EINVAL);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, &good, sizeof(good) + 4), EINVAL);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, BAD_PTR, sizeof(good)), EFAULT);
    CHECK_ERR(attach(fds[0], empty), EINVAL);
    CHECK_ERR(attach(fds[0], none), EINVAL);
    CHECK_ERR(attach(fds[0], bad), EFAULT);
    CHECK_ERR(attach(fds[0], endless), EINVAL);
    CHECK_ERR(attach(fds[0], all), EINVAL);
    CHECK_ERR(attach(fds[0], PROGRAM(LOAD(BPF_W, SKF_AD_OFF + SKF_AD_MAX), TAKE(1))), EINVAL);
    CHECK_ERR(attach(fds[0], PROGRAM(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 0), TAKE(1))), EINVAL);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_DETACH_FILTER, &v, sizeof(v)), ENOENT);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_DETACH_FILTER, &v, 0), EINVAL);
    close_pair(fds);
}

TEST(ebpf_needs_a_program)
{
    int fds[2], null = open("/dev/null", O_RDONLY), no = -1;

    udp_pair(AF_INET, fds);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_BPF, &no, sizeof(no)), EBADF);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_BPF, &null, sizeof(null)), EINVAL);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_BPF, &null, sizeof(null) + 4), EINVAL);
    close(null);
    close_pair(fds);
}

TEST(lock)
{
    socklen_t len = sizeof(int);
    int fds[2], on = 1, off = 0, v = -1;

    udp_pair(AF_INET, fds);
    CHECK_EQ(attach(fds[0], PROGRAM(TAKE(100))), 0);
    CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof(off)), 0);
    CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)), 0);
    CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)), 0);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof(off)), EPERM);
    CHECK_EQ(getsockopt(fds[0], SOL_SOCKET, SO_LOCK_FILTER, &v, &len), 0);
    CHECK_EQ(v, 1);
    CHECK_ERR(attach(fds[0], PROGRAM(TAKE(0))), EPERM);
    CHECK_ERR(setsockopt(fds[0], SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof(on)), EPERM);
    CHECK_EQ(send(fds[1], "x", 1, 0), 1);
    close_pair(fds);
}

TEST(read_back)
{
    struct sock_filter back[4] = {{0}};
    socklen_t len = 4;
    int fds[2];

    udp_pair(AF_INET, fds);
    CHECK_EQ(getsockopt(fds[0], SOL_SOCKET, SO_GET_FILTER, back, &len), 0);
    CHECK_EQ(len, 0);
    CHECK_EQ(attach(fds[0], PROGRAM(LOAD(BPF_H, 2), IS(7), TAKE(100), TAKE(0))), 0);
    CHECK_EQ(getsockopt(fds[0], SOL_SOCKET, SO_GET_FILTER, BAD_PTR, &len), 0);
    CHECK_EQ(len, 4);
    CHECK_ERR(getsockopt(fds[0], SOL_SOCKET, SO_GET_FILTER, BAD_PTR, &len), EFAULT);
    CHECK_EQ(getsockopt(fds[0], SOL_SOCKET, SO_GET_FILTER, back, &len), 0);
    CHECK_EQ(len, 4);
    CHECK_EQ(back[1].k, 7);
    CHECK_EQ(back[3].code, BPF_RET | BPF_K);
    len = 3;
    CHECK_ERR(getsockopt(fds[0], SOL_SOCKET, SO_GET_FILTER, back, &len), EINVAL);
    close_pair(fds);
}

static void udp_cases(int family)
{
    char buf[64];
    int fds[2], v = 0;

    udp_pair(family, fds);
    /* Offset 0 is the UDP header. */
    CHECK_EQ(attach(fds[0], PROGRAM(LOAD(BPF_B, 8), IS('y'), TAKE(0xffff), TAKE(0))), 0);
    CHECK_EQ(send(fds[1], "no", 2, 0), 2);
    CHECK_EQ(send(fds[1], "yes", 3, 0), 3);
    CHECK_EQ(send(fds[1], "", 0, 0), 0); /* the load is outside */
    CHECK_EQ(recv(fds[0], buf, sizeof(buf), 0), 3);
    CHECK_ERR(recv(fds[0], buf, sizeof(buf), 0), EAGAIN);
    /* A part: counted from the header, which always stays. */
    CHECK_EQ(attach(fds[0], PROGRAM(TAKE(10))), 0);
    CHECK_EQ(send(fds[1], "hello", 5, 0), 5);
    CHECK_EQ(recv(fds[0], buf, sizeof(buf), 0), 2);
    CHECK(!memcmp(buf, "he", 2));
    CHECK_EQ(attach(fds[0], PROGRAM(TAKE(1))), 0);
    CHECK_EQ(send(fds[1], "hello", 5, 0), 5);
    CHECK_EQ(recv(fds[0], buf, sizeof(buf), 0), 0);
    /* The length, computed: X from the header's own length field. */
    CHECK_EQ(attach(fds[0],
                    PROGRAM(LOAD(BPF_H, 4), BPF_STMT(BPF_MISC | BPF_TAX, 0),
                            BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1), TAKE(0xffff), TAKE(0))),
             0);
    CHECK_EQ(send(fds[1], "seven..", 7, 0), 7);
    CHECK_EQ(recv(fds[0], buf, sizeof(buf), 0), 7);
    CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_DETACH_FILTER, &v, sizeof(v)), 0);
    CHECK_EQ(send(fds[1], "no", 2, 0), 2);
    CHECK_EQ(recv(fds[0], buf, sizeof(buf), 0), 2);
    close_pair(fds);
}

TEST(udp)
{
    udp_cases(AF_INET);
}

TEST(udp6)
{
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    if (fd < 0 || bind(fd, (void *)&a, sizeof(a)) < 0) {
        close(fd);
        SKIP("no IPv6 on lo");
    }
    close(fd);
    udp_cases(AF_INET6);
}

TEST(headers_and_ancillary_words)
{
    char buf[8];
    int fds[2];

    udp_pair(AF_INET, fds);
    CHECK_EQ(attach(fds[0],
                    PROGRAM(LOAD(BPF_W, SKF_NET_OFF + 16), IS(INADDR_LOOPBACK),
                            LOAD(BPF_B, SKF_NET_OFF + 9), /* the false branch of IS comes here */
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 1, 0), TAKE(0),
                            LOAD(BPF_H, SKF_LL_OFF + 12),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0800, 1, 0), TAKE(0),
                            LOAD(BPF_W, SKF_AD_OFF + SKF_AD_PROTOCOL),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0800, 1, 0), TAKE(0),
                            LOAD(BPF_W, SKF_AD_OFF + SKF_AD_IFINDEX),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0), TAKE(0),
                            LOAD(BPF_W, SKF_AD_OFF + SKF_AD_HATYPE),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 772, 1, 0), TAKE(0), TAKE(0xffff))),
             0);
    CHECK_EQ(send(fds[1], "x", 1, 0), 1);
    CHECK_EQ(recv(fds[0], buf, sizeof(buf), 0), 1);
    close_pair(fds);
}

static void unix_cases(int type)
{
    char buf[16];
    int fds[2];

    REQUIRE(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds) == 0);
    CHECK_EQ(attach(fds[0], PROGRAM(LOAD(BPF_B, 0), IS('y'), TAKE(2), TAKE(0))), 0);
    CHECK_EQ(send(fds[1], "no", 2, 0), 2);
    CHECK_EQ(send(fds[1], "yes", 3, 0), 3);
    CHECK_EQ(recv(fds[0], buf, sizeof(buf), 0), 2);
    CHECK(!memcmp(buf, "ye", 2));
    CHECK_ERR(recv(fds[0], buf, sizeof(buf), 0), EAGAIN);
    CHECK_EQ(send(fds[0], "no", 2, 0), 2); /* the other end has none */
    CHECK_EQ(recv(fds[1], buf, sizeof(buf), 0), 2);
    close_pair(fds);
}

TEST(unix_datagrams)
{
    unix_cases(SOCK_DGRAM);
    unix_cases(SOCK_SEQPACKET);
}

TEST(unix_streams_are_not_filtered)
{
    char buf[8];
    int fds[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK_EQ(attach(fds[0], PROGRAM(TAKE(0))), 0);
    CHECK_EQ(send(fds[1], "no", 2, 0), 2);
    CHECK_EQ(recv(fds[0], buf, sizeof(buf), 0), 2);
    close_pair(fds);
}

/* As libudev does: by what a message is. */
TEST(netlink)
{
    struct {
        struct nlmsghdr h;
        struct rtgenmsg g;
    } rq = {.h = {.nlmsg_len = NLMSG_LENGTH(1),
                  .nlmsg_type = 2000,
                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE);
    char buf[4096];

    CHECK_EQ(attach(fd, PROGRAM(LOAD(BPF_H, 4), IS(htons(NLMSG_ERROR)), TAKE(0), TAKE(0xffff))), 0);
    CHECK_EQ(send(fd, &rq, NLMSG_LENGTH(1), 0), NLMSG_LENGTH(1));
    CHECK_ERR(recv(fd, buf, sizeof(buf), 0), EAGAIN);
    CHECK_EQ(attach(fd, PROGRAM(LOAD(BPF_H, 4), IS(htons(NLMSG_ERROR)), TAKE(16), TAKE(0))), 0);
    CHECK_EQ(send(fd, &rq, NLMSG_LENGTH(1), 0), NLMSG_LENGTH(1));
    CHECK_EQ(recv(fd, buf, sizeof(buf), 0), 16);
    close(fd);
}

/* As ping does: by what a reply echoes. */
TEST(raw_icmp)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct icmphdr echo = {.type = ICMP_ECHO, .un.echo = {.id = htons(77)}};
    int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
    uint32_t sum = htons(0x0800) + (uint32_t)htons(77);
    char buf[256];
    ssize_t n = -1;

    if (fd < 0 && errno == EPERM)
        SKIP("no CAP_NET_RAW");
    REQUIRE(fd >= 0);
    echo.checksum = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
    /* Offset 0 is the IP header. */
    CHECK_EQ(
        attach(fd, PROGRAM(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
                           BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4), IS(77), TAKE(0xffff), TAKE(0))),
        0);
    CHECK_EQ(sendto(fd, &echo, sizeof(echo), 0, (void *)&a, sizeof(a)), sizeof(echo));
    WAIT_UNTIL((n = recv(fd, buf, sizeof(buf), 0)) >= 0);
    CHECK_EQ(n, 20 + sizeof(echo));
    CHECK_EQ(attach(fd, PROGRAM(TAKE(0))), 0);
    while (recv(fd, buf, sizeof(buf), 0) > 0)
        ;
    CHECK_EQ(sendto(fd, &echo, sizeof(echo), 0, (void *)&a, sizeof(a)), sizeof(echo));
    CHECK_ERR(recv(fd, buf, sizeof(buf), 0), EAGAIN);
    close(fd);
}

GUEST_TEST_MAIN
