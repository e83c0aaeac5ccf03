/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered pieces of a shared memory file; see slots.h. */
#include "platform/stub/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/host/mem.h"

bool slot_stack_push(struct slot_stack *s, uint32_t slot)
{
    if (s->count == s->room) {
        uint32_t room = s->room ? s->room * 2 : 8;
        uint16_t *more = realloc(s->numbers, room * sizeof(*more));

        if (!more)
            return false;
        s->numbers = more;
        s->room = room;
    }
    s->numbers[s->count++] = (uint16_t)slot;
    return true;
}

uint32_t slot_stack_pop(struct slot_stack *s)
{
    return s->count ? s->numbers[--s->count] : SLOT_NONE;
}

void slot_stack_free(struct slot_stack *s)
{
    free(s->numbers);
    *s = (struct slot_stack){0};
}

int slots_init(struct slots *s, const char *name, size_t size)
{
    void *map;
    int ret;

    *s = (struct slots){.fd = -1, .size = size};
    mutex_init(&s->lock, RANK_LEAF);
    s->free.numbers = calloc(SLOT_COUNT, sizeof(*s->free.numbers));
    if (!s->free.numbers)
        return -ENOMEM;
    s->free.room = SLOT_COUNT;
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
    if (s->free.numbers && s->fd >= 0)
        (void)close(s->fd);
    slot_stack_free(&s->free);
    *s = (struct slots){.fd = -1};
}

uint32_t slots_get(struct slots *s)
{
    uint32_t slot;

    mutex_lock(&s->lock);
    slot = slot_stack_pop(&s->free);
    if (slot == SLOT_NONE && s->next < SLOT_COUNT)
        slot = s->next++;
    mutex_unlock(&s->lock);
    return slot;
}

void slots_put(struct slots *s, uint32_t slot)
{
    bool pushed;

    if (slot == SLOT_NONE)
        return;
    mutex_lock(&s->lock);
    pushed = slot_stack_push(&s->free, slot);
    mutex_unlock(&s->lock);
    ASSERT(pushed); /* there is room for every number */
}
