/* SPDX-License-Identifier: Apache-2.0 */
/* See ring.h. */
#include "sentry/net/link/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/clock.h"

#define PAGE_SIZE 4096u
/* Of all rings of the sandbox: 256 MiB. */
#define PAGES_MAX 65536u

static atomic_uint g_pages; /* of all rings */

static uint32_t tp_align(uint32_t v)
{
    return (v + LX_TPACKET_ALIGNMENT - 1) & ~(LX_TPACKET_ALIGNMENT - 1);
}

static_assert(sizeof(struct lx_tpacket_hdr) == 32 && sizeof(struct lx_tpacket2_hdr) == 32,
              "both headers of a frame take two units of its alignment");

uint32_t packet_ring_header(int version)
{
    if (version != LX_TPACKET_V1 && version != LX_TPACKET_V2)
        return 0;
    return tp_align(sizeof(struct lx_tpacket2_hdr)) + (uint32_t)sizeof(struct lx_sockaddr_ll);
}

/* ---- the mapping ----------------------------------------------------------------------------- */

static struct packet_ring *ring_of(struct mappable *m)
{
    return container_of(m, struct packet_ring, object);
}

static int ring_translate(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                          struct backing *out)
{
    struct packet_ring *r = ring_of(m);
    uint32_t in_block = (uint32_t)(pgoff % r->block_pages);

    (void)write;
    if (pgoff / r->block_pages >= r->block_count)
        return -ENXIO;
    *out = (struct backing){.kind = BACKING_MEMFILE,
                            .page = r->blocks[pgoff / r->block_pages] + in_block,
                            .count = MIN(count, r->block_pages - in_block)};
    memfile_get(out->page, out->count);
    return 0;
}

static void ring_get(struct mappable *m)
{
    refs_get(&ring_of(m)->refs);
}

static void ring_free(struct packet_ring *r)
{
    for (uint32_t i = 0; i < r->block_count; i++)
        memfile_put(r->blocks[i], r->block_pages);
    mappable_destroy(&r->object);
    atomic_fetch_sub(&g_pages, r->pages);
    free(r->blocks);
    free(r);
}

void packet_ring_put(struct packet_ring *r)
{
    if (r && refs_put(&r->refs))
        ring_free(r);
}

static void ring_put(struct mappable *m)
{
    packet_ring_put(ring_of(m));
}

static const struct mappable_ops ring_mappable_ops = {
    .translate = ring_translate,
    .get = ring_get,
    .put = ring_put,
};

/* Linux's checks in Linux's order. */
static int check_request(const struct lx_tpacket_req *q, int version, uint32_t reserve)
{
    uint32_t per_block;

    if ((int32_t)q->block_size <= 0 || q->block_size % PAGE_SIZE)
        return -EINVAL;
    if (q->frame_size < packet_ring_header(version) + reserve ||
        q->frame_size % LX_TPACKET_ALIGNMENT)
        return -EINVAL;
    per_block = q->block_size / q->frame_size;
    if (per_block == 0 || q->block_size > UINT32_MAX / q->block_nr ||
        (uint64_t)per_block * q->block_nr != q->frame_nr)
        return -EINVAL;
    return (uint64_t)(q->block_size / PAGE_SIZE) * q->block_nr > PAGES_MAX ? -ENOMEM : 0;
}

int packet_ring_new(const struct lx_tpacket_req *q, int version, uint32_t reserve,
                    struct packet_ring **out)
{
    struct packet_ring *r;
    int ret = check_request(q, version, reserve);

    if (ret < 0)
        return ret;
    r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    refs_init(&r->refs);
    mappable_init(&r->object, &ring_mappable_ops);
    r->version = version;
    r->block_pages = q->block_size / PAGE_SIZE;
    r->frame_size = q->frame_size;
    r->frames_per_block = q->block_size / q->frame_size;
    r->frame_count = q->frame_nr;
    r->pages = r->block_pages * q->block_nr;
    r->blocks = malloc(q->block_nr * sizeof(r->blocks[0]));
    ret = atomic_fetch_add(&g_pages, r->pages) + r->pages <= PAGES_MAX && r->blocks ? 0 : -ENOMEM;
    for (; ret == 0 && r->block_count < q->block_nr; r->block_count += ret == 0)
        ret = memfile_alloc(MEMFILE_KERNEL, r->block_pages, &r->blocks[r->block_count]);
    if (ret < 0) {
        ring_free(r);
        return ret;
    }
    *out = r;
    return 0;
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* Where byte `at` of a frame is; *run: how many follow there. */
static uint8_t *frame_ptr(const struct packet_ring *r, uint32_t frame, uint32_t at, size_t *run)
{
    uint64_t off = (uint64_t)(frame % r->frames_per_block) * r->frame_size + at;
    mfpage_t page = r->blocks[frame / r->frames_per_block] + (mfpage_t)(off / PAGE_SIZE);

    *run = PAGE_SIZE - off % PAGE_SIZE;
    return (uint8_t *)memfile_ptr(page) + off % PAGE_SIZE;
}

static void frame_write(const struct packet_ring *r, uint32_t frame, uint32_t at, const void *data,
                        size_t size)
{
    const uint8_t *from = data;

    while (size) {
        size_t run;
        uint8_t *to = frame_ptr(r, frame, at, &run);

        run = MIN(run, size);
        memcpy(to, from, run);
        from += run;
        at += (uint32_t)run;
        size -= run;
    }
}

/* Both versions have the bits that matter in the first 32. */
static uint32_t *frame_status(const struct packet_ring *r, uint32_t frame)
{
    size_t run;

    return (uint32_t *)(void *)frame_ptr(r, frame, 0, &run);
}

/* The header but for the status, which comes last. */
static void write_header(const struct packet_ring *r, const struct ring_packet *p, uint32_t mac,
                         uint32_t net, uint32_t taken)
{
    const uint32_t sec = (uint32_t)(p->stamp / NSEC_PER_SEC),
                   nsec = (uint32_t)(p->stamp % NSEC_PER_SEC);
    struct lx_tpacket2_hdr h2 = {.len = p->size,
                                 .snaplen = taken,
                                 .mac = (uint16_t)mac,
                                 .net = (uint16_t)net,
                                 .sec = sec,
                                 .nsec = nsec};
    struct lx_tpacket_hdr h1 = {.len = p->size,
                                .snaplen = taken,
                                .mac = (uint16_t)mac,
                                .net = (uint16_t)net,
                                .sec = sec,
                                .usec = nsec / 1000};

    if (r->version == LX_TPACKET_V2)
        frame_write(r, r->head, sizeof(h2.status), &h2.len, sizeof(h2) - sizeof(h2.status));
    else
        frame_write(r, r->head, sizeof(h1.status), &h1.len, sizeof(h1) - sizeof(h1.status));
    frame_write(r, r->head, sizeof(h2), &p->from, sizeof(p->from));
}

bool packet_ring_put_packet(struct packet_ring *r, const struct ring_packet *p)
{
    uint32_t header = packet_ring_header(r->version), mac, net, room;
    uint32_t *status = frame_status(r, r->head);

    /* acquire: pairs with the guest's release of the frame. */
    if (__atomic_load_n(status, __ATOMIC_ACQUIRE) != LX_TP_STATUS_KERNEL)
        return false;
    net = p->link ? tp_align(header + MAX(p->link, (uint16_t)16)) + p->reserve
                  : tp_align(header) + 16 + p->reserve;
    mac = net - p->link;
    room = mac < r->frame_size ? r->frame_size - mac : 0;
    room = MIN(room, p->taken);
    write_header(r, p, mac, net, room);
    frame_write(r, r->head, mac, p->bytes, room);
    /* release: pairs with the guest's look at the status. */
    __atomic_store_n(status, p->status, __ATOMIC_RELEASE);
    r->head = (r->head + 1) % r->frame_count;
    return true;
}

bool packet_ring_filled(struct packet_ring *r)
{
    uint32_t last = (r->head ? r->head : r->frame_count) - 1;

    return __atomic_load_n(frame_status(r, last), __ATOMIC_ACQUIRE) != LX_TP_STATUS_KERNEL;
}
