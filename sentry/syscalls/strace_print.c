/* SPDX-License-Identifier: Apache-2.0 */
/* How --strace writes numbers, flag names, strings and addresses. */
#include "sentry/syscalls/strace_print.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/mm/uaccess.h"

void sputc(struct strace_buf *b, char c)
{
    if (b->len + 1 < b->cap) {
        b->data[b->len++] = c;
        b->data[b->len] = '\0';
    }
}

void sput(struct strace_buf *b, const char *s)
{
    for (; *s != '\0'; s++)
        sputc(b, *s);
}

void sprint(struct strace_buf *b, const char *fmt, ...)
{
    size_t room = b->cap - b->len;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(b->data + b->len, room, fmt, ap);
    va_end(ap);
    if (n > 0)
        b->len += MIN((size_t)n, room - 1);
}

void sput_addr(struct strace_buf *b, uint64_t addr)
{
    if (addr == 0)
        sput(b, "NULL");
    else
        sprint(b, "0x%llx", (unsigned long long)addr);
}

void sput_quoted(struct strace_buf *b, const void *data, size_t size, bool more)
{
    const uint8_t *p = data;

    sputc(b, '"');
    for (size_t i = 0; i < size; i++) {
        bool digit_follows = i + 1 < size && p[i + 1] >= '0' && p[i + 1] <= '9';

        switch (p[i]) {
        case '\n':
            sput(b, "\\n");
            break;
        case '\t':
            sput(b, "\\t");
            break;
        case '\r':
            sput(b, "\\r");
            break;
        case '\v':
            sput(b, "\\v");
            break;
        case '\f':
            sput(b, "\\f");
            break;
        case '"':
        case '\\':
            sputc(b, '\\');
            sputc(b, (char)p[i]);
            break;
        default:
            if (p[i] >= ' ' && p[i] <= '~')
                sputc(b, (char)p[i]);
            else
                sprint(b, digit_follows ? "\\%03o" : "\\%o", p[i]);
        }
    }
    sput(b, more ? "\"..." : "\"");
}

const char *strace_flag_name(const struct strace_flagset *set, uint64_t v)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->flags[i].value == v)
            return set->flags[i].name;
    }
    return NULL;
}

void sput_flags(struct strace_buf *b, const struct strace_flagset *set, uint64_t v)
{
    uint64_t rest = v, named = 0;
    bool first = true, whole = false;

    for (unsigned i = 0; i < set->count; i++) {
        const struct strace_flag *f = &set->flags[i];

        whole = whole || f->mask == UINT64_MAX;
        /* Bits that an earlier, larger name covered are not named twice. */
        if ((v & f->mask) != f->value || (f->value != 0 && (rest & f->value) == 0))
            continue;
        if (named & f->mask && f->value == 0)
            continue;
        sprint(b, "%s%s", first ? "" : "|", f->name);
        first = false;
        named |= f->mask;
        rest &= ~f->mask;
    }
    if (rest != 0)
        sprint(b, "%s0x%llx", first ? "" : "|", (unsigned long long)rest);
    else if (first)
        sputc(b, '0');
    if (first && rest != 0)
        sprint(b, " /* %s_??? */", whole ? set->name : "flags");
}

void sput_signal(struct strace_buf *b, int signo)
{
    const char *name = strace_flag_name(&strace_flags_signal, (uint32_t)signo);

    if (name)
        sput(b, name);
    else
        sprint(b, "%d", signo);
}

void sput_sigset(struct strace_buf *b, uint64_t mask)
{
    bool negate = __builtin_popcountll(mask) > 32;
    bool first = true;

    if (negate)
        mask = ~mask;
    sput(b, negate ? "~[" : "[");
    for (int signo = 1; signo <= 64; signo++) {
        const char *name;

        if (!(mask & 1ull << (signo - 1)))
            continue;
        name = strace_flag_name(&strace_flags_signal, (uint32_t)signo);
        if (!first)
            sputc(b, ' ');
        first = false;
        if (!name)
            sprint(b, "%d", signo);
        else
            sput(b, strncmp(name, "SIG", 3) == 0 ? name + 3 : name);
    }
    sputc(b, ']');
}

void sput_mode(struct strace_buf *b, uint32_t mode)
{
    if (mode & LX_S_IFMT) {
        sput_flags(b, &strace_flags_st_mode, mode & ~0777u);
        sprint(b, "|%#o", mode & 0777u);
    } else {
        sprint(b, mode == 0 ? "000" : "%#o", mode);
    }
}

void sput_dev(struct strace_buf *b, uint64_t dev)
{
    lx_dev_t d = lx_dev_decode(dev);

    sprint(b, "makedev(%#x, %#x)", lx_dev_major(d), lx_dev_minor(d));
}

void sput_fd(struct strace_buf *b, int fd)
{
    sprint(b, "%d", fd);
}

void sput_guest_str(struct strace_buf *b, uaddr_t addr)
{
    char text[1024];
    size_t got, len;

    if (addr == 0) {
        sput(b, "NULL");
        return;
    }
    got = copy_in_partial(text, addr, sizeof(text));
    len = strnlen(text, got);
    if (len == got && got < sizeof(text))
        sput_addr(b, addr); /* ran into memory that is not there */
    else
        sput_quoted(b, text, len, /*more=*/len == got);
}

void sput_guest_bytes(struct strace_buf *b, uaddr_t addr, uint64_t size)
{
    uint8_t data[STRACE_STRING_MAX];
    size_t want = (size_t)MIN(size, sizeof(data));

    if (addr == 0 || copy_in_partial(data, addr, want) != want)
        sput_addr(b, addr);
    else
        sput_quoted(b, data, want, /*more=*/size > want);
}

static void sput_unix_name(struct strace_buf *b, const uint8_t *name, size_t size)
{
    if (size == 0)
        return;
    sput(b, ", sun_path=");
    if (name[0] == '\0') {
        sputc(b, '@');
        sput_quoted(b, name + 1, size - 1, /*more=*/false);
    } else {
        sput_quoted(b, name, strnlen((const char *)name, size), /*more=*/false);
    }
}

static void sput_ipv6(struct strace_buf *b, const uint8_t *a)
{
    int best = -1, best_len = 1;

    for (int i = 0; i < 8; i++) {
        int len = 0;

        while (i + len < 8 && a[2 * (i + len)] == 0 && a[2 * (i + len) + 1] == 0)
            len++;
        if (len > best_len) {
            best = i;
            best_len = len;
        }
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            sput(b, "::");
            i += best_len - 1;
            continue;
        }
        sprint(b, "%s%x", i == 0 || i == best + best_len ? "" : ":", a[2 * i] << 8 | a[2 * i + 1]);
    }
}

void sput_guest_sockaddr(struct strace_buf *b, uaddr_t addr, uint64_t size)
{
    uint8_t a[128] = {0};
    uint16_t family;

    size = MIN(size, sizeof(a));
    if (addr == 0 || size < 2 || copy_in_partial(a, addr, (size_t)size) != size) {
        sput_addr(b, addr);
        return;
    }
    memcpy(&family, a, sizeof(family));
    sput(b, "{sa_family=");
    sput_flags(b, &strace_flags_socket_family, family);
    if (family == 1) {
        sput_unix_name(b, a + 2, (size_t)size - 2);
    } else if (family == 2 && size >= 8) {
        sprint(b, ", sin_port=htons(%u), sin_addr=inet_addr(\"%u.%u.%u.%u\")", a[2] << 8 | a[3],
               a[4], a[5], a[6], a[7]);
    } else if (family == 10 && size >= 24) {
        sprint(b, ", sin6_port=htons(%u), inet_pton(AF_INET6, \"", a[2] << 8 | a[3]);
        sput_ipv6(b, a + 8);
        sput(b, "\")");
    } else if (family == 16 && size >= 12) {
        uint32_t nl[2];

        memcpy(nl, a + 4, sizeof(nl));
        sprint(b, ", nl_pid=%u, nl_groups=%#x", nl[0], nl[1]);
    } else {
        sput(b, ", sa_data=");
        sput_quoted(b, a + 2, (size_t)size - 2, /*more=*/false);
    }
    sputc(b, '}');
}
