/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restartable sequences. A thread registers an area in its memory: the kernel keeps the number of the CPU
 * there, and where the thread is preempted, migrated or gets a signal inside of the critical section
 * that the area names, it goes on at the section's abort handler.
 *
 * Who does what. Preemption and migration are the host scheduler's, which tells the sentry of
 * neither, so the host's own rseq does it: the platform registers the guest's area for what runs the
 * guest thread (ctx_rseq), under an address of its own through which the page is always there (the
 * host kills a process whose area it cannot reach). That needs the page: it is pinned (mm/pin.c),
 * fork copies it at once, and when the guest unmaps or replaces it, mm_pin_changes moves and the
 * area is looked up again before the next guest code (rseq_follow). The sentry's part:
 *
 *  - registration, fork (keeps it), clone with CLONE_VM and exec (drop it);
 *  - every exit to the sentry but a system call counts as a preemption: it may run code of its own
 *    in the guest's process, which ends a section as far as the host knows (rseq_abort). So a fault inside
 *    a section aborts it, which Linux would not do for one that it resolves. The section starts again with
 *    the page there;
 *  - the abort before a signal frame is made.
 *
 * It is off unless --rseq asks for it: the C library registers every thread, and each registration costs
 * a round trip of the stub and a change of mappings (measured on seccomp: call +2 %, thread 107 -> 154
 * us; and a process gets a stub that nobody had before), which programs that use no critical section
 * would pay for nothing.
 *
 * CPU numbers are the host's (cpus.h), so what the host writes is what the guest shall see.
 *
 * Linux: an area that cannot be written, a descriptor or signature that is wrong, ends the process
 * with SIGSEGV. DEVIATION: the area must lie in private memory, else the call fails with ENOSYS; so
 * it does where the host has no rseq. Within a thread's own time slice, an area that another thread
 * replaced or write-protected is used until the thread comes back to the sentry.
 */
#include "sentry/kernel/rseq.h"

#include <errno.h>
#include <stddef.h>

#include "sentry/kernel/kernel_internal.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"

enum { AREA_SIZE = 32, AREA_ALIGN = 32, FLAG_UNREGISTER = 1 };

#define CPU_UNINITIALIZED UINT32_MAX
#define CS_FLAGS          7u

struct lx_rseq {
    uint32_t cpu_id_start, cpu_id;
    uint64_t cs;
    uint32_t flags, node_id, mm_cid, spare;
};
static_assert(sizeof(struct lx_rseq) == AREA_SIZE, "Linux's first size");

struct lx_rseq_cs {
    uint32_t version, flags;
    uint64_t start_ip, post_commit_offset, abort_ip;
};

const atomic_uint g_rseq_never;
static bool g_enabled;

void rseq_enable(bool on)
{
    g_enabled = on;
}

static int put_cpu(uaddr_t area, uint32_t start, uint32_t id)
{
    const uint32_t ids[2] = {start, id};

    return copy_out(area, ids, sizeof(ids));
}

/* Pins the page of area and gives it to the platform. */
static int attach(struct task *t, uaddr_t area, uint32_t sig)
{
    struct ktask_private *k = t->k;
    struct mm *mm = t->curr.mm;
    struct mm_pin *pin;
    int ret;

    k->rseq_watch = mm_pin_changes(mm);
    k->rseq_seen = atomic_load(k->rseq_watch); /* before the page is looked up */
    ret = mm_pin_page(mm, area, &pin);
    if (ret < 0)
        return ret;
    if (pin == k->rseq_pin) {
        mm_unpin_page(mm, pin);
        return 0;
    }
    ret = put_cpu(area, kernel_cpu_now(), kernel_cpu_now());
    if (ret == 0)
        ret = g_platform_ops->ctx_rseq(t->ctx, memfile_fd(),
                                       mm_pin_offset(pin) + (area & (LX_PAGE_SIZE - 1)), sig);
    if (ret < 0) {
        mm_unpin_page(mm, pin);
        return ret;
    }
    if (k->rseq_pin)
        mm_unpin_page(mm, k->rseq_pin);
    k->rseq_pin = pin;
    return 0;
}

static void forget(struct task *t)
{
    struct ktask_private *k = t->k;

    k->rseq_area = 0;
    k->rseq_sig = 0;
    k->rseq_watch = &g_rseq_never;
    k->rseq_seen = 0;
}

static int unregister(struct task *t)
{
    struct ktask_private *k = t->k;

    if (put_cpu(k->rseq_area, 0, CPU_UNINITIALIZED) < 0)
        return -EFAULT;
    if (k->rseq_pin) {
        int ret = g_platform_ops->ctx_rseq(t->ctx, -1, 0, 0);

        if (ret < 0)
            return ret;
        mm_unpin_page(t->curr.mm, k->rseq_pin);
        k->rseq_pin = NULL;
    }
    /* The host may have written once more before it let go. */
    IGNORE_RESULT(put_cpu(k->rseq_area, 0, CPU_UNINITIALIZED));
    forget(t);
    return 0;
}

static int begin(struct task *t, uaddr_t area, uint32_t sig)
{
    const uint64_t none = 0;
    int ret;

    if (copy_out(area + offsetof(struct lx_rseq, cs), &none, sizeof(none)) < 0)
        return -EFAULT;
    ret = attach(t, area, sig);
    if (ret < 0) {
        forget(t);
        return ret == -EOPNOTSUPP ? -ENOSYS : ret;
    }
    t->k->rseq_area = area;
    t->k->rseq_sig = sig;
    return 0;
}

int task_rseq(struct task *t, uaddr_t area, uint32_t len, int flags, uint32_t sig)
{
    struct ktask_private *k = t->k;

    if (!g_enabled || !g_platform_ops->ctx_rseq)
        return -ENOSYS;
    if (flags & FLAG_UNREGISTER) {
        if ((flags & ~FLAG_UNREGISTER) || !area || k->rseq_area != area || len != AREA_SIZE)
            return -EINVAL;
        return k->rseq_sig != sig ? -EPERM : unregister(t);
    }
    if (flags)
        return -EINVAL;
    if (k->rseq_area) {
        if (k->rseq_area != area || len != AREA_SIZE)
            return -EINVAL;
        return k->rseq_sig != sig ? -EPERM : -EBUSY;
    }
    if (len != AREA_SIZE || (area & (AREA_ALIGN - 1)))
        return -EINVAL;
    return begin(t, area, sig);
}

bool rseq_follow(struct task *t)
{
    struct ktask_private *k = t->k;
    int ret = attach(t, k->rseq_area, k->rseq_sig);

    if (ret == -EOPNOTSUPP && k->rseq_pin) {
        /* Shared memory took its place: the host keeps nothing there. */
        ret = g_platform_ops->ctx_rseq(t->ctx, -1, 0, 0);
        if (ret == 0) {
            mm_unpin_page(t->curr.mm, k->rseq_pin);
            k->rseq_pin = NULL;
        }
    }
    return ret == 0 || ret == -EOPNOTSUPP;
}

/* A descriptor that Linux accepts. */
static bool cs_is_good(const struct lx_rseq_cs *cs, uint32_t sig)
{
    uint32_t found;
    uint64_t end;

    if (cs->start_ip >= LX_TASK_SIZE || add_overflows(cs->start_ip, cs->post_commit_offset, &end) ||
        end >= LX_TASK_SIZE || cs->abort_ip >= LX_TASK_SIZE || cs->version > 0 ||
        (cs->flags & CS_FLAGS) || cs->abort_ip - cs->start_ip < cs->post_commit_offset)
        return false;
    return cs->abort_ip >= sizeof(found) &&
           copy_in(&found, cs->abort_ip - sizeof(found), sizeof(found)) == 0 && found == sig;
}

bool rseq_abort(struct task *t)
{
    struct ktask_private *k = t->k;
    const uint64_t none = 0;
    struct lx_rseq_cs cs;
    uint64_t at;

    if (!k->rseq_area)
        return true;
    if (copy_in(&at, k->rseq_area + offsetof(struct lx_rseq, cs), sizeof(at)) < 0)
        return false;
    if (!at)
        return true;
    if (at >= LX_TASK_SIZE || copy_in(&cs, at, sizeof(cs)) < 0 || !cs_is_good(&cs, k->rseq_sig))
        return false;
    if (t->regs.rip - cs.start_ip < cs.post_commit_offset)
        task_regs(t)->rip = cs.abort_ip;
    return copy_out(k->rseq_area + offsetof(struct lx_rseq, cs), &none, sizeof(none)) == 0;
}

void rseq_fork(struct task *t, struct task *child)
{
    struct ktask_private *k = child->k;

    if (!t->k->rseq_area || child->curr.mm == t->curr.mm)
        return;
    k->rseq_area = t->k->rseq_area;
    k->rseq_sig = t->k->rseq_sig;
    k->rseq_watch = mm_pin_changes(child->curr.mm);
    k->rseq_seen = atomic_load(k->rseq_watch) - 1; /* rseq_follow before its first guest code */
}

void rseq_drop(struct task *t, struct mm *mm)
{
    if (t->k->rseq_pin)
        mm_unpin_page(mm, t->k->rseq_pin);
    t->k->rseq_pin = NULL;
    forget(t);
}

int rseq_exec(struct task *t)
{
    int ret = t->k->rseq_pin ? g_platform_ops->ctx_rseq(t->ctx, -1, 0, 0) : 0;

    if (ret == 0)
        rseq_drop(t, t->curr.mm);
    return ret;
}
