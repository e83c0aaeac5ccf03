/* SPDX-License-Identifier: Apache-2.0 */
/* packet(7) on lo: what AF_PACKET sockets see, send, filter and map. Each test has a network namespace of
 * its own. */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "tests/support/guest_test.h"

static bool own_network(void)
{
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    static bool admin;
    int fd;

    if (unshare(admin || !geteuid() ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET))
        return false;
    admin = true;
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
    close(fd);
    return true;
}

static int watch(int type, int protocol)
{
    struct sockaddr_ll ll = {
        .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = 1};
    int fd = socket(AF_PACKET, type, 0);

    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
    return fd;
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A UDP socket bound to the port. */
static int udp_at(int port)
{
    struct sockaddr_in in = loopback(port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    CHECK_EQ(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}

static void udp_send(int fd, int port, const void *data, size_t size)
{
    struct sockaddr_in in = loopback(port);

    CHECK_EQ(sendto(fd, data, size, 0, (struct sockaddr *)&in, sizeof(in)), size);
}

static ssize_t next(int fd, void *buf, size_t size, struct sockaddr_ll *from)
{
    socklen_t len = sizeof(*from);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    memset(from, 0xee, sizeof(*from));
    if (poll(&p, 1, -1) != 1)
        return -1;
    return recvfrom(fd, buf, size, 0, (struct sockaddr *)from, &len);
}

static void nothing_left(int fd)
{
    char byte;

    CHECK_ERR(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
}

TEST(needs_net_raw)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        if (!geteuid() && setresuid(1000, 1000, 1000))
            _exit(1);
        _exit(sys(SYS_socket, AF_PACKET, SOCK_RAW, 0) != -EPERM);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST(creation_and_errors)
{
    struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_ifindex = 99};
    socklen_t len = sizeof(ll);
    char buf[64] = {0};
    int fd;

    if (!own_network())
        SKIP_ON_HOST("no network namespaces");
    CHECK_ERR(sysp(SYS_socket, AF_PACKET, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
    fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    CHECK(fd >= 0);
    CHECK_ERR(bind(fd, (struct sockaddr *)&ll, sizeof(ll) - 1), EINVAL);
    CHECK_ERR(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), ENODEV);
    ll.sll_family = AF_INET;
    CHECK_ERR(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), EINVAL);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&ll, &len), 0);
    CHECK_EQ(len, 12);
    CHECK_EQ(ntohs(ll.sll_protocol), ETH_P_ALL);
    CHECK_EQ(ll.sll_ifindex, 0);
    CHECK_ERR(getpeername(fd, (struct sockaddr *)&ll, &len), EOPNOTSUPP);
    CHECK_ERR(listen(fd, 1), EOPNOTSUPP);
    CHECK_ERR(send(fd, buf, sizeof(buf), 0), ENXIO);
    ll = (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_ifindex = 1};
    CHECK_ERR(sendto(fd, buf, sizeof(buf), 0, (struct sockaddr *)&ll, sizeof(ll) - 1), EINVAL);
    CHECK_ERR(sendto(fd, buf, 13, 0, (struct sockaddr *)&ll, sizeof(ll)), EINVAL);
    CHECK_ERR(recv(fd, buf, 1, MSG_DONTWAIT | MSG_OOB), EINVAL);
    CHECK_ERR(recv(fd, buf, 1, MSG_DONTWAIT), EAGAIN);
    ll.sll_protocol = htons(ETH_P_IP);
    CHECK_EQ(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
    len = sizeof(ll);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&ll, &len), 0);
    CHECK_EQ(len, 18);
    CHECK_EQ(ntohs(ll.sll_protocol), ETH_P_IP);
    CHECK_EQ(ll.sll_hatype, 772);
    CHECK_EQ(ll.sll_halen, 6);
    ll.sll_protocol = 0;
    CHECK_EQ(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&ll, &len), 0);
    CHECK_EQ(ntohs(ll.sll_protocol), ETH_P_IP);
    close(fd);
}

/* All see it leave and come in; of one protocol, come in. */
TEST(a_datagram_is_seen)
{
    struct sockaddr_ll from;
    uint8_t buf[256];
    int all, ip, six, udp;

    if (!own_network())
        SKIP_ON_HOST("no network namespaces");
    all = watch(SOCK_RAW, ETH_P_ALL);
    ip = watch(SOCK_DGRAM, ETH_P_IP);
    six = watch(SOCK_RAW, ETH_P_IPV6);
    udp = udp_at(7777);
    udp_send(udp, 7777, "hello", 5);
    CHECK_EQ(next(all, buf, sizeof(buf), &from), 14 + 20 + 8 + 5);
    CHECK_EQ(from.sll_family, AF_PACKET);
    CHECK_EQ(from.sll_pkttype, PACKET_OUTGOING);
    CHECK_EQ(from.sll_ifindex, 1);
    CHECK_EQ(from.sll_hatype, 772);
    CHECK_EQ(from.sll_halen, 6);
    CHECK_EQ(ntohs(from.sll_protocol), ETH_P_IP);
    CHECK_EQ(buf[12] << 8 | buf[13], ETH_P_IP);
    CHECK_EQ(next(all, buf, sizeof(buf), &from), 14 + 20 + 8 + 5);
    CHECK_EQ(from.sll_pkttype, PACKET_HOST);
    CHECK_EQ(buf[14], 0x45);
    CHECK_EQ(buf[14 + 9], IPPROTO_UDP);
    CHECK_EQ(buf[34 + 2] << 8 | buf[34 + 3], 7777);
    CHECK(memcmp(buf + 42, "hello", 5) == 0);
    nothing_left(all);
    CHECK_EQ(next(ip, buf, sizeof(buf), &from), 20 + 8 + 5);
    CHECK_EQ(from.sll_pkttype, PACKET_HOST);
    CHECK_EQ(buf[0], 0x45);
    nothing_left(ip);
    nothing_left(six);
    close(all);
    close(ip);
    close(six);
    close(udp);
}

TEST(cut_and_peeked)
{
    struct msghdr m;
    struct sockaddr_ll from;
    struct tpacket_auxdata aux;
    struct tpacket_stats st;
    union {
        char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
        struct cmsghdr align;
    } control;
    uint8_t buf[256];
    struct iovec iov = {buf, 20};
    socklen_t len = sizeof(st);
    int fd, udp, one = 1;

    if (!own_network())
        SKIP_ON_HOST("no network namespaces");
    fd = watch(SOCK_DGRAM, ETH_P_IP);
    CHECK_EQ(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)), 0);
    udp = udp_at(7777);
    udp_send(udp, 7777, "0123456789", 10);
    CHECK_EQ(recv(fd, buf, 4, MSG_PEEK), 4);
    CHECK_EQ(recv(fd, buf, 4, MSG_TRUNC), 38);
    udp_send(udp, 7777, "0123456789", 10);
    m = (struct msghdr){.msg_name = &from,
                        .msg_namelen = sizeof(from),
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control)};
    CHECK_EQ(recvmsg(fd, &m, 0), 20);
    CHECK_EQ(m.msg_flags, MSG_TRUNC);
    CHECK_EQ(m.msg_namelen, sizeof(from));
    CHECK_EQ(control.align.cmsg_level, SOL_PACKET);
    CHECK_EQ(control.align.cmsg_type, PACKET_AUXDATA);
    memcpy(&aux, CMSG_DATA(&control.align), sizeof(aux));
    CHECK(aux.tp_status & TP_STATUS_USER);
    CHECK_EQ(aux.tp_len, 38);
    CHECK_EQ(aux.tp_snaplen, 38);
    CHECK_EQ(aux.tp_mac, 0);
    CHECK_EQ(aux.tp_net, 0);
    CHECK_EQ(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len), 0);
    CHECK_EQ(len, sizeof(st));
    CHECK_EQ(st.tp_packets, 2);
    CHECK_EQ(st.tp_drops, 0);
    CHECK_EQ(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len), 0);
    CHECK_EQ(st.tp_packets, 0);
    close(fd);
    close(udp);
}

TEST(filter_sees_the_frame)
{
    /* UDP to port 7777: 30 bytes of it, else nothing. */
    struct sock_filter code[] = {
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, 12}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 5, ETH_P_IP},
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 23}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, IPPROTO_UDP},
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, 36}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 7777},
        {BPF_RET | BPF_K, 0, 0, 30},          {BPF_RET | BPF_K, 0, 0, 0},
    };
    struct sock_fprog prog = {8, code};
    struct sockaddr_ll from;
    uint8_t buf[256];
    int fd, a, b;

    if (!own_network())
        SKIP_ON_HOST("no network namespaces");
    fd = watch(SOCK_RAW, ETH_P_IP);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), 0);
    a = udp_at(7777);
    b = udp_at(8888);
    udp_send(a, 8888, "no", 2);
    udp_send(b, 7777, "yes", 3);
    CHECK_EQ(next(fd, buf, sizeof(buf), &from), 30);
    nothing_left(fd);
    close(fd);
    close(a);
    close(b);
}

static uint16_t checksum(uint32_t sum, const void *data, size_t size)
{
    const uint16_t *p = data;

    for (; size > 1; size -= 2)
        sum += *p++;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* A packet of our own reaches the socket with the port. Over IPv4 the host believes no loopback address
 * that comes from a device. */
TEST(what_is_sent_arrives)
{
    struct sockaddr_ll ll = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_IPV6),
                             .sll_ifindex = 1,
                             .sll_halen = 6};
    struct {
        struct ip6_hdr ip;
        struct udphdr udp;
        char data[4];
    } p = {.udp = {.source = htons(5555), .dest = htons(7777), .len = htons(12)}, .data = "abcd"};
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(7777), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof(in6);
    struct sockaddr_ll from;
    uint8_t buf[256];
    int fd, other, udp;

    if (!own_network())
        SKIP_ON_HOST("no network namespaces");
    p.ip.ip6_flow = htonl(6u << 28);
    p.ip.ip6_plen = htons(12);
    p.ip.ip6_nxt = IPPROTO_UDP;
    p.ip.ip6_hlim = 64;
    p.ip.ip6_src = p.ip.ip6_dst = in6.sin6_addr;
    p.udp.check = checksum(htons(12) + htons(IPPROTO_UDP), &p.ip.ip6_src, 32 + 12);
    udp = socket(AF_INET6, SOCK_DGRAM, 0);
    CHECK_EQ(bind(udp, (struct sockaddr *)&in6, sizeof(in6)), 0);
    fd = watch(SOCK_DGRAM, ETH_P_ALL);
    other = watch(SOCK_RAW, ETH_P_ALL);
    p.data[0] = 'x'; /* spoils the checksum */
    CHECK_EQ(sendto(fd, &p, 52, 0, (struct sockaddr *)&ll, sizeof(ll)), 52);
    p.data[0] = 'a';
    CHECK_EQ(sendto(fd, &p, 52, 0, (struct sockaddr *)&ll, sizeof(ll)), 52);
    CHECK_EQ(recvfrom(udp, buf, sizeof(buf), 0, (struct sockaddr *)&in6, &len), 4);
    CHECK_EQ(ntohs(in6.sin6_port), 5555);
    CHECK(memcmp(buf, "abcd", 4) == 0);
    /* Its own it sees come in only. */
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(next(fd, buf, sizeof(buf), &from), 52);
        CHECK_EQ(from.sll_pkttype, PACKET_HOST);
        CHECK_EQ(next(other, buf, sizeof(buf), &from), 66);
        CHECK_EQ(from.sll_pkttype, PACKET_OUTGOING);
        CHECK_EQ(next(other, buf, sizeof(buf), &from), 66);
        CHECK_EQ(from.sll_pkttype, PACKET_HOST);
    }
    nothing_left(fd);
    nothing_left(other);
    close(fd);
    close(other);
    close(udp);
}

/* The next frame of a connection that carries TCP, without its outgoing twin: its flags. */
static int tcp_frame(int fd, int from_port, struct tcphdr *out, int *data)
{
    struct sockaddr_ll from;
    uint8_t buf[2048];
    ssize_t n;

    while ((n = next(fd, buf, sizeof(buf), &from)) > 0) {
        if (from.sll_pkttype == PACKET_OUTGOING || buf[9] != IPPROTO_TCP)
            continue;
        memcpy(out, buf + 20, sizeof(*out));
        *data = (int)n - 20 - out->doff * 4;
        if (ntohs(out->source) != from_port)
            continue;
        return buf[20 + 13] & 0x17; /* ACK, RST, SYN, FIN */
    }
    return -1;
}

/* A connection has the frames that it must have, and their numbers follow from each other. */
TEST(a_connection_is_seen)
{
    struct sockaddr_in in = loopback(7070);
    socklen_t len = sizeof(in);
    struct tcphdr h;
    uint32_t seq;
    char buf[16];
    int fd, l, c, s, data, port, flags;

    if (!own_network())
        SKIP_ON_HOST("no network namespaces");
    l = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(l, (struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_EQ(listen(l, 1), 0);
    fd = watch(SOCK_DGRAM, ETH_P_ALL);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(c, (struct sockaddr *)&in, sizeof(in)), 0);
    s = accept(l, NULL, NULL);
    CHECK_EQ(write(c, "hello", 5), 5);
    CHECK_EQ(read(s, buf, sizeof(buf)), 5);
    CHECK_EQ(getsockname(c, (struct sockaddr *)&in, &len), 0);
    port = ntohs(in.sin_port);
    close(c);
    CHECK_EQ(read(s, buf, sizeof(buf)), 0);
    close(s);
    CHECK_EQ(tcp_frame(fd, port, &h, &data), TH_SYN);
    CHECK_EQ(data, 0);
    seq = ntohl(h.seq);
    do {
        flags = tcp_frame(fd, port, &h, &data);
    } while (flags == TH_ACK && !data);
    CHECK_EQ(flags, TH_ACK);
    CHECK_EQ(data, 5);
    CHECK_EQ(ntohl(h.seq), seq + 1);
    do {
        flags = tcp_frame(fd, port, &h, &data);
    } while (flags == TH_ACK);
    CHECK_EQ(flags, TH_FIN | TH_ACK);
    CHECK_EQ(ntohl(h.seq), seq + 6);
    close(fd);
    close(l);
}

TEST(refused_connection_is_seen)
{
    struct sockaddr_in in = loopback(7071);
    struct tcphdr h;
    int fd, c, data;

    if (!own_network())
        SKIP_ON_HOST("no network namespaces");
    fd = watch(SOCK_DGRAM, ETH_P_ALL);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERR(connect(c, (struct sockaddr *)&in, sizeof(in)), ECONNREFUSED);
    CHECK_EQ(tcp_frame(fd, 7071, &h, &data), TH_RST | TH_ACK);
    CHECK_EQ(ntohl(h.seq), 0);
    close(fd);
    close(c);
}

TEST(echo_is_seen)
{
    struct sockaddr_in in = loopback(0);
    struct icmphdr echo = {.type = ICMP_ECHO, .un.echo.id = htons(77)};
    struct sockaddr_ll from;
    uint8_t buf[256];
    int fd, icmp;

    if (!own_network())
        SKIP_ON_HOST("no network namespaces");
    fd = watch(SOCK_DGRAM, ETH_P_IP);
    icmp = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    echo.checksum = checksum(0, &echo, sizeof(echo));
    CHECK_EQ(sendto(icmp, &echo, sizeof(echo), 0, (struct sockaddr *)&in, sizeof(in)), 8);
    CHECK_EQ(next(fd, buf, sizeof(buf), &from), 28);
    CHECK_EQ(buf[20], ICMP_ECHO);
    CHECK_EQ(next(fd, buf, sizeof(buf), &from), 28);
    CHECK_EQ(buf[20], ICMP_ECHOREPLY);
    nothing_left(fd);
    close(fd);
    close(icmp);
}

TEST(ring_sizes)
{
    struct tpacket_req r = {.tp_block_size = 4096, .tp_block_nr = 4, .tp_frame_size = 2048};
    int fd, v, version = TPACKET_V2;
    socklen_t len = sizeof(v);

    if (!own_network())
        SKIP_ON_HOST("no network namespaces");
    fd = watch(SOCK_RAW, ETH_P_ALL);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
    v = TPACKET_V2;
    CHECK_EQ(getsockopt(fd, SOL_PACKET, PACKET_HDRLEN, &v, &len), 0);
    CHECK_EQ(v, sizeof(struct tpacket2_hdr));
    v = 77;
    CHECK_ERR(getsockopt(fd, SOL_PACKET, PACKET_HDRLEN, &v, &len), EINVAL);
    CHECK_EQ(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)), 0);
    version = 77;
    CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)), EINVAL);
    r.tp_frame_nr = 7;
    CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)), EINVAL);
    r.tp_frame_nr = 8;
    r.tp_block_size = 4095;
    CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)), EINVAL);
    r.tp_block_size = 4096;
    r.tp_frame_size = 2049;
    CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)), EINVAL);
    r.tp_frame_size = 32;
    CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)), EINVAL);
    r.tp_frame_size = 2048;
    CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r) - 1), EINVAL);
    CHECK_EQ(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)), 0);
    CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)), EBUSY);
    version = TPACKET_V1;
    CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)), EBUSY);
    close(fd);
}

TEST(ring_is_filled)
{
    struct tpacket_req r = {
        .tp_block_size = 4096, .tp_block_nr = 2, .tp_frame_size = 2048, .tp_frame_nr = 4};
    struct pollfd p = {.events = POLLIN};
    int fd, udp, version = TPACKET_V2;
    struct tpacket_stats st;
    socklen_t len = sizeof(st);
    uint8_t *map;

    if (!own_network())
        SKIP_ON_HOST("no network namespaces");
    fd = watch(SOCK_RAW, ETH_P_IP);
    p.fd = fd;
    CHECK_EQ(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)), 0);
    CHECK_EQ(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)), 0);
    map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(map != MAP_FAILED);
    CHECK_EQ(poll(&p, 1, 0), 0);
    udp = udp_at(7777);
    for (int i = 0; i < 5; i++)
        udp_send(udp, 7777, "0123456789", (size_t)(5 + i)); /* one more than there is room for */
    CHECK_EQ(poll(&p, 1, -1), 1);
    for (int i = 0; i < 4; i++) {
        struct tpacket2_hdr *h = (void *)(map + i * 2048);
        struct sockaddr_ll *ll = (void *)(map + i * 2048 + 32);

        CHECK(h->tp_status & TP_STATUS_USER);
        CHECK_EQ(h->tp_len, 47 + i);
        CHECK_EQ(h->tp_snaplen, 47 + i);
        CHECK_EQ(h->tp_mac, 66);
        CHECK_EQ(h->tp_net, 80);
        CHECK_EQ(ll->sll_pkttype, PACKET_HOST);
        CHECK_EQ(ntohs(ll->sll_protocol), ETH_P_IP);
        CHECK(memcmp(map + i * 2048 + h->tp_mac + 42, "0123456789", (size_t)(5 + i)) == 0);
    }
    CHECK_EQ(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len), 0);
    CHECK_EQ(st.tp_packets, 5);
    CHECK_EQ(st.tp_drops, 1);
    for (int i = 0; i < 4; i++)
        __atomic_store_n((uint32_t *)(void *)(map + i * 2048), 0, __ATOMIC_RELEASE);
    CHECK_EQ(poll(&p, 1, 0), 0);
    udp_send(udp, 7777, "x", 1);
    CHECK(__atomic_load_n((uint32_t *)(void *)map, __ATOMIC_ACQUIRE) & TP_STATUS_USER);
    r.tp_block_nr = r.tp_frame_nr = 0;
    CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)), EBUSY);
    munmap(map, 8192);
    CHECK_EQ(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof(r)), 0);
    close(fd);
    close(udp);
}

GUEST_TEST_MAIN
