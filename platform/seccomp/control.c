/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driving a control stub. The sentry writes a request into the stub's page, which is read-only
 * where the stub runs, and bumps the futex in it; the stub answers through an eventfd (stub_code.S,
 * .Lreport). One request at a time, under the lock of the space. Stub and caller share a CPU, so a
 * yield hands over and the answer is usually there when the caller is picked again.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "platform/base/log.h"
#include "platform/host/file.h"
#include "platform/host/futex.h"
#include "platform/host/proc.h"
#include "platform/seccomp/seccomp_internal.h"

enum {
    WAIT_S = 1,      /* then looks whether the stub lives */
    WAIT_TRIES = 20, /* a stub that lives and does not answer is lost after so many */
};

struct request {
    atomic_uint seq;
    uint32_t command, bytes;
    int32_t report_fd, pages_fd;
    uint32_t pad;
    uint64_t pages_off, slots, slots_size;
    struct lx_stack stack;
};
static_assert(offsetof(struct request, command) == REQ_COMMAND, "layout.h");
static_assert(offsetof(struct request, bytes) == REQ_BYTES, "layout.h");
static_assert(offsetof(struct request, report_fd) == REQ_REPORT_FD, "layout.h");
static_assert(offsetof(struct request, pages_fd) == REQ_PAGES_FD, "layout.h");
static_assert(offsetof(struct request, pages_off) == REQ_PAGES_OFF, "layout.h");
static_assert(offsetof(struct request, slots) == REQ_SLOTS, "layout.h");
static_assert(offsetof(struct request, slots_size) == REQ_SLOTS_LEN, "layout.h");
static_assert(offsetof(struct request, stack) == REQ_STACK, "layout.h");
static_assert(sizeof(struct request) <= REQ_CALLS, "layout.h");
static_assert(REQ_WAITERS + sizeof(uint32_t) * PLATFORM_WAIT_CLASSES <= STUB_PAGE &&
                  WAIT_CLASS_MASK == sizeof(uint32_t) * (PLATFORM_WAIT_CLASSES - 1),
              "layout.h");
static_assert(sizeof(struct stub_call) == CALL_SIZE, "stub_code.S reads these");
static_assert(offsetof(struct stub_call, nr) == CALL_NR, "layout.h");
static_assert(offsetof(struct stub_call, prot) == CALL_PROT, "layout.h");
static_assert(offsetof(struct stub_call, flags) == CALL_FLAGS, "layout.h");
static_assert(offsetof(struct stub_call, fd) == CALL_FD, "layout.h");
static_assert(offsetof(struct stub_call, addr) == CALL_ADDR, "layout.h");
static_assert(offsetof(struct stub_call, size) == CALL_LEN, "layout.h");
static_assert(offsetof(struct stub_call, off) == CALL_OFF, "layout.h");

static struct request *page_of(struct platform *p, const struct control *k)
{
    return slots_at(&p->requests, k->page);
}

struct stub_call *seccomp_control_calls(struct platform *p, struct control *k)
{
    /* SAFETY: the page is k's own; REQ_CALLS is aligned for the struct. */
    return (struct stub_call *)(void *)((uint8_t *)page_of(p, k) + REQ_CALLS);
}

/* Waits for the rest of a report. The stub may be killed from outside at any time. */
static int read_report(struct control *k, uint64_t *out)
{
    uint64_t part;
    ssize_t n;

    *out = 0;
    (void)host_sched_yield();
    for (int tries = 0; tries < WAIT_TRIES;) {
        struct pollfd pfd = {.fd = k->report_fd, .events = POLLIN};
        const struct timespec wait = {.tv_sec = WAIT_S};

        n = host_read(k->report_fd, &part, sizeof(part));
        if (n == (ssize_t)sizeof(part)) {
            *out += part;
            if (*out >= REPORT_DONE)
                return 0;
            continue;
        }
        if (host_ppoll(&pfd, 1, &wait) == 0) {
            if (host_kill(k->pid, 0) == -ESRCH)
                return -ESRCH;
            tries++;
        }
    }
    return -ESRCH;
}

int seccomp_control_run(struct platform *p, struct control *k, uint32_t command, uint32_t count,
                        uint32_t *out_done)
{
    struct request *page = page_of(p, k);
    int cpu = sched_getcpu();
    uint64_t report;

    *out_done = 0;
    if (!k->pid)
        return -ESRCH;
    if (cpu != k->cpu) {
        placement_follow(k->pid);
        k->cpu = cpu;
    }
    page->command = command;
    page->bytes = count * CALL_SIZE;
    /* seq_cst: the stub reads the rest after it saw the new number. */
    atomic_store(&page->seq, ++k->seq);
    /* All: an earlier owner of the page may be dying in its wait. */
    host_futex_wake_shared(&page->seq, INT_MAX);
    if (read_report(k, &report) < 0) {
        log_warn(LOG_PLATFORM, "seccomp: a control stub is gone");
        seccomp_control_end(k); /* if it only hangs */
        return -ESRCH;
    }
    report -= REPORT_DONE;
    if (report & REPORT_ERROR) {
        *out_done = (uint32_t)(report & (REPORT_ERROR - 1)) >> REPORT_DONE_SHIFT;
        return -(int)(report & ((1u << REPORT_DONE_SHIFT) - 1));
    }
    *out_done = count;
    return (int)report;
}

int seccomp_control_unmap(struct platform *p, struct control *k, uaddr_t addr, uint64_t size)
{
    uint32_t done;
    int ret;

    *seccomp_control_calls(p, k) =
        (struct stub_call){.nr = SYS_munmap, .addr = addr, .size = size, .fd = -1};
    ret = seccomp_control_run(p, k, COMMAND_CALLS, 1, &done);
    return MIN(ret, 0);
}

uint8_t *seccomp_control_page(struct platform *p, const struct control *k)
{
    return slots_at(&p->requests, k->page);
}

int seccomp_control_prepare(struct platform *p, struct control *k)
{
    struct request *page;

    *k = (struct control){.report_fd = -1, .page = slots_get(&p->requests), .cpu = -1};
    if (k->page == SLOT_NONE)
        return -EAGAIN;
    k->report_fd = host_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (k->report_fd < 0) {
        int ret = k->report_fd;

        slots_put(&p->requests, k->page);
        *k = (struct control){.report_fd = -1, .page = SLOT_NONE};
        return ret == -EMFILE || ret == -ENFILE ? -EAGAIN : ret;
    }
    page = page_of(p, k);
    memset(page, 0, STUB_PAGE); /* guests can read it: nothing of an earlier owner */
    page->report_fd = k->report_fd;
    page->slots = p->stub_base + STUB_SLOTS_OFF;
    page->slots_size = seccomp_slots_size(p);
    return 0;
}

int seccomp_control_fork(struct platform *p, struct control *from, struct control *out)
{
    struct request *page = page_of(p, from);
    uint32_t done;
    int ret = seccomp_control_prepare(p, out);

    if (ret < 0)
        return ret;
    page->pages_fd = p->requests.fd;
    page->pages_off = (uint64_t)out->page * STUB_PAGE;
    ret = seccomp_control_run(p, from, COMMAND_FORK, 0, &done);
    if (ret <= 0) {
        seccomp_control_kill(p, out);
        return ret < 0 && ret != -ESRCH ? ret : -EAGAIN;
    }
    out->pid = ret;
    out->cpu = from->cpu;
    return 0;
}

void seccomp_control_end(struct control *k)
{
    if (k->pid)
        (void)host_kill(k->pid, SIGKILL); /* gone already is fine */
    k->pid = 0;
}

void seccomp_control_kill(struct platform *p, struct control *k)
{
    seccomp_control_end(k);
    if (k->report_fd >= 0)
        (void)host_close(k->report_fd);
    slots_put(&p->requests, k->page);
    *k = (struct control){.report_fd = -1, .page = SLOT_NONE};
}
