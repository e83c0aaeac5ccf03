/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How --strace writes guest arrays. Element by element through one loop (put_elements), so that the
 * limits on what is shown and the fall-back for unreadable memory are in one place.
 */
#include "sentry/syscalls/strace_array.h"

#include <errno.h>
#include <string.h>

#include "sentry/abi/epoll.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/strace_struct.h"

#define LLU(x)      ((unsigned long long)(x))
#define ELEMENT_MAX 16

typedef void put_element_fn(struct strace_buf *b, const void *data, void *arg);

static void put_elements(struct strace_buf *b, uaddr_t addr, uint64_t count, size_t size,
                         put_element_fn *put, void *arg)
{
    _Alignas(16) uint8_t element[ELEMENT_MAX];

    sputc(b, '[');
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0)
            sput(b, ", ");
        if (i == STRACE_ARRAY_MAX) {
            sput(b, "...");
            break;
        }
        if (copy_in_partial(element, addr + i * size, size) != size) {
            sprint(b, "... /* 0x%llx */", LLU(addr + i * size));
            break;
        }
        put(b, element, arg);
    }
    sputc(b, ']');
}

static void put_gid(struct strace_buf *b, const void *data, void *arg)
{
    uint32_t v;

    memcpy(&v, data, sizeof(v));
    sprint(b, "%u", v);
}

static void put_pollfd(struct strace_buf *b, const void *data, void *arg)
{
    const struct lx_pollfd *p = data;

    sprint(b, "{fd=%d, events=", p->fd);
    sput_flags(b, &strace_flags_poll_events, (uint16_t)p->events);
    sputc(b, '}');
}

static void put_epoll_event(struct strace_buf *b, const void *data, void *arg)
{
    struct lx_epoll_event ev;
    uint64_t value;

    memcpy(&ev, data, sizeof(ev));
    memcpy(&value, &ev.data, sizeof(value));
    sput(b, "{events=");
    sput_flags(b, &strace_flags_epoll_events, ev.events);
    sprint(b, ", data=0x%llx}", LLU(value));
}

static void put_sembuf(struct strace_buf *b, const void *data, void *arg)
{
    uint16_t v[3];

    memcpy(v, data, sizeof(v));
    sprint(b, "{%u, %d, %#x}", v[0], (int16_t)v[1], v[2]);
}

struct iovec_arg {
    bool decode;
    uint64_t limit; /* bytes that the call moved */
};

static void put_iovec(struct strace_buf *b, const void *data, void *arg)
{
    struct iovec_arg *a = arg;
    uint64_t v[2], size;

    memcpy(v, data, sizeof(v));
    size = MIN(v[1], a->limit);
    sput(b, "{iov_base=");
    if (a->decode)
        sput_guest_bytes(b, v[0], size);
    else
        sput_addr(b, v[0]);
    sprint(b, ", iov_len=%llu}", LLU(v[1]));
    a->limit -= size;
}

void sput_guest_iovec(struct strace_buf *b, uaddr_t addr, uint64_t count, bool decode,
                      uint64_t limit)
{
    struct iovec_arg arg = {.decode = decode, .limit = limit};

    put_elements(b, addr, count, 16, put_iovec, &arg);
}

static void put_string_pointer(struct strace_buf *b, const void *data, void *arg)
{
    uint64_t addr;

    memcpy(&addr, data, sizeof(addr));
    sput_guest_str(b, addr);
}

/* Pointers before the NULL; -EFAULT when there is none that can be read. */
static int count_strings(uaddr_t addr)
{
    for (int i = 0; i < 100000; i++) {
        uint64_t p;

        if (copy_in_partial(&p, addr + 8u * (unsigned)i, sizeof(p)) != sizeof(p))
            return -EFAULT;
        if (p == 0)
            return i;
    }
    return -EFAULT;
}

static void put_strings(struct strace_buf *b, enum strace_kind kind, uaddr_t addr)
{
    int count = count_strings(addr);

    if (count < 0)
        sput_addr(b, addr);
    else if (kind == STRACE_KIND_ENVV)
        sprint(b, "0x%llx /* %d var%s */", LLU(addr), count, count == 1 ? "" : "s");
    else
        put_elements(b, addr, (uint64_t)count, 8, put_string_pointer, NULL);
}

/* Directory entries are many: strace shows how many, and so do we. */
static void put_dirents(struct strace_buf *b, enum strace_kind kind, uaddr_t addr, uint64_t size)
{
    uint64_t at = 0;
    int count = 0;

    while (at + 18 < size) {
        uint16_t reclen;

        if (copy_in_partial(&reclen, addr + at + 16, 2) != 2 || reclen < 19)
            break;
        at += reclen;
        count++;
    }
    sprint(b, "0x%llx /* %d entr%s */", LLU(addr), count, count == 1 ? "y" : "ies");
}

static void put_cpuset(struct strace_buf *b, uaddr_t addr, uint64_t size)
{
    uint8_t set[128];
    bool first = true;

    size = MIN(size, sizeof(set));
    if (copy_in_partial(set, addr, (size_t)size) != size) {
        sput_addr(b, addr);
        return;
    }
    sputc(b, '[');
    for (unsigned i = 0; i < size * 8; i++) {
        if (!(set[i / 8] & 1u << (i % 8)))
            continue;
        sprint(b, "%s%u", first ? "" : " ", i);
        first = false;
    }
    sputc(b, ']');
}

void sput_guest_fdset(struct strace_buf *b, uaddr_t addr, uint64_t nfds)
{
    uint8_t set[128] = {0};
    size_t size;
    bool first = true;

    if (addr == 0) {
        sput(b, "NULL");
        return;
    }
    nfds = MIN(nfds, sizeof(set) * 8);
    size = (size_t)(nfds + 63) / 64 * 8;
    if (copy_in_partial(set, addr, size) != size) {
        sput_addr(b, addr);
        return;
    }
    sputc(b, '[');
    for (unsigned i = 0; i < nfds; i++) {
        if (!(set[i / 8] & 1u << (i % 8)))
            continue;
        sprint(b, "%s%u", first ? "" : " ", i);
        first = false;
    }
    sputc(b, ']');
}

void sput_guest_revents(struct strace_buf *b, uaddr_t addr, uint64_t count)
{
    bool first = true;

    sputc(b, '[');
    for (uint64_t i = 0; i < MIN(count, 4096u); i++) {
        struct lx_pollfd p;

        if (copy_in_partial(&p, addr + i * sizeof(p), sizeof(p)) != sizeof(p))
            break;
        if (p.revents == 0)
            continue;
        sprint(b, "%s{fd=%d, revents=", first ? "" : ", ", p.fd);
        sput_flags(b, &strace_flags_poll_events, (uint16_t)p.revents);
        sputc(b, '}');
        first = false;
    }
    sputc(b, ']');
}

/* struct user_msghdr as seven words; the 32-bit lengths share theirs with padding. */
enum { MSG_NAME, MSG_NAMELEN, MSG_IOV, MSG_IOVLEN, MSG_CONTROL, MSG_CONTROLLEN, MSG_FLAGS };

void sput_guest_msghdr(struct strace_buf *b, uaddr_t addr, bool decode, uint64_t limit)
{
    uint64_t m[7];

    if (copy_in_partial(m, addr, sizeof(m)) != sizeof(m)) {
        sput_addr(b, addr);
        return;
    }
    sput(b, "{msg_name=");
    sput_guest_sockaddr(b, m[MSG_NAME], (uint32_t)m[MSG_NAMELEN]);
    sprint(b, ", msg_namelen=%u, msg_iov=", (uint32_t)m[MSG_NAMELEN]);
    sput_guest_iovec(b, m[MSG_IOV], m[MSG_IOVLEN], decode, limit);
    sprint(b, ", msg_iovlen=%llu", LLU(m[MSG_IOVLEN]));
    if (m[MSG_CONTROL])
        sprint(b, ", msg_control=0x%llx", LLU(m[MSG_CONTROL]));
    sprint(b, ", msg_controllen=%llu, msg_flags=", LLU(m[MSG_CONTROLLEN]));
    sput_flags(b, &strace_flags_msg, (uint32_t)m[MSG_FLAGS]);
    sputc(b, '}');
}

static void put_mmsghdrs(struct strace_buf *b, uaddr_t addr, uint64_t count, bool decode)
{
    sputc(b, '[');
    for (uint64_t i = 0; i < MIN(count, 8u); i++) {
        uint32_t len = 0;

        sput(b, i > 0 ? ", {msg_hdr=" : "{msg_hdr=");
        sput_guest_msghdr(b, addr + i * 64, decode, UINT64_MAX);
        if (copy_in_partial(&len, addr + i * 64 + 56, sizeof(len)) == sizeof(len))
            sprint(b, ", msg_len=%u", len);
        sputc(b, '}');
    }
    sput(b, count > 8 ? ", ...]" : "]");
}

static void put_sockoptval(struct strace_buf *b, uaddr_t addr, uint64_t size)
{
    int32_t v[2];

    if (size == 4 && copy_in_partial(v, addr, 4) == 4)
        sprint(b, "[%d]", v[0]);
    else
        sput_guest_bytes(b, addr, size);
}

void sput_guest_array(struct strace_buf *b, enum strace_kind kind, enum strace_dir dir,
                      uaddr_t addr, uint64_t count)
{
    bool decode = dir != STRACE_NODIR;

    switch ((int)kind) {
    case STRACE_KIND_BYTES:
        sput_guest_bytes(b, addr, count);
        break;
    case STRACE_KIND_STR:
        sput_guest_str(b, addr);
        break;
    case STRACE_KIND_STRV:
    case STRACE_KIND_ENVV:
        put_strings(b, kind, addr);
        break;
    case STRACE_KIND_CPUSET:
        put_cpuset(b, addr, count);
        break;
    case STRACE_KIND_DIRENT:
    case STRACE_KIND_DIRENT64:
        put_dirents(b, kind, addr, count);
        break;
    case STRACE_KIND_EPOLL_EVENT:
        put_elements(b, addr, count, sizeof(struct lx_epoll_event), put_epoll_event, NULL);
        break;
    case STRACE_KIND_FDSET:
        sput_guest_fdset(b, addr, count);
        break;
    case STRACE_KIND_GIDS:
        put_elements(b, addr, count, 4, put_gid, NULL);
        break;
    case STRACE_KIND_IOVEC:
        sput_guest_iovec(b, addr, count, decode, UINT64_MAX);
        break;
    case STRACE_KIND_MSGHDR:
        sput_guest_msghdr(b, addr, decode, UINT64_MAX);
        break;
    case STRACE_KIND_MMSGHDR:
        put_mmsghdrs(b, addr, count, decode);
        break;
    case STRACE_KIND_POLLFD:
        put_elements(b, addr, count, sizeof(struct lx_pollfd), put_pollfd, NULL);
        break;
    case STRACE_KIND_SEMBUF:
        put_elements(b, addr, count, 6, put_sembuf, NULL);
        break;
    case STRACE_KIND_SOCKADDR:
        sput_guest_sockaddr(b, addr, count);
        break;
    case STRACE_KIND_SOCKOPTVAL:
        put_sockoptval(b, addr, count);
        break;
    default:
        sput_addr(b, addr);
    }
}
