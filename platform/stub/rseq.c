/* SPDX-License-Identifier: Apache-2.0 */
/* See rseq.h. */
#include "platform/stub/rseq.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/base/assert.h"

static bool g_enabled;

void stub_rseq_enable(bool on)
{
    g_enabled = on;
}

bool stub_rseq_supported(void)
{
    /* No area: EINVAL where there is rseq, ENOSYS or EPERM where there is none. */
    return g_enabled && syscall(SYS_rseq, NULL, 0, 0, 0) < 0 && errno == EINVAL;
}

struct change stub_rseq_own(const struct stub_rseq *r)
{
    return (struct change){.kind = CHANGE_MAP,
                           .prot = PROT_READ | PROT_WRITE,
                           .fd = r->own->fd,
                           .flags = PLATFORM_MAP_POPULATE,
                           .addr = r->alias,
                           .size = LX_PAGE_SIZE,
                           .offset = r->own_off};
}

bool stub_rseq_differs(const struct stub_rseq *r, uint64_t offset, uint32_t sig)
{
    return r->host.addr &&
           (r->host.addr != r->alias + (offset & (LX_PAGE_SIZE - 1)) || r->host.sig != sig);
}

int stub_rseq_point_locked(struct stub_space *s, struct platform_ctx *by, struct stub_rseq *r,
                           int fd, uint64_t offset, uint32_t sig)
{
    struct change ch = stub_rseq_own(r);
    bool shown = r->shown;
    int ret;

    if (fd >= 0) {
        /* A back end with one alias has ended the old registration by now. */
        if (r->other && stub_rseq_differs(r, offset, sig)) {
            ASSERT(!r->guest); /* the kernel registers another area after it ended the first */
            ch.addr = r->other;
        }
        ch.fd = fd;
        ch.offset = align_down(offset, LX_PAGE_SIZE);
    }
    ret = stub_space_map_own_locked(s, &ch);
    if (ret < 0)
        return ret;
    if (ch.addr != r->alias) {
        r->other = r->alias;
        r->alias = ch.addr;
    }
    stub_rseq_set(r, fd >= 0, offset, sig);
    if (!shown)
        return 0;
    ret = stub_space_drain_locked(s, by);
    if (ret == 0)
        r->shown = fd >= 0;
    return ret;
}

int stub_rseq_park_locked(struct stub_space *s, struct stub_rseq *r)
{
    const struct change ch = stub_rseq_own(r);
    int ret = stub_space_map_own_locked(s, &ch);

    if (ret == 0)
        stub_rseq_set(r, /*guest=*/false, 0, 0);
    return ret;
}

void stub_rseq_set(struct stub_rseq *r, bool guest, uint64_t offset, uint32_t sig)
{
    r->guest = guest;
    r->shown |= guest;
    r->wanted = (struct stub_rseq_area){0};
    if (guest)
        r->wanted = (struct stub_rseq_area){r->alias + (offset & (LX_PAGE_SIZE - 1)), sig};
}
