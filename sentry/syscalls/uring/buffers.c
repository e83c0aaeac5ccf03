/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of buffers that requests choose from when they have something to put there
 * (IOSQE_BUFFER_SELECT): handed over one by one with PROVIDE_BUFFERS, or in a ring that the guest
 * fills (REGISTER_PBUF_RING). All of it is guarded by ring->submit. The words of a guest's ring are read
 * once; what they say is checked when the buffer is used, as any address.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/uring/uring_internal.h"

#define RING_ENTRIES_MAX 32768u
#define PROVIDED_MAX     65536u             /* of a group: buffer numbers have 16 bits */
#define RING_ROOM_MAX    (4 * PROVIDED_MAX) /* of all groups of a ring: 6 MiB of ours */

/* Lifetime: unique, on ring->groups. Keys: I immutable; s ring->submit */
struct uring_group {
    struct list node;
    uint16_t id;                 /* I */
    uaddr_t ring;                /* I: the guest's ring; 0: buffers are provided one by one */
    uint16_t mask;               /* I */
    uint16_t head;               /* s: of the ring */
    struct uring_pick *provided; /* s: a stack, the next on top */
    uint32_t count, room;        /* s */
};

static struct uring_group *find_group_locked(struct uring *r, uint16_t id)
{
    struct uring_group *g;

    ASSERT_HELD(&r->submit);
    list_for_each_entry(g, &r->groups, node) {
        if (g->id == id)
            return g;
    }
    return NULL;
}

static struct uring_group *new_group_locked(struct uring *r, uint16_t id)
{
    struct uring_group *g = calloc(1, sizeof(*g));

    if (g) {
        g->id = id;
        list_add_tail(&r->groups, &g->node);
    }
    return g;
}

static void free_group_locked(struct uring *r, struct uring_group *g)
{
    list_del(&g->node);
    r->provided_room -= g->room;
    free(g->provided);
    free(g);
}

void uring_groups_free(struct uring *r)
{
    mutex_lock(&r->submit);
    while (!list_empty(&r->groups))
        free_group_locked(r, list_first_entry(&r->groups, struct uring_group, node));
    mutex_unlock(&r->submit);
}

/* ---- rings ---------------------------------------------------------------------------------- */

/* Linux pins the pages; here it is enough that there are some. */
static bool ring_is_there(uaddr_t addr, size_t size)
{
    char c;

    if (addr > LX_TASK_SIZE - size)
        return false;
    for (size_t off = 0; off < size; off += LX_PAGE_SIZE) {
        if (copy_in(&c, addr + off, 1) < 0)
            return false;
    }
    return true;
}

/* DEVIATION: no ring that the kernel allocates, none that is used up bit by bit. */
static int reg_in(struct lx_io_uring_buf_reg *reg, uaddr_t arg, uint32_t count)
{
    if (count != 1)
        return -EINVAL;
    if (copy_in(reg, arg, sizeof(*reg)) < 0)
        return -EFAULT;
    return reg->resv[0] | reg->resv[1] | reg->resv[2] || reg->flags ? -EINVAL : 0;
}

int uring_register_pbuf_ring(struct uring *r, uaddr_t arg, uint32_t count)
{
    struct lx_io_uring_buf_reg reg;
    struct uring_group *g;
    int ret = reg_in(&reg, arg, count);

    if (ret < 0)
        return ret;
    if (!reg.ring_entries || (reg.ring_entries & (reg.ring_entries - 1)) ||
        reg.ring_entries > RING_ENTRIES_MAX)
        return -EINVAL;
    if (!reg.ring_addr)
        return -EFAULT;
    if (reg.ring_addr & ~LX_PAGE_MASK)
        return -EINVAL;
    if (!ring_is_there(reg.ring_addr, reg.ring_entries * sizeof(struct lx_io_uring_buf)))
        return -EFAULT;
    mutex_lock(&r->submit);
    g = find_group_locked(r, reg.bgid);
    if (g && (g->ring || g->count))
        ret = -EEXIST;
    else if (!g && !(g = new_group_locked(r, reg.bgid)))
        ret = -ENOMEM;
    if (ret == 0) {
        g->ring = reg.ring_addr;
        g->mask = (uint16_t)(reg.ring_entries - 1);
        g->head = 0;
    }
    mutex_unlock(&r->submit);
    return ret;
}

int uring_unregister_pbuf_ring(struct uring *r, uaddr_t arg, uint32_t count)
{
    struct lx_io_uring_buf_reg reg;
    struct uring_group *g;
    int ret = reg_in(&reg, arg, count);

    if (ret < 0)
        return ret;
    mutex_lock(&r->submit);
    g = find_group_locked(r, reg.bgid);
    if (!g)
        ret = -ENOENT;
    else if (!g->ring)
        ret = -EINVAL;
    else
        free_group_locked(r, g);
    mutex_unlock(&r->submit);
    return ret;
}

static int pick_from_ring_locked(struct uring_group *g, struct uring_pick *out)
{
    struct lx_io_uring_buf b;
    uint16_t tail;

    /* The tail is the last word of the first buffer's place. */
    if (copy_in(&tail, g->ring + offsetof(struct lx_io_uring_buf, resv), sizeof(tail)) < 0)
        return -EFAULT;
    if (tail == g->head)
        return -ENOBUFS;
    /* acquire: pairs with the guest's release of the tail; the buffer is read after it. */
    atomic_thread_fence(memory_order_acquire);
    if (copy_in(&b, g->ring + (uint64_t)(g->head & g->mask) * sizeof(b), sizeof(b)) < 0)
        return -EFAULT;
    *out = (struct uring_pick){
        .addr = b.addr, .len = b.len, .id = b.bid, .at = g->head, .picked = true};
    g->head++;
    return 0;
}

/* ---- one by one ------------------------------------------------------------------------------ */

int uring_provide_prepare(const struct ureq *q)
{
    const struct lx_io_uring_sqe *s = &q->sqe;
    uint64_t size;

    if (s->op_flags || s->splice_fd_in)
        return -EINVAL;
    if (s->fd <= 0 || s->fd > UINT16_MAX)
        return -E2BIG;
    if (s->opcode == LX_IORING_OP_REMOVE_BUFFERS)
        return s->addr | s->len | s->off ? -EINVAL : 0;
    if (!s->len)
        return -EINVAL;
    size = (uint64_t)s->len * (uint32_t)s->fd;
    if (size > LX_TASK_SIZE || s->addr > LX_TASK_SIZE - size)
        return -EFAULT;
    if (s->off > UINT16_MAX)
        return -E2BIG;
    return s->off + (uint32_t)s->fd > PROVIDED_MAX ? -EINVAL : 0;
}

static int make_room_locked(struct uring *r, struct uring_group *g, uint32_t want)
{
    const uint32_t most = MIN(PROVIDED_MAX, RING_ROOM_MAX - r->provided_room + g->room);
    const uint32_t room = MIN(MAX(want, g->room * 2), most);
    struct uring_pick *p;

    if (want <= g->room)
        return 0;
    if (want > most)
        return -ENOMEM; /* DEVIATION: Linux charges the memory cgroup */
    p = realloc(g->provided, room * sizeof(*p));
    if (!p)
        return -ENOMEM;
    r->provided_room += room - g->room;
    g->provided = p;
    g->room = room;
    return 0;
}

static int add_provided_locked(struct uring *r, struct uring_group *g,
                               const struct lx_io_uring_sqe *s)
{
    uint32_t more = (uint32_t)s->fd;
    int ret = make_room_locked(r, g, g->count + more);

    if (ret < 0)
        return ret;
    /* What came first is picked first: the new ones go below. */
    memmove(g->provided + more, g->provided, g->count * sizeof(*g->provided));
    for (uint32_t i = 0; i < more; i++)
        g->provided[more - 1 - i] = (struct uring_pick){.addr = s->addr + (uint64_t)i * s->len,
                                                        .len = s->len,
                                                        .id = (uint16_t)(s->off + i),
                                                        .picked = true};
    g->count += more;
    return 0;
}

long uring_provide_buffers(struct ureq *q)
{
    struct uring *r = q->ring;
    struct uring_group *g;
    int ret = 0;

    mutex_lock(&r->submit);
    g = find_group_locked(r, q->sqe.buf_index);
    if (!g)
        g = new_group_locked(r, q->sqe.buf_index);
    if (!g)
        ret = -ENOMEM;
    else if (g->ring)
        ret = -EINVAL;
    else
        ret = add_provided_locked(r, g, &q->sqe);
    mutex_unlock(&r->submit);
    return ret;
}

long uring_remove_buffers(struct ureq *q)
{
    struct uring *r = q->ring;
    struct uring_group *g;
    long ret;

    mutex_lock(&r->submit);
    g = find_group_locked(r, q->sqe.buf_index);
    if (!g) {
        ret = -ENOENT;
    } else if (g->ring) {
        ret = -EINVAL;
    } else {
        ret = MIN((uint32_t)q->sqe.fd, g->count);
        g->count -= (uint32_t)ret;
    }
    mutex_unlock(&r->submit);
    return ret;
}

/* ---- choosing -------------------------------------------------------------------------------- */

int uring_pick_buffer(struct ureq *q)
{
    struct uring *r = q->ring;
    struct uring_group *g;
    int ret = -ENOBUFS;

    if (q->pick.picked)
        return 0;
    mutex_lock(&r->submit);
    g = find_group_locked(r, q->sqe.buf_index);
    if (g && g->ring) {
        ret = pick_from_ring_locked(g, &q->pick);
    } else if (g && g->count) {
        q->pick = g->provided[--g->count];
        ret = 0;
    }
    mutex_unlock(&r->submit);
    return ret;
}

/* A ring takes its buffer back only while it is the last that was picked; else q keeps it. */
void uring_return_buffer(struct ureq *q)
{
    struct uring *r = q->ring;
    struct uring_group *g;

    if (!q->pick.picked)
        return;
    mutex_lock(&r->submit);
    g = find_group_locked(r, q->sqe.buf_index);
    if (g && g->ring) {
        if (g->head == (uint16_t)(q->pick.at + 1)) {
            g->head--;
            q->pick.picked = false;
        }
    } else if (g && g->count < g->room) {
        g->provided[g->count++] = q->pick;
        q->pick.picked = false;
    } else if (!g) {
        q->pick.picked = false;
    }
    mutex_unlock(&r->submit);
}

long uring_with_picked_buffer(struct ureq *q, long (*fn)(struct ureq *q), uint32_t *flags)
{
    long ret = uring_pick_buffer(q);

    *flags = 0;
    if (ret < 0)
        return ret;
    ret = fn(q);
    if (ret > 0) {
        *flags = LX_IORING_CQE_F_BUFFER | (uint32_t)q->pick.id << LX_IORING_CQE_BUFFER_SHIFT;
        q->pick.picked = false; /* the guest's */
    } else {
        uring_return_buffer(q);
    }
    return ret;
}
