/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages in both directions. cmsg(3). The guest's buffer was copied in once; lengths in
 * it are hostile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/net/sock.h"

#define CMSG_OUT_MAX 65536

size_t cmsg_room(const struct net_msg *m)
{
    size_t left = m->cmsg.limit > m->cmsg.size ? m->cmsg.limit - m->cmsg.size : 0;

    return left > sizeof(struct lx_cmsghdr) ? left - sizeof(struct lx_cmsghdr) : 0;
}

void cmsg_put(struct net_msg *m, int level, int type, const void *data, size_t size)
{
    struct lx_cmsghdr h = {.len = sizeof(h) + size, .level = level, .type = type};
    size_t left = m->cmsg.limit > m->cmsg.size ? m->cmsg.limit - m->cmsg.size : 0;
    size_t space;
    uint8_t *grown;

    if (left < sizeof(h)) {
        m->out_flags |= LX_MSG_CTRUNC;
        return;
    }
    if (left < h.len) {
        m->out_flags |= LX_MSG_CTRUNC;
        h.len = left;
    }
    space = MIN(LX_CMSG_ALIGN(h.len), left);
    grown =
        m->cmsg.size + space > CMSG_OUT_MAX ? NULL : realloc(m->cmsg.data, m->cmsg.size + space);
    if (!grown) {
        m->out_flags |= LX_MSG_CTRUNC;
        return;
    }
    m->cmsg.data = grown;
    memset(grown + m->cmsg.size, 0, space);
    memcpy(grown + m->cmsg.size, &h, sizeof(h));
    memcpy(grown + m->cmsg.size + sizeof(h), data, h.len - sizeof(h));
    m->cmsg.size += space;
}

int cmsg_next(const struct net_msg *m, size_t *off, struct lx_cmsghdr *out,
              const uint8_t **out_data, size_t *out_size)
{
    size_t left = m->control_size > *off ? m->control_size - *off : 0;

    if (left < sizeof(*out))
        return 0;
    memcpy(out, m->control + *off, sizeof(*out));
    if (out->len < sizeof(*out) || out->len > left)
        return -EINVAL;
    *out_data = m->control + *off + sizeof(*out);
    *out_size = out->len - sizeof(*out);
    *off += LX_CMSG_ALIGN(out->len);
    return 1;
}
