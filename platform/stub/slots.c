/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered pieces of a shared memory file; see slots.h. */
#include "platform/stub/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/host/mem.h"

int slots_init(struct slots *s, const char *name, size_t size)
{
    void *map;
    int ret;

    *s = (struct slots){.fd = -1, .size = size};
    mutex_init(&s->lock, RANK_LEAF);
    s->free = calloc(SLOT_COUNT, sizeof(*s->free));
    if (!s->free)
        return -ENOMEM;
    ret = s->fd = host_memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ret < 0)
        goto fail;
    if (ftruncate(s->fd, (off_t)(SLOT_COUNT * size)) < 0 ||
        fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        ret = -errno;
        goto fail;
    }
    ret = host_mmap(NULL, SLOT_COUNT * size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0, &map);
    if (ret < 0)
        goto fail;
    s->memory = map;
    return 0;
fail:
    slots_destroy(s);
    return ret;
}

void slots_destroy(struct slots *s)
{
    if (s->memory)
        (void)host_munmap(s->memory, SLOT_COUNT * s->size); /* our own mapping */
    if (s->free && s->fd >= 0)
        (void)close(s->fd);
    free(s->free);
    *s = (struct slots){.fd = -1};
}

uint32_t slots_get(struct slots *s)
{
    uint32_t slot = SLOT_NONE;

    mutex_lock(&s->lock);
    if (s->free_count)
        slot = s->free[--s->free_count];
    else if (s->next < SLOT_COUNT)
        slot = s->next++;
    mutex_unlock(&s->lock);
    return slot;
}

void slots_put(struct slots *s, uint32_t slot)
{
    if (slot == SLOT_NONE)
        return;
    mutex_lock(&s->lock);
    s->free[s->free_count++] = (uint16_t)slot;
    mutex_unlock(&s->lock);
}
