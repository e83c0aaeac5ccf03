/* SPDX-License-Identifier: Apache-2.0 */
/* Writing netlink messages: header, fixed body, attributes. Inside netlink/ only. */
#pragma once

#include "platform/base/rbuf.h"
#include "sentry/abi/netlink.h"

struct nl_message {
    struct wbuf *out;
    size_t start;
};

/* req: the request that it answers. A message that does not fit marks out as bad. */
void nl_message_begin(struct nl_message *m, struct wbuf *out, const struct lx_nlmsghdr *req,
                      uint16_t type, uint32_t portid, const void *body, size_t size);
void nl_message_attr(struct nl_message *m, uint16_t type, const void *data, size_t size);
void nl_message_attr32(struct nl_message *m, uint16_t type, uint32_t v);
void nl_message_attr8(struct nl_message *m, uint16_t type, uint8_t v);
/* Fills in the length. */
void nl_message_end(struct nl_message *m);
