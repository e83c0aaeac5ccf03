// SPDX-License-Identifier: Apache-2.0
/*
 * NUMA policy calls of a machine with one node. Arguments are checked as on Linux; as every policy
 * means node 0 here, none is kept.
 * DEVIATION: get_mempolicy reports MPOL_DEFAULT whatever was set.
 */
#include <errno.h>
#include <string.h>

#include "gen/syscall_protos.h"
#include "sentry/abi/mman.h"
#include "sentry/core/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"

#define MAX_NODE_BITS (LX_PAGE_SIZE * 8)

/* Reads a node mask: *out_empty, *out_node0. Nodes that do not exist are -EINVAL. */
static int get_nodes(uaddr_t nmask, uint64_t maxnode, bool *out_empty, bool *out_node0)
{
    uint64_t bits = maxnode - 1, i;

    *out_empty = true;
    *out_node0 = false;
    if (bits == 0 || bits == UINT64_MAX || !nmask)
        return 0;
    if (bits > MAX_NODE_BITS)
        return -EINVAL;
    for (i = 0; i < (bits + 63) / 64; i++) {
        uint64_t word;

        if (get_user(&word, nmask + i * 8) < 0)
            return -EFAULT;
        if (i == bits / 64)
            word &= (1ull << (bits % 64)) - 1;
        if (i == 0 && (word & 1))
            *out_node0 = true;
        if (word)
            *out_empty = false;
        /* Linux has room for 1024 nodes; masks beyond must be empty. */
        if (i >= 16 && word)
            return -EINVAL;
    }
    return 0;
}

static int check_mode(int mode_and_flags, int *out_mode)
{
    int flags = mode_and_flags & LX_MPOL_MODE_FLAGS, mode = mode_and_flags & ~LX_MPOL_MODE_FLAGS;

    if (mode < 0 || mode >= LX_MPOL_MAX)
        return -EINVAL;
    if ((flags & LX_MPOL_F_STATIC_NODES) && (flags & LX_MPOL_F_RELATIVE_NODES))
        return -EINVAL;
    if ((flags & LX_MPOL_F_NUMA_BALANCING) && mode != LX_MPOL_BIND)
        return -EINVAL;
    *out_mode = mode;
    return 0;
}

static int check_policy(int mode, int flags, bool empty, bool node0)
{
    int fixed = flags & (LX_MPOL_F_STATIC_NODES | LX_MPOL_F_RELATIVE_NODES);

    switch (mode) {
    case LX_MPOL_DEFAULT:
        return empty ? 0 : -EINVAL;
    case LX_MPOL_LOCAL:
        return empty && !fixed ? 0 : -EINVAL;
    case LX_MPOL_PREFERRED:
        if (empty)
            return fixed ? -EINVAL : 0;
        return node0 ? 0 : -EINVAL;
    default:
        return node0 ? 0 : -EINVAL;
    }
}

long sys_set_mempolicy(struct task *t, int mode, uaddr_t nmask, uint64_t maxnode)
{
    bool empty, node0;
    int m, ret;

    (void)t;
    ret = check_mode(mode, &m);
    if (ret == 0)
        ret = get_nodes(nmask, maxnode, &empty, &node0);
    return ret < 0 ? ret : check_policy(m, mode, empty, node0);
}

long sys_get_mempolicy(struct task *t, uaddr_t policy, uaddr_t nmask, uint64_t maxnode,
                       uaddr_t addr, uint64_t flags)
{
    int32_t pol = LX_MPOL_DEFAULT;
    uint64_t word = 0, i;

    if (nmask && maxnode < 1)
        return -EINVAL;
    if (flags & ~(uint64_t)(LX_MPOL_F_NODE | LX_MPOL_F_ADDR | LX_MPOL_F_MEMS_ALLOWED))
        return -EINVAL;
    if (flags & LX_MPOL_F_MEMS_ALLOWED) {
        if (flags & (LX_MPOL_F_NODE | LX_MPOL_F_ADDR))
            return -EINVAL;
        word = 1;
    } else if (flags & LX_MPOL_F_ADDR) {
        if (mm_page_state(t->curr.mm, addr) == -EFAULT)
            return -EFAULT; /* with F_NODE the answer is node 0, which is pol's value too */
    } else if (addr || (flags & LX_MPOL_F_NODE)) {
        return -EINVAL;
    }
    if (policy && put_user(&pol, policy) < 0)
        return -EFAULT;
    if (!nmask)
        return 0;
    for (i = 0; i < (MIN(maxnode, MAX_NODE_BITS) + 62) / 64; i++) {
        if (put_user(&word, nmask + i * 8) < 0)
            return -EFAULT;
        word = 0;
    }
    return 0;
}

long sys_mbind(struct task *t, uaddr_t start, uint64_t len, uint64_t mode, uaddr_t nmask,
               uint64_t maxnode, uint32_t flags)
{
    bool empty, node0;
    uint64_t size = align_up(len, LX_PAGE_SIZE);
    int m, ret;

    ret = check_mode(mode > INT32_MAX ? -1 : (int)mode, &m);
    if (ret == 0)
        ret = get_nodes(nmask, maxnode, &empty, &node0);
    if (ret < 0)
        return ret;
    if (flags & ~(LX_MPOL_MF_STRICT | LX_MPOL_MF_MOVE | LX_MPOL_MF_MOVE_ALL))
        return -EINVAL;
    if ((flags & LX_MPOL_MF_MOVE_ALL) && !cred_capable(t->curr.cred, LX_CAP_SYS_NICE))
        return -EPERM;
    if (start & ~LX_PAGE_MASK)
        return -EINVAL;
    if (start + size < start)
        return -EINVAL;
    if (size == 0)
        return 0;
    ret = check_policy(m, (int)mode, empty, node0);
    if (ret < 0)
        return ret;
    return mm_range_mapped(t->curr.mm, start, size) ? 0 : -EFAULT;
}

long sys_set_mempolicy_home_node(struct task *t, uaddr_t start, uint64_t len, uint64_t home_node,
                                 uint64_t flags)
{
    uint64_t size = align_up(len, LX_PAGE_SIZE);

    (void)t;
    if ((start & ~LX_PAGE_MASK) || flags != 0 || home_node != 0)
        return -EINVAL;
    if (start + size < start)
        return -EINVAL;
    /* Linux: only ranges with a BIND or PREFERRED_MANY policy have a home node; none is kept. */
    return size == 0 ? 0 : -ENOENT;
}

/* The process a NUMA call is about, with the caller's right to touch it checked. */
static int target_mm(struct task *t, lx_pid_t pid, struct mm **out)
{
    struct task *other;
    int ret;

    if (pid == 0) {
        *out = mm_get(t->curr.mm);
        return 0;
    }
    other = task_find_get(pid);
    if (!other)
        return -ESRCH;
    ret = task_ptrace_may_access(other, LX_PTRACE_MODE_READ) < 0 ? -EPERM : 0;
    if (ret == 0) {
        *out = task_mm_get(other);
        if (!*out)
            ret = -EINVAL;
    }
    task_put(other);
    return ret;
}

long sys_migrate_pages(struct task *t, lx_pid_t pid, uint64_t maxnode, uaddr_t old_nodes,
                       uaddr_t new_nodes)
{
    bool empty, node0;
    struct mm *mm;
    int ret;

    ret = get_nodes(old_nodes, maxnode, &empty, &node0);
    if (ret == 0)
        ret = get_nodes(new_nodes, maxnode, &empty, &node0);
    if (ret < 0)
        return ret;
    ret = target_mm(t, pid, &mm);
    if (ret < 0)
        return ret;
    mm_put(mm);
    return node0 ? 0 : -EINVAL;
}

long sys_move_pages(struct task *t, lx_pid_t pid, uint64_t nr_pages, uaddr_t pages, uaddr_t nodes,
                    uaddr_t status, int flags)
{
    struct mm *mm;
    uint64_t i;
    int ret;

    if ((uint32_t)flags & ~(LX_MPOL_MF_MOVE | LX_MPOL_MF_MOVE_ALL))
        return -EINVAL;
    if (((uint32_t)flags & LX_MPOL_MF_MOVE_ALL) && !cred_capable(t->curr.cred, LX_CAP_SYS_NICE))
        return -EPERM;
    ret = target_mm(t, pid, &mm);
    if (ret < 0)
        return ret;
    for (i = 0; i < nr_pages && ret == 0; i++) {
        int32_t node = 0, state;
        uint64_t addr;

        if (get_user(&addr, pages + i * 8) < 0 || (nodes && get_user(&node, nodes + i * 4) < 0)) {
            ret = -EFAULT;
            break;
        }
        if (node != 0) {
            ret = -ENODEV;
            break;
        }
        state = mm_page_state(mm, addr);
        if (state == 0)
            state = -ENOENT;
        else if (state > 0)
            state = 0;
        if (status && put_user(&state, status + i * 4) < 0)
            ret = -EFAULT;
    }
    mm_put(mm);
    return ret;
}
