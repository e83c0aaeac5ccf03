/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments whose meaning depends on another argument (fcntl, ioctl, futex, prctl), the number of
 * elements behind a pointer, and results. Everything else goes straight to a printer.
 */
#include "sentry/syscalls/strace_args.h"

#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/termios.h"
#include "sentry/core/restart.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/strace_array.h"
#include "sentry/syscalls/strace_struct.h"

#define LX_O_CREAT_OR_TMPFILE (0100u | 020000000u)
#define LX_FUTEX_CMD_MASK     0x7fu

static bool is_call(const struct strace_call *c, const char *name)
{
    return strcmp(c->desc->name, name) == 0;
}

/* A register cut to what the argument's type keeps; signed types come sign-extended. */
static uint64_t arg_value(const struct strace_call *c, int i)
{
    uint64_t v = c->args[i];

    switch (c->desc->args[i].type) {
    case STRACE_TYPE_INT:
    case STRACE_TYPE_PID:
    case STRACE_TYPE_FD:
    case STRACE_TYPE_DIRFD:
        return (uint64_t)(int64_t)(int32_t)v;
    case STRACE_TYPE_UINT:
    case STRACE_TYPE_UID:
    case STRACE_TYPE_GID:
        return (uint32_t)v;
    case STRACE_TYPE_MODE:
        return (uint16_t)v;
    case STRACE_TYPE_LONG:
    case STRACE_TYPE_ULONG:
    case STRACE_TYPE_SIZE:
    case STRACE_TYPE_UADDR:
    case STRACE_TYPE_OFF:
    case STRACE_TYPE_PATH:
    case STRACE_TYPE_STR:
    case STRACE_TYPE_PTR:
        break;
    }
    return v;
}

static bool is_inout_number(const struct strace_arg *a)
{
    return a->type == STRACE_TYPE_PTR && a->dir == STRACE_INOUT &&
           (a->kind == STRACE_KIND_INT || a->kind == STRACE_KIND_OFF);
}

static bool read_number(const struct strace_arg *a, uaddr_t addr, int64_t *out)
{
    int32_t v32;

    if (addr == 0)
        return false;
    if (a->kind == STRACE_KIND_OFF)
        return copy_in_partial(out, addr, 8) == 8;
    if (copy_in_partial(&v32, addr, 4) != 4)
        return false;
    *out = v32;
    return true;
}

void strace_call_remember(struct strace_call *c)
{
    for (int i = 0; i < c->desc->arg_count; i++) {
        c->before[i] = 0;
        if (is_inout_number(&c->desc->args[i]))
            (void)read_number(&c->desc->args[i], c->args[i], &c->before[i]); /* stays 0 */
    }
}

/* futex operations that look at utime, uaddr2 and val3. */
static bool futex_uses(uint32_t op, const char *arg)
{
    uint32_t cmd = op & LX_FUTEX_CMD_MASK;
    bool waits = cmd == 0 || cmd == 6 || cmd == 9 || cmd == 11 || cmd == 13;
    bool two = cmd == 3 || cmd == 4 || cmd == 5 || cmd == 11 || cmd == 12;

    if (strcmp(arg, "utime") == 0)
        return waits || two;
    if (strcmp(arg, "uaddr2") == 0)
        return two;
    if (strcmp(arg, "val3") == 0)
        return cmd == 4 || cmd == 5 || cmd == 9 || cmd == 10 || cmd == 12;
    if (strcmp(arg, "val") == 0)
        return cmd != 6 && cmd != 7 && cmd != 8 && cmd != 13;
    return true;
}

static bool fcntl_has_arg(uint64_t cmd)
{
    switch (cmd) {
    case 1:    /* F_GETFD */
    case 3:    /* F_GETFL */
    case 9:    /* F_GETOWN */
    case 11:   /* F_GETSIG */
    case 1025: /* F_GETLEASE */
    case 1032: /* F_GETPIPE_SZ */
    case 1034: /* F_GET_SEALS */
        return false;
    default:
        return true;
    }
}

bool strace_arg_hidden(const struct strace_call *c, int i)
{
    const struct strace_arg *a = &c->desc->args[i];

    if (a->type == STRACE_TYPE_MODE && (is_call(c, "open") || is_call(c, "openat")))
        return !(c->args[i - 1] & LX_O_CREAT_OR_TMPFILE);
    if (a->kind == STRACE_KIND_FCNTL_ARG)
        return !fcntl_has_arg((uint32_t)c->args[1]);
    if (is_call(c, "futex"))
        return !futex_uses((uint32_t)c->args[1], a->name);
    if (is_call(c, "mremap") && i == 4)
        return !(c->args[3] & 6);
    if (is_call(c, "prctl") && i >= 1) {
        /* Trailing zeros say nothing. */
        for (int k = i; k < 5; k++) {
            if (c->args[k] != 0)
                return false;
        }
        return true;
    }
    return false;
}

bool strace_arg_late(const struct strace_call *c, int i)
{
    const struct strace_arg *a = &c->desc->args[i];
    uint32_t cmd = (uint32_t)c->args[1];

    if (a->kind == STRACE_KIND_IOCTL_ARG || is_inout_number(a))
        return true;
    if (a->kind == STRACE_KIND_FCNTL_ARG)
        return cmd == 5 || cmd == 36 || cmd == 16; /* F_GETLK, F_OFD_GETLK, F_GETOWN_EX */
    if (a->kind == STRACE_KIND_PRCTL_ARG)
        return cmd == 16; /* PR_GET_NAME */
    return a->type == STRACE_TYPE_PTR && a->dir == STRACE_OUT;
}

/* How many elements or bytes stand behind pointer argument i. */
static uint64_t element_count(const struct strace_call *c, int i, bool over, long ret)
{
    const struct strace_arg *a = &c->desc->args[i];
    int64_t v;

    if (a->count == STRACE_COUNT_NONE)
        return 1;
    if (a->count == STRACE_COUNT_RET)
        return over && ret > 0 ? (uint64_t)ret : 0;
    if (c->desc->args[a->count].type != STRACE_TYPE_PTR)
        return arg_value(c, a->count);
    return read_number(&c->desc->args[a->count], c->args[a->count], &v) ? (uint64_t)(uint32_t)v : 0;
}

static void put_flock(struct strace_buf *b, uaddr_t addr)
{
    static const char *const types[] = {"F_RDLCK", "F_WRLCK", "F_UNLCK"};
    static const char *const whences[] = {"SEEK_SET", "SEEK_CUR", "SEEK_END"};
    struct lx_flock l;

    if (copy_in_partial(&l, addr, sizeof(l)) != sizeof(l)) {
        sput_addr(b, addr);
        return;
    }
    sput(b, "{l_type=");
    if (l.l_type >= 0 && l.l_type < 3)
        sput(b, types[l.l_type]);
    else
        sprint(b, "%d", l.l_type);
    sput(b, ", l_whence=");
    if (l.l_whence >= 0 && l.l_whence < 3)
        sput(b, whences[l.l_whence]);
    else
        sprint(b, "%d", l.l_whence);
    sprint(b, ", l_start=%lld, l_len=%lld", (long long)l.l_start, (long long)l.l_len);
    if (l.l_pid)
        sprint(b, ", l_pid=%d", l.l_pid);
    sputc(b, '}');
}

static void put_fcntl_arg(struct strace_buf *b, uint32_t cmd, uint64_t arg)
{
    switch (cmd) {
    case 2: /* F_SETFD */
        sput_flags(b, &strace_flags_fd_flags, (uint32_t)arg);
        break;
    case 4: /* F_SETFL */
        sput_flags(b, &strace_flags_open, (uint32_t)arg);
        break;
    case 5: /* F_GETLK, F_SETLK, F_SETLKW and their OFD kin */
    case 6:
    case 7:
    case 36:
    case 37:
    case 38:
        put_flock(b, arg);
        break;
    case 10: /* F_SETSIG */
        sput_signal(b, (int)arg);
        break;
    case 15: /* F_SETOWN_EX, F_GETOWN_EX: addresses */
    case 16:
        sput_addr(b, arg);
        break;
    default:
        sprint(b, "%d", (int)arg);
    }
}

/* Requests whose argument only takes something. */
static bool ioctl_is_out(uint32_t request)
{
    switch (request) {
    case 0x5401: /* TCGETS, TIOCGWINSZ, TIOCGPGRP, TIOCOUTQ, FIONREAD, TIOCGSID, TIOCGPTN */
    case 0x5413:
    case 0x540f:
    case 0x5411:
    case 0x541b:
    case 0x5429:
    case 0x80045430:
        return true;
    default:
        return false;
    }
}

static void put_ioctl_arg(struct strace_buf *b, uint32_t request, uaddr_t arg, long ret)
{
    struct lx_winsize ws;
    struct lx_termios tio;
    int32_t v;

    if (ret < 0 && ioctl_is_out(request)) {
        sput_addr(b, arg);
        return;
    }
    switch (request) {
    case 0x5413: /* TIOCGWINSZ, TIOCSWINSZ */
    case 0x5414:
        if (copy_in_partial(&ws, arg, sizeof(ws)) == sizeof(ws)) {
            sprint(b, "{ws_row=%u, ws_col=%u, ws_xpixel=%u, ws_ypixel=%u}", ws.row, ws.col,
                   ws.xpixel, ws.ypixel);
            return;
        }
        break;
    case 0x5401: /* TCGETS, TCSETS, TCSETSW, TCSETSF */
    case 0x5402:
    case 0x5403:
    case 0x5404:
        if (copy_in_partial(&tio, arg, sizeof(tio)) == sizeof(tio)) {
            sprint(b, "{c_iflag=%#x, c_oflag=%#x, c_cflag=%#x, c_lflag=%#x, ...}", tio.c_iflag,
                   tio.c_oflag, tio.c_cflag, tio.c_lflag);
            return;
        }
        break;
    case 0x540f: /* TIOCGPGRP, TIOCSPGRP, FIONREAD, FIONBIO, FIOASYNC, TIOCOUTQ, TIOCGSID */
    case 0x5410:
    case 0x541b:
    case 0x5421:
    case 0x5452:
    case 0x5411:
    case 0x5429:
    case 0x80045430: /* TIOCGPTN, TIOCSPTLCK */
    case 0x40045431:
        if (copy_in_partial(&v, arg, sizeof(v)) == sizeof(v)) {
            sprint(b, "[%d]", v);
            return;
        }
        break;
    default:
        break;
    }
    sput_addr(b, arg);
}

static void put_futex_timeout(struct strace_buf *b, uint32_t op, uint64_t arg)
{
    uint32_t cmd = op & LX_FUTEX_CMD_MASK;

    if (cmd == 3 || cmd == 4 || cmd == 5 || cmd == 12)
        sprint(b, "%u", (uint32_t)arg); /* val2 */
    else
        sput_guest_object(b, STRACE_KIND_TIMESPEC, STRACE_IN, arg, 1);
}

static void put_prctl_arg(struct strace_buf *b, uint32_t option, uint64_t arg)
{
    if (option == 15 || option == 16) /* PR_SET_NAME, PR_GET_NAME */
        sput_guest_str(b, arg);
    else if (option == 1) /* PR_SET_PDEATHSIG */
        sput_signal(b, (int)arg);
    else if (option == 23 || option == 24) /* PR_CAPBSET_READ, PR_CAPBSET_DROP */
        sput_flags(b, &strace_flags_cap, arg < 64 ? 1ull << arg : 0);
    else
        sprint(b, "%#llx", (unsigned long long)arg);
}

static void put_plain(struct strace_buf *b, const struct strace_arg *a, uint64_t v)
{
    switch (a->type) {
    case STRACE_TYPE_INT:
    case STRACE_TYPE_PID:
    case STRACE_TYPE_LONG:
    case STRACE_TYPE_OFF:
        sprint(b, "%lld", (long long)v);
        break;
    case STRACE_TYPE_FD:
        sput_fd(b, (int)v);
        break;
    case STRACE_TYPE_DIRFD:
        if ((int)v == -100)
            sput(b, "AT_FDCWD");
        else
            sput_fd(b, (int)v);
        break;
    case STRACE_TYPE_UID:
    case STRACE_TYPE_GID:
        if ((uint32_t)v == UINT32_MAX)
            sput(b, "-1");
        else
            sprint(b, "%u", (uint32_t)v);
        break;
    case STRACE_TYPE_MODE:
        sput_mode(b, (uint32_t)v);
        break;
    case STRACE_TYPE_UADDR:
        sput_addr(b, v);
        break;
    case STRACE_TYPE_PATH:
    case STRACE_TYPE_STR:
        sput_guest_str(b, v);
        break;
    case STRACE_TYPE_UINT:
    case STRACE_TYPE_ULONG:
    case STRACE_TYPE_SIZE:
    case STRACE_TYPE_PTR:
        sprint(b, "%llu", (unsigned long long)v);
        break;
    }
}

/* The result says nothing about what an out pointer holds. */
static bool out_is_void(const struct strace_arg *a, long ret)
{
    if (a->dir != STRACE_OUT)
        return false;
    return ret < 0 || (a->kind == STRACE_KIND_WSTATUS && ret == 0);
}

static void put_inout_number(struct strace_buf *b, const struct strace_call *c, int i, long ret)
{
    int64_t now;

    if (!read_number(&c->desc->args[i], c->args[i], &now))
        sput_addr(b, c->args[i]);
    else if (now == c->before[i] || ret < 0)
        sprint(b, "[%lld]", (long long)now);
    else
        sprint(b, "[%lld => %lld]", (long long)c->before[i], (long long)now);
}

static void put_pointer(struct strace_buf *b, const struct strace_call *c, int i, bool over,
                        long ret)
{
    const struct strace_arg *a = &c->desc->args[i];
    uint64_t count = element_count(c, i, over, ret);

    if (over && out_is_void(a, ret))
        sput_addr(b, c->args[i]);
    else if (is_inout_number(a))
        put_inout_number(b, c, i, ret);
    else if (a->kind == STRACE_KIND_IOVEC && a->dir == STRACE_OUT)
        sput_guest_iovec(b, c->args[i], count, /*decode=*/true, (uint64_t)ret);
    else if (a->kind == STRACE_KIND_MSGHDR && a->dir == STRACE_OUT)
        sput_guest_msghdr(b, c->args[i], /*decode=*/true, (uint64_t)ret);
    else
        sput_guest_object(b, a->kind, a->dir, c->args[i], count);
}

void strace_arg_put(struct strace_buf *b, const struct strace_call *c, int i, bool over, long ret)
{
    const struct strace_arg *a = &c->desc->args[i];
    uint64_t v = arg_value(c, i);

    if (a->type == STRACE_TYPE_PTR) {
        put_pointer(b, c, i, over, ret);
        return;
    }
    switch ((int)a->kind) {
    case STRACE_KIND_FLAGS:
        /* A negative int keeps its 32 bits. */
        sput_flags(b, a->flags, a->type == STRACE_TYPE_INT ? (uint32_t)v : v);
        break;
    case STRACE_KIND_DEV:
        sput_dev(b, v);
        break;
    case STRACE_KIND_HEX:
        sprint(b, "%#llx", (unsigned long long)(a->type == STRACE_TYPE_INT ? (uint32_t)v : v));
        break;
    case STRACE_KIND_OCT:
        sprint(b, "%#llo", (unsigned long long)v);
        break;
    case STRACE_KIND_FCNTL_ARG:
        put_fcntl_arg(b, (uint32_t)c->args[1], v);
        break;
    case STRACE_KIND_IOCTL_ARG:
        put_ioctl_arg(b, (uint32_t)c->args[1], v, ret);
        break;
    case STRACE_KIND_FUTEX_TIMEOUT:
        put_futex_timeout(b, (uint32_t)c->args[1], v);
        break;
    case STRACE_KIND_PRCTL_ARG:
        put_prctl_arg(b, (uint32_t)c->args[0], v);
        break;
    default:
        put_plain(b, a, v);
    }
}

const char *strace_error_name(long ret)
{
    if (ret >= 0 || ret < -4095)
        return NULL;
    return strace_flag_name(&strace_flags_errno, (uint64_t)-ret);
}

static void put_error(struct strace_buf *b, long ret)
{
    const char *name = strace_error_name(ret), *text;

    switch (-ret) {
    case ERESTARTSYS:
        sput(b, "? ERESTARTSYS (To be restarted if SA_RESTART is set)");
        return;
    case ERESTARTNOINTR:
        sput(b, "? ERESTARTNOINTR (To be restarted)");
        return;
    case ERESTARTNOHAND:
        sput(b, "? ERESTARTNOHAND (To be restarted if no handler)");
        return;
    case ERESTART_RESTARTBLOCK:
        sput(b, "? ERESTART_RESTARTBLOCK (Interrupted by signal)");
        return;
    default:
        break;
    }
    if (!name) {
        sprint(b, "%ld", ret);
        return;
    }
    text = strerrordesc_np((int)-ret);
    sprint(b, "-1 %s (%s)", name, text ? text : "?");
}

/* What came back besides the number: ready descriptors, flags. */
static void put_extra(struct strace_buf *b, const struct strace_call *c, long ret)
{
    bool select = is_call(c, "select") || is_call(c, "pselect6");

    if (is_call(c, "fcntl") && (uint32_t)c->args[1] == 3) {
        sput(b, " (flags ");
        sput_flags(b, &strace_flags_open, (uint32_t)ret);
        sputc(b, ')');
    } else if (is_call(c, "fcntl") && (uint32_t)c->args[1] == 1 && ret > 0) {
        sput(b, " (flags FD_CLOEXEC)");
    } else if (is_call(c, "poll") || is_call(c, "ppoll")) {
        if (ret == 0) {
            sput(b, " (Timeout)");
        } else {
            sput(b, " (");
            sput_guest_revents(b, c->args[0], (uint32_t)c->args[1]);
            sputc(b, ')');
        }
    } else if (select && ret == 0) {
        sput(b, " (Timeout)");
    } else if (select) {
        static const char *const names[] = {"in ", "out ", "except "};
        const char *comma = " (";

        for (int i = 0; i < 3; i++) {
            if (c->args[i + 1] == 0)
                continue;
            sprint(b, "%s%s", comma, names[i]);
            sput_guest_fdset(b, c->args[i + 1], (uint32_t)c->args[0]);
            comma = ", ";
        }
        if (*comma == ',')
            sputc(b, ')');
    }
}

void strace_result_put(struct strace_buf *b, const struct strace_call *c, long ret)
{
    if (ret < 0 && ret >= -4095) {
        put_error(b, ret);
        return;
    }
    switch (c->desc->ret) {
    case STRACE_RET_UADDR:
        sprint(b, "%#lx", (unsigned long)ret);
        break;
    case STRACE_RET_MODE:
        sprint(b, "%#lo", (unsigned long)ret);
        break;
    case STRACE_RET_NONE:
        sputc(b, '?');
        break;
    case STRACE_RET_INT:
    case STRACE_RET_UINT:
    case STRACE_RET_LONG:
    case STRACE_RET_ULONG:
    case STRACE_RET_SIZE:
    case STRACE_RET_SSIZE:
    case STRACE_RET_OFF:
    case STRACE_RET_FD:
    case STRACE_RET_PID:
    case STRACE_RET_UID:
    case STRACE_RET_GID:
        if (is_call(c, "fcntl") && ((uint32_t)c->args[1] == 3 || (uint32_t)c->args[1] == 1))
            sprint(b, "%#lx", (unsigned long)ret);
        else
            sprint(b, "%ld", ret);
        break;
    }
    put_extra(b, c, ret);
}
