/* SPDX-License-Identifier: Apache-2.0 */
/* SOCK_RAW on the loopback. raw(7), packet(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/socket.h>

enum { PROTOCOL = 253 }; /* for experiments: nobody else's */

static bool g_raw; /* may be made */

static int raw(int protocol)
{
    int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, protocol);

    g_raw = fd >= 0 || errno != EPERM;
    return fd;
}

static struct sockaddr_in at(const char *address)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(address)};
}

/* The host's own loopback takes a moment. */
static ssize_t receive(int fd, void *buf, size_t size)
{
    ssize_t n = -1;

    WAIT_UNTIL((n = recv(fd, buf, size, 0)) >= 0 || errno != EAGAIN);
    return n;
}

static int set_ping_groups(const char *range)
{
    int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY), ret = 0;

    if (fd < 0 || write(fd, range, strlen(range)) < 0)
        ret = -errno;
    close(fd);
    return ret;
}

static void ping_groups_are(const char *want)
{
    char buf[64] = "";
    int fd = open("/proc/sys/net/ipv4/ping_group_range", O_RDONLY);

    CHECK(fd >= 0 && read(fd, buf, sizeof(buf) - 1) > 0);
    CHECK_STR(buf, want);
    close(fd);
}

/* podman sets it for each container. */
static void range_of_groups(void)
{
    gid_t further[] = {12, 77};

    if (unshare(CLONE_NEWNET))
        return;
    ping_groups_are("1\t0\n");
    CHECK_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EACCES);
    CHECK_ERR(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6), EACCES);
    if (set_ping_groups("70 80")) /* a read-only /proc/sys */
        return;
    ping_groups_are("70\t80\n");
    CHECK_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EACCES);
    REQUIRE(setgroups(2, further) == 0);
    CHECK(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) >= 0);
    CHECK(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6) >= 0);
    CHECK_EQ(set_ping_groups("-1 5"), -EINVAL);
    CHECK_EQ(set_ping_groups("0 4294967295"), -EINVAL);
    ping_groups_are("70\t80\n");
    CHECK_EQ(set_ping_groups("8 3"), 0);
    ping_groups_are("1\t0\n");
    CHECK_EQ(set_ping_groups("0\t0\n"), 0);
    ping_groups_are("0\t0\n");
    CHECK(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) >= 0);
}

TEST(who_may_ping)
{
    CHECK_EQ(test_in_child(range_of_groups), 0);
}

TEST(a_protocol_of_its_own)
{
    struct sockaddr_in a = at("127.0.0.1"), from;
    int x = raw(PROTOCOL), y, other;
    struct iphdr *ip;
    socklen_t len = sizeof(from);
    char buf[256] __attribute__((aligned(8)));

    if (!g_raw)
        SKIP("no CAP_NET_RAW");
    REQUIRE(x >= 0);
    y = raw(PROTOCOL);
    other = raw(PROTOCOL + 1);
    CHECK_EQ(sendto(x, "hello", 5, 0, (void *)&a, sizeof(a)), 5);
    /* Each of the protocol has it, with a header; others do not. */
    CHECK_EQ(receive(x, buf, sizeof(buf)), 25);
    CHECK_EQ(receive(y, buf, sizeof(buf)), 25);
    ip = (void *)buf;
    CHECK_EQ(ip->version, 4);
    CHECK_EQ(ip->ihl, 5);
    CHECK_EQ(ip->protocol, PROTOCOL);
    CHECK_EQ(ntohs(ip->tot_len), 25);
    CHECK_EQ(ip->saddr, htonl(INADDR_LOOPBACK));
    CHECK_EQ(ip->daddr, htonl(INADDR_LOOPBACK));
    CHECK(!memcmp(buf + 20, "hello", 5));
    CHECK_ERR(recv(other, buf, sizeof(buf), 0), EAGAIN);
    CHECK_EQ(sendto(x, "", 0, 0, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(receive(y, buf, sizeof(buf)), 20);
    CHECK_EQ(receive(x, buf, sizeof(buf)), 20);
    /* Bound and connected ones see what is for them. */
    CHECK_EQ(bind(y, (void *)&a, sizeof(a)), 0);
    a = at("127.0.0.2");
    CHECK_EQ(sendto(x, "two", 3, 0, (void *)&a, sizeof(a)), 3);
    CHECK_EQ(receive(x, buf, sizeof(buf)), 23);
    CHECK_ERR(recv(y, buf, sizeof(buf), 0), EAGAIN);
    a = at("127.0.0.1");
    CHECK_EQ(sendto(x, "one", 3, 0, (void *)&a, sizeof(a)), 3);
    CHECK_EQ(receive(x, buf, sizeof(buf)), 23);
    CHECK_EQ(recvfrom(y, buf, sizeof(buf), 0, (void *)&from, &len), 23);
    CHECK_EQ(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK_ERR(send(x, "x", 1, 0), EDESTADDRREQ);
    CHECK_EQ(connect(x, (void *)&a, sizeof(a)), 0);
    CHECK_ERR(getpeername(x, (void *)&from, &len), ENOTCONN); /* it has no port */
    CHECK_EQ(send(x, "x", 1, 0), 1);
    CHECK_EQ(receive(x, buf, sizeof(buf)), 21);
    a.sin_family = AF_UNSPEC;
    CHECK_EQ(connect(x, (void *)&a, sizeof(a)), 0);
    CHECK_ERR(send(x, "x", 1, 0), EDESTADDRREQ);
    close(x);
    close(y);
    close(other);
}

TEST(udp_is_seen)
{
    struct sockaddr_in a = at("127.0.0.1");
    int seen = raw(IPPROTO_UDP), x, y;
    socklen_t len = sizeof(a);
    struct udphdr *udp;
    char buf[256] __attribute__((aligned(8)));

    if (!g_raw)
        SKIP("no CAP_NET_RAW");
    x = socket(AF_INET, SOCK_DGRAM, 0);
    y = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(bind(x, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(getsockname(x, (void *)&a, &len), 0);
    CHECK_EQ(sendto(y, "abc", 3, 0, (void *)&a, sizeof(a)), 3);
    for (;;) { /* others on the machine may talk, too */
        REQUIRE(receive(seen, buf, sizeof(buf)) >= 28);
        udp = (void *)(buf + 20);
        if (udp->dest == a.sin_port)
            break;
    }
    CHECK_EQ(ntohs(udp->len), 11);
    CHECK(!memcmp(buf + 28, "abc", 3));
    CHECK_EQ(recv(x, buf, sizeof(buf), 0), 3);
    close(seen);
    close(x);
    close(y);
}

/* A whole packet of the program's own, as tracers and scanners send it. */
TEST(udp_with_headers_of_its_own)
{
    struct sockaddr_in a = at("127.0.0.1"), from;
    socklen_t len = sizeof(a);
    struct {
        struct iphdr ip;
        struct udphdr udp;
        char data[4];
    } packet = {.ip = {.version = 4,
                       .ihl = 5,
                       .ttl = 64,
                       .protocol = IPPROTO_UDP,
                       .daddr = htonl(INADDR_LOOPBACK)},
                .udp = {.source = htons(4711), .len = htons(12)},
                .data = "data"};
    int fd = raw(IPPROTO_RAW), x;
    char buf[64];

    if (!g_raw)
        SKIP("no CAP_NET_RAW");
    REQUIRE(fd >= 0);
    x = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(bind(x, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(getsockname(x, (void *)&a, &len), 0);
    packet.udp.dest = a.sin_port;
    CHECK_ERR(sendto(fd, &packet, 10, 0, (void *)&a, sizeof(a)), EINVAL);
    CHECK_EQ(sendto(fd, &packet, sizeof(packet), 0, (void *)&a, sizeof(a)), sizeof(packet));
    CHECK_EQ(recvfrom(x, buf, sizeof(buf), 0, (void *)&from, &len), 4);
    CHECK(!memcmp(buf, "data", 4));
    CHECK_EQ(from.sin_port, htons(4711));
    CHECK_EQ(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK_ERR(recv(fd, buf, sizeof(buf), 0), EAGAIN); /* it never receives */
    close(fd);
    close(x);
}

static void unprivileged(void)
{
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        return;
    CHECK_ERR(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
    CHECK_ERR(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
    CHECK_ERR(socket(AF_INET, SOCK_RAW, PROTOCOL), EPERM);
    CHECK_ERR(socket(AF_INET6, SOCK_RAW, IPPROTO_UDP), EPERM);
    CHECK_ERR(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
}

TEST(without_capabilities)
{
    if (geteuid() != 0)
        SKIP("needs root to give it up");
    CHECK_EQ(test_in_child(unprivileged), 0);
}

GUEST_TEST_MAIN
