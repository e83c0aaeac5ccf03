/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/net/netlink/message.h"

#define IS_DUMP(h) (((h)->flags & LX_NLM_F_DUMP) == LX_NLM_F_DUMP)

static void pad4(struct wbuf *out, size_t size)
{
    if (size % 4)
        (void)wbuf_reserve(out, 4 - size % 4);
}

void nl_message_begin(struct nl_message *m, struct wbuf *out, const struct lx_nlmsghdr *req,
                      uint16_t type, uint32_t portid, const void *body, size_t size)
{
    struct lx_nlmsghdr h = {
        .type = type,
        .flags = IS_DUMP(req) ? LX_NLM_F_MULTI : 0,
        .seq = req->seq,
        .pid = portid,
    };

    m->out = out;
    m->start = out->off;
    wbuf_put(out, &h, sizeof(h));
    wbuf_put(out, body, size);
    pad4(out, size);
}

void nl_message_attr(struct nl_message *m, uint16_t type, const void *data, size_t size)
{
    struct lx_rtattr a = {.len = (uint16_t)(sizeof(a) + size), .type = type};

    wbuf_put(m->out, &a, sizeof(a));
    wbuf_put(m->out, data, size);
    pad4(m->out, size);
}

void nl_message_attr32(struct nl_message *m, uint16_t type, uint32_t v)
{
    nl_message_attr(m, type, &v, sizeof(v));
}

void nl_message_attr8(struct nl_message *m, uint16_t type, uint8_t v)
{
    nl_message_attr(m, type, &v, sizeof(v));
}

void nl_message_end(struct nl_message *m)
{
    uint32_t len = (uint32_t)(m->out->off - m->start);

    if (!m->out->bad)
        memcpy(m->out->data + m->start, &len, sizeof(len));
}
