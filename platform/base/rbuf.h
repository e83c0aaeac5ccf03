/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounds-checked cursors over bytes that a peer wrote (rbuf) or will read (wbuf). The only way to
 * such bytes: a get past the end yields zeroes/NULL and sets `bad`, which sticks; check once at the
 * end with rbuf_ok/wbuf_ok. Little-endian, unaligned.
 */
#pragma once

#include <string.h>

#include "platform/base/compiler.h"

struct rbuf {
    const uint8_t *data; /* borrowed */
    size_t size, off;
    bool bad;
};

struct wbuf {
    uint8_t *data; /* borrowed */
    size_t size, off;
    bool bad;
};

static inline void rbuf_init(struct rbuf *b, const void *data, size_t size)
{
    *b = (struct rbuf){.data = data, .size = size};
}

static inline void wbuf_init(struct wbuf *b, void *data, size_t size)
{
    *b = (struct wbuf){.data = data, .size = size};
}

static inline size_t rbuf_left(const struct rbuf *b)
{
    return b->bad ? 0 : b->size - b->off;
}

/* Borrowed pointer to the next n bytes, or NULL. */
static inline const void *rbuf_bytes(struct rbuf *b, size_t n)
{
    const void *p;

    if (b->bad || n > b->size - b->off) {
        b->bad = true;
        return NULL;
    }
    p = b->data + b->off;
    b->off += n;
    return p;
}

static inline void rbuf_copy(struct rbuf *b, void *out, size_t n)
{
    const void *p = rbuf_bytes(b, n);

    if (p)
        memcpy(out, p, n);
    else
        memset(out, 0, n);
}

/* True when nothing was out of bounds and every byte was read. */
static inline bool rbuf_ok_at_end(const struct rbuf *b)
{
    return !b->bad && b->off == b->size;
}

static inline void wbuf_put(struct wbuf *b, const void *p, size_t n)
{
    if (b->bad || n > b->size - b->off) {
        b->bad = true;
        return;
    }
    memcpy(b->data + b->off, p, n);
    b->off += n;
}

/* Reserves n zeroed bytes to be filled in later; NULL when there is no room. */
static inline void *wbuf_reserve(struct wbuf *b, size_t n)
{
    void *p;

    if (b->bad || n > b->size - b->off) {
        b->bad = true;
        return NULL;
    }
    p = b->data + b->off;
    memset(p, 0, n);
    b->off += n;
    return p;
}

#define RBUF_GET(type, suffix)                                                                     \
    static inline type rbuf_##suffix(struct rbuf *b)                                               \
    {                                                                                              \
        type v;                                                                                    \
        rbuf_copy(b, &v, sizeof(v));                                                               \
        return v;                                                                                  \
    }                                                                                              \
    static inline void wbuf_##suffix(struct wbuf *b, type v)                                       \
    {                                                                                              \
        wbuf_put(b, &v, sizeof(v));                                                                \
    }
RBUF_GET(uint8_t, u8)
RBUF_GET(uint16_t, u16)
RBUF_GET(uint32_t, u32)
RBUF_GET(uint64_t, u64)
#undef RBUF_GET
