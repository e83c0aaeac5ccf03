/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One guest thread's stub: its start, its bell and its end.
 *
 * Why a hostile guest that jumps to any byte of the stub, with any registers, gains nothing. Its
 * process has three filters (filter.c); of all system calls, from whatever address, they let
 * through:
 *
 *   - rt_sigreturn at g_seccomp_sigreturn, arch_prctl(ARCH_SET_FS or _GS) there or at
 *     g_seccomp_set_fs/gs. They change the thread's own registers, signal mask and alternate stack,
 *     which the host checks as for any program. Registers are the guest's own. A mask that blocks
 *     SIGSEGV and the like makes the next fault deadly (the host kills a thread that faults while it
 *     blocks the fault's signal); one that blocks the kick makes ctx_interrupt late, and the
 *     watchdog ends that thread (watch.c). An alternate stack elsewhere makes the host write frames
 *     to memory the guest may write anyway, and the next ring carries a frame outside of the slot:
 *     PLATFORM_DEAD.
 *   - rseq at g_seccomp_rseq and g_seccomp_unrseq. The host then writes to memory of the guest's
 *     choice what it could write itself, with the same rights, and moves the instruction pointer
 *     where the guest could jump; where it cannot do that it kills the thread.
 *   - everything else rings or fails. A call in the setup range fails with EPERM; any other call is
 *     a notification, which the sentry reads as what it says: call number and arguments at an
 *     instruction. Nothing tells the sentry "this is the stub speaking" but the address of the
 *     call, so:
 *       - g_seccomp_bell says "my signal handler was entered". A guest that jumps there makes up a
 *         fault of its own: number, address and registers come from its slot, are checked
 *         (frame.c), and mean what they would mean if the guest had really faulted.
 *       - g_seccomp_start has a meaning only once, before guest code ran. Later it is a call like
 *         any other.
 *       - the control stub's instructions are plain notifications in a guest thread's process:
 *         mmap, munmap, mprotect and clone there never run, they become guest system calls.
 *
 *   - lane code and entries (sites.c) lie in guest memory and are guest code: their one system call
 *     says "the result that my slot is waiting for", at an address that any guest code may call from,
 *     and is answered with what the slot has already, or taken for the request in the slot.
 *
 * Nothing the guest can write is trusted. Its slot holds registers, which are its own; the control
 * stub reads only pages that are read-only in the address space, and neither control stub nor
 * sentry makes calls on guest threads' behalf that a slot could influence: only the eventfd and the
 * listener are ever read. The descriptor of a new listener comes through the eventfd, before the
 * process can run guest code, and the process's id with its first notification.
 *
 * Guest code cannot take the stub away: it has no system call that changes mappings. What its own
 * page faults, segment registers or protection keys can break is its own way back to guest code;
 * then the host kills the stub.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "platform/host/file.h"
#include "platform/host/proc.h"
#include "platform/host/seccomp.h"
#include "platform/seccomp/seccomp_internal.h"

/* A slot that s has mapped already, or a fresh one; *out_map: it must be mapped. */
static int take_slot(struct platform_space *s, uint32_t *out_slot, bool *out_map)
{
    struct platform *p = s->platform;

    *out_slot = slot_stack_pop(&s->slots);
    *out_map = *out_slot == SLOT_NONE;
    if (!*out_map)
        return 0;
    *out_slot = slots_get(&p->stacks);
    if (*out_slot == SLOT_NONE)
        return -EAGAIN;
    /* It may hold registers of another address space. */
    memset(slots_at(&p->stacks, *out_slot), 0, p->stacks.size);
    return 0;
}

/* The slot stays mapped in s, so it stays with s. Its last user runs no code any more. */
static void give_slot(struct platform_space *s, uint32_t slot)
{
    memset(slots_at(&s->platform->stacks, slot), 0, s->platform->stacks.size);
    if (!slot_stack_push(&s->slots, slot))
        log_debug(LOG_PLATFORM, "seccomp: 8 KiB are lost until the sandbox ends");
}

static void set_stack(struct platform *p, struct control *k, uint32_t slot)
{
    const struct lx_stack ss = {.sp = seccomp_slot_addr(p, slot) + SLOT_STACK,
                                .size = p->stack_size - SLOT_STACK};

    memcpy((uint8_t *)slots_at(&p->requests, k->page) + REQ_STACK, &ss, sizeof(ss));
}

int seccomp_thread_new_locked(struct platform_space *s, struct thread *out)
{
    struct platform *p = s->platform;
    struct thread t = {.state = THREAD_FRAME, .listener = -1};
    struct seccomp_notif n;
    uint32_t done;
    bool map;
    int ret;

    ASSERT_HELD(&s->base.lock);
    ret = take_slot(s, &t.slot, &map);
    if (ret < 0)
        return ret;
    if (map)
        *seccomp_control_calls(p, &s->control) =
            (struct stub_call){.nr = SYS_mmap,
                               .prot = PROT_READ | PROT_WRITE,
                               .flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE,
                               .fd = p->stacks.fd,
                               .addr = seccomp_slot_addr(p, t.slot),
                               .size = p->stacks.size,
                               .off = (uint64_t)t.slot * p->stacks.size};
    set_stack(p, &s->control, t.slot);
    ret = seccomp_control_run(p, &s->control, COMMAND_THREAD, map ? 1 : 0, &done);
    if (ret < 0) {
        if (map && done == 0)
            slots_put(&p->stacks, t.slot);
        else
            give_slot(s, t.slot);
        return ret == -ESRCH || ret == -EMFILE ? -EAGAIN : ret;
    }
    t.listener = ret;
    (void)host_seccomp_set_sync(t.listener); /* an older host wakes as it does */
    ret = seccomp_thread_receive(p, &t, &n);
    if (ret == 0 && (n.data.instruction_pointer != p->at.start || n.data.nr != BELL_NR))
        ret = -EPROTO;
    if (ret < 0) {
        log_warn(LOG_PLATFORM, "seccomp: a new guest thread did not start: error %d", -ret);
        seccomp_thread_kill_locked(s, &t);
        return -EAGAIN;
    }
    t.pid = (pid_t)n.pid;
    t.id = n.id;
    t.rseq = (struct stub_rseq){.alias = seccomp_slot_addr(p, t.slot) + p->stack_size,
                                .other = seccomp_slot_addr(p, t.slot) + p->stacks.size,
                                .own = &p->stacks,
                                .own_off = (uint64_t)t.slot * p->stacks.size + p->stack_size};
    *out = t;
    return 0;
}

void seccomp_thread_kill_locked(struct platform_space *s, struct thread *t)
{
    ASSERT_HELD(&s->base.lock);
    if (t->state == THREAD_NONE)
        return;
    if (t->pid)
        (void)host_kill(t->pid, SIGKILL); /* gone already is fine */
    /* A process that waits for an answer dies of this too: see .Lrestore in stub_code.S. */
    if (t->listener >= 0)
        (void)host_close(t->listener);
    give_slot(s, t->slot);
    *t = (struct thread){.state = THREAD_NONE, .listener = -1};
}

int seccomp_thread_reply(struct thread *t, int64_t value)
{
    struct seccomp_notif_resp resp = {.id = t->id, .val = value};
    int ret;

    do
        ret = host_seccomp_send(t->listener, &resp);
    while (ret == -EINTR);
    t->state = THREAD_GUEST;
    return ret;
}

/* A process that dies is reaped by the host kernel soon after. */
static bool is_dead(const struct thread *t)
{
    return t->pid && host_kill(t->pid, 0) == -ESRCH;
}

int seccomp_thread_receive(const struct platform *p, struct thread *t, struct seccomp_notif *out)
{
    int ret;

    for (;;) {
        if (unlikely(!p->recv_ends)) {
            struct pollfd pfd = {.fd = t->listener, .events = POLLIN};

            ret = host_ppoll(&pfd, 1, NULL);
            if (ret == 1 && (pfd.revents & (POLLHUP | POLLIN)) == POLLHUP)
                return -ESRCH;
            if (ret != 1)
                continue;
        }
        *out = (struct seccomp_notif){0};
        ret = host_seccomp_receive(t->listener, out);
        if (likely(ret == 0))
            return 0;
        if (ret == -EINTR)
            continue;
        /* ENOENT: a signal took the notification back, or its last process is gone. */
        if (ret != -ENOENT || is_dead(t) || !t->pid)
            return -ESRCH;
        (void)host_sched_yield();
    }
}

void seccomp_thread_kick(pid_t pid)
{
    (void)host_tgkill(pid, pid, STUB_KICK_SIGNAL); /* gone is fine */
}
