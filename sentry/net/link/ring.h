/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PACKET_RX_RING: memory of blocks of frames that the guest maps, and in which packets are left for it.
 * A frame belongs to the guest while its status says so; nothing that the guest writes there is believed
 * but that. Versions 1 and 2; version 3 is one that an older kernel does not know.
 */
#pragma once

#include "platform/base/refs.h"
#include "sentry/abi/packet.h"
#include "sentry/mm/mappable.h"

/* Lifetime: refcounted: by its endpoint and by what maps it. Keys: I immutable; s sk->lock */
struct packet_ring {
    struct refs refs;
    struct mappable object;
    mfpage_t *blocks;          /* I: first page of each */
    uint32_t block_pages;      /* I */
    uint32_t block_count;      /* I */
    uint32_t frame_size;       /* I */
    uint32_t frames_per_block; /* I */
    uint32_t frame_count;      /* I */
    uint32_t pages;            /* I: counted for it */
    int version;               /* I: LX_TPACKET_* */
    uint32_t head;             /* s: frame that the next packet goes to */
};

/* Bytes of a frame before the link-level address and with it. 0: there is no such version. */
uint32_t packet_ring_header(int version);
/* -EINVAL: sizes that do not fit together; -ENOMEM, also where all rings would have more than 256 MiB. */
int MUST_CHECK packet_ring_new(const struct lx_tpacket_req *req, int version, uint32_t reserve,
                               struct packet_ring **out);
void packet_ring_put(struct packet_ring *r);

struct ring_packet {
    struct lx_sockaddr_ll from;
    const uint8_t *bytes; /* from the link header on, or without it */
    uint32_t size, taken; /* of the packet; of it that is to be kept */
    uint16_t link;        /* size of the link header that it has */
    uint32_t reserve, status;
    uint64_t stamp; /* realtime ns */
};
/* False: the guest has not given the next frame back. */
bool packet_ring_put_packet(struct packet_ring *r, const struct ring_packet *p);
/* Is there a frame that the guest has yet to look at? */
bool packet_ring_filled(struct packet_ring *r);
