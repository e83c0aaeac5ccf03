/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changed call sites. A site that is used often gets an entry in a page near it, and a version of its
 * own page in which the instruction before the system call is a jump to that entry:
 *
 *   mov $nr, %eax              jmp entry            entry:  [the replaced instruction]
 *   syscall                    syscall                      lea after(%rip), %rcx
 *   after:                     after:                       jmp lane code
 *
 * The system call instruction stays where it was. That is where lane code goes when it cannot help
 * (lane_code.S), where the doorbell, restarts and signals see the call, and what a thread meets that
 * stood between the two instructions, or that jumps there, whenever the version came or went. So a
 * version differs from its page in the bytes of one instruction, which is executed from its start or
 * not at all, and pages are exchanged whole, by mapping another: no thread sees half of a change.
 *
 * What is replaced: instructions of five bytes or more which set the number or touch no memory but
 * the stack, as C libraries have them before the call (site_code.c). For a shorter one, two bytes lead
 * to a pad behind the function, if there is one near. Only their exact bytes, with the number that the
 * call had, are taken; guest code that is made to look like this but means something else hurts
 * itself.
 *
 * Versions are shown, they do not exist for mm: copies of the page, core files, debuggers and
 * /proc/PID/mem see the guest's own bytes. Guest code that reads its own instructions sees the jump.
 *
 * Life: entries and versions are pages of platform.code, shared by spaces after a fork and never
 * changed while anybody may execute what changes: an entry is written once, before the version that
 * leads there is mapped; a page that another space uses too is copied first. A version goes with the
 * next change of its range; a page that went is free once the host has applied it. Rooms stay until
 * exec or exit.
 *
 * Beside rax, rcx and r11 a system call leaves all registers alone, and flags, which this does not:
 * no compiler expects anything of them.
 *
 * Segment base gs leads entries and lane code to the thread's slot. A guest that uses gs itself gets
 * no versions any more (seccomp_space_sites_off from ctx.c).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "platform/seccomp/seccomp_internal.h"
#include "platform/seccomp/site_code.h"

enum {
    VERSION_MAX = 1024, /* per space */
    PAGES_MAX = 1024,   /* of platform.code, for the whole sandbox: 4 MiB of the host's memory */
};

/* Users of each page of platform.code. Keys: I immutable, l ->lock, a atomic */
struct pages {
    struct mutex lock; /* rank LEAF */
    uint32_t refs[SLOT_COUNT];
    atomic_uint count; /* a: pages that are used */
    uint32_t lane;     /* I: the page of lane code */
};

/* --- pages --- */

static uint8_t *page_memory(const struct platform *p, uint32_t page)
{
    return slots_at(&p->code, page);
}

static uint32_t page_new(struct platform *p)
{
    struct pages *pages = p->pages;
    uint32_t page = SLOT_NONE;

    if (atomic_fetch_add(&pages->count, 1) < PAGES_MAX)
        page = slots_get(&p->code);
    if (page == SLOT_NONE) {
        atomic_fetch_sub(&pages->count, 1);
        return SLOT_NONE;
    }
    mutex_lock(&pages->lock);
    pages->refs[page] = 1;
    mutex_unlock(&pages->lock);
    return page;
}

static void page_get(struct platform *p, uint32_t page)
{
    mutex_lock(&p->pages->lock);
    p->pages->refs[page]++;
    mutex_unlock(&p->pages->lock);
}

static bool page_shared(struct platform *p, uint32_t page)
{
    bool shared;

    mutex_lock(&p->pages->lock);
    shared = p->pages->refs[page] > 1;
    mutex_unlock(&p->pages->lock);
    return shared;
}

static void page_put(struct platform *p, uint32_t page)
{
    bool last;

    mutex_lock(&p->pages->lock);
    last = --p->pages->refs[page] == 0;
    mutex_unlock(&p->pages->lock);
    if (!last)
        return;
    slots_put(&p->code, page);
    atomic_fetch_sub(&p->pages->count, 1);
}

int seccomp_sites_init(struct platform *p)
{
    int ret = slots_init(&p->code, "stub-code", STUB_PAGE);
    uint8_t *code;

    if (ret < 0)
        return ret;
    p->pages = calloc(1, sizeof(*p->pages));
    if (!p->pages)
        return -ENOMEM;
    mutex_init(&p->pages->lock, RANK_LEAF);
    p->pages->lane = page_new(p);
    code = page_memory(p, p->pages->lane);
    memcpy(code, g_lane_code, (size_t)(g_lane_code_end - g_lane_code));
    for (uint32_t nr = 0; nr < ANSWER_NUMBERS; nr++) {
        int answer = site_answer_index(nr);

        code[g_lane_indices - g_lane_code + nr] = (uint8_t)(answer < 0 ? ANSWER_NONE : answer);
    }
    return 0;
}

void seccomp_sites_destroy(struct platform *p)
{
    if (p->pages)
        mutex_destroy(&p->pages->lock);
    free(p->pages);
    p->pages = NULL;
    slots_destroy(&p->code);
}

/* The host may still have it mapped in s. */
static void page_dies_locked(struct platform_space *s, uint32_t page) REQUIRES(s->base.lock)
{
    /* Without memory it is lost until the sandbox ends: 4 KiB. */
    IGNORE_RESULT(slot_stack_push(&s->sites.dead, page));
}

void seccomp_sites_drained_locked(struct platform_space *s)
{
    while (s->sites.dead.count)
        page_put(s->platform, slot_stack_pop(&s->sites.dead));
}

/* --- versions come and go --- */

static struct version *find_version_locked(struct platform_space *s, uaddr_t page)
    REQUIRES(s->base.lock)
{
    for (unsigned i = 0; i < s->sites.version_count; i++) {
        if (s->sites.versions[i].page == page)
            return &s->sites.versions[i];
    }
    return NULL;
}

static void drop_version_locked(struct platform_space *s, unsigned i) REQUIRES(s->base.lock)
{
    struct sites *st = &s->sites;

    page_dies_locked(s, st->versions[i].copy);
    st->versions[i] = st->versions[--st->version_count];
    atomic_fetch_add(&st->generation, 1);
}

int seccomp_sites_changed_locked(struct platform_space *s, uaddr_t addr, size_t size)
{
    struct sites *st = &s->sites;
    int ret = 0;

    for (unsigned i = st->version_count; i-- > 0;) {
        if (st->versions[i].page >= addr && st->versions[i].page < addr + size)
            drop_version_locked(s, i);
    }
    for (unsigned i = 0; i < atomic_load(&st->room_count) && ret == 0; i++) {
        const struct room *r = &st->rooms[i];

        if (!r->gone && r->addr < addr + size && addr < r->addr + PLATFORM_ROOM_SIZE) {
            /* mm gives a room up only with everything else. */
            ret = seccomp_sites_hide_locked(s, 0, s->base.high);
            if (ret == 0)
                seccomp_sites_dropped_locked(s, /*all=*/true);
        }
    }
    return ret;
}

int seccomp_sites_hide_locked(struct platform_space *s, uaddr_t addr, size_t size)
{
    struct sites *st = &s->sites;

    for (unsigned i = st->version_count; i-- > 0;) {
        uaddr_t page = st->versions[i].page;
        int ret;

        if (page < addr || page >= addr + size)
            continue;
        ret = queue_unmap(&s->base.queue, &s->base.mapped, page, STUB_PAGE);
        if (ret < 0)
            return ret;
        drop_version_locked(s, i);
    }
    return 0;
}

void seccomp_sites_dropped_locked(struct platform_space *s, bool all)
{
    struct sites *st = &s->sites;

    while (st->version_count)
        drop_version_locked(s, st->version_count - 1);
    for (unsigned i = 0; i < atomic_load(&st->room_count); i++) {
        struct room *r = &st->rooms[i];

        r->mapped = false;
        if (all && !r->gone) {
            r->gone = true;
            page_dies_locked(s, r->entries);
        }
    }
    if (all)
        atomic_store(&st->off, false);
}

void seccomp_sites_reset_locked(struct platform_space *s)
{
    seccomp_sites_dropped_locked(s, /*all=*/true);
    seccomp_sites_drained_locked(s);
    atomic_store(&s->sites.room_count, 0);
}

int seccomp_sites_clone_locked(struct platform_space *to, struct platform_space *from)
{
    struct sites *a = &from->sites, *b = &to->sites;
    unsigned rooms = atomic_load(&a->room_count);

    atomic_store(&b->off, atomic_load(&a->off));
    if (rooms == 0)
        return 0;
    b->all = malloc(sizeof(*b->all) * SITE_MAX);
    b->versions = malloc(sizeof(*b->versions) * MAX(a->version_count, 1u));
    if (!b->all || !b->versions)
        return -ENOMEM;
    memcpy(b->all, a->all, sizeof(*b->all) * rooms * ENTRY_COUNT);
    memcpy(b->versions, a->versions, sizeof(*b->versions) * a->version_count);
    b->version_count = a->version_count;
    b->version_room = MAX(a->version_count, 1u);
    for (unsigned i = 0; i < rooms; i++) {
        b->rooms[i] = a->rooms[i];
        if (!b->rooms[i].gone)
            page_get(to->platform, b->rooms[i].entries);
    }
    for (unsigned i = 0; i < b->version_count; i++)
        page_get(to->platform, b->versions[i].copy);
    atomic_store(&b->room_count, rooms);
    return 0;
}

void seccomp_sites_free(struct platform_space *s)
{
    mutex_lock(&s->base.lock);
    seccomp_sites_reset_locked(s);
    mutex_unlock(&s->base.lock);
    free(s->sites.all);
    free(s->sites.versions);
    slot_stack_free(&s->sites.dead);
}

void seccomp_space_sites_off(struct platform_space *s)
{
    if (atomic_load(&s->sites.off)) /* what was shown went with the one who set it */
        return;
    mutex_lock(&s->base.lock);
    atomic_store(&s->sites.off, true);
    /* Without memory for the change they stay: they are right, only not for who looks closely. */
    IGNORE_RESULT(seccomp_sites_hide_locked(s, 0, s->base.high));
    stub_space_queue_changed_locked(&s->base);
    mutex_unlock(&s->base.lock);
}

/* --- rooms --- */

static void room_calls(const struct platform_space *s, const struct room *r,
                       struct stub_call *calls)
{
    const struct stub_call call = {.nr = SYS_mmap,
                                   .prot = PROT_READ | PROT_EXEC,
                                   .flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE,
                                   .fd = s->platform->code.fd,
                                   .size = STUB_PAGE};

    calls[0] = calls[1] = call;
    calls[0].addr = r->addr;
    calls[0].off = (uint64_t)s->platform->pages->lane * STUB_PAGE;
    calls[1].addr = r->addr + ROOM_ENTRIES_OFF;
    calls[1].off = (uint64_t)r->entries * STUB_PAGE;
}

/* Runs count calls of the list, which map pages of platform.code. */
static int map_pages_locked(struct platform_space *s, unsigned count) REQUIRES(s->base.lock)
{
    uint32_t done;
    int ret = seccomp_control_run(s->platform, &s->control, COMMAND_CALLS, count, &done);

    s->base.dirty = true;
    return MIN(ret, 0);
}

/* A place for one more room; NULL: there are enough. */
static struct room *free_room_locked(struct platform_space *s) REQUIRES(s->base.lock)
{
    struct sites *st = &s->sites;
    unsigned n = atomic_load(&st->room_count);

    for (unsigned i = 0; i < n; i++) {
        if (st->rooms[i].gone)
            return &st->rooms[i];
    }
    return n < ROOM_MAX ? &st->rooms[n] : NULL;
}

int seccomp_space_room(struct platform_space *s, uaddr_t addr)
{
    struct sites *st = &s->sites;
    struct platform *p = s->platform;
    uint32_t entries = SLOT_NONE;
    struct room *r;
    int ret = -ENOSPC;

    if (addr < p->base.low || addr > p->base.high - PLATFORM_ROOM_SIZE)
        return -EINVAL;
    mutex_lock(&s->base.lock);
    for (unsigned i = 0; i < atomic_load(&st->room_count); i++) {
        if (!st->rooms[i].gone && st->rooms[i].addr == addr) {
            ret = -EEXIST;
            goto out;
        }
    }
    r = free_room_locked(s);
    if (!r)
        goto out;
    ret = -ENOMEM;
    if (!st->all)
        st->all = malloc(sizeof(*st->all) * SITE_MAX);
    if (!st->all)
        goto out;
    entries = page_new(p);
    if (entries == SLOT_NONE)
        goto out;
    ret = rangeset_add(&s->base.mapped, addr, addr + PLATFORM_ROOM_SIZE);
    if (ret < 0) {
        page_put(p, entries);
        goto out;
    }
    memset(page_memory(p, entries), 0xcc, STUB_PAGE); /* int3 */
    *r = (struct room){.addr = addr, .entries = entries};
    if (r == &st->rooms[atomic_load(&st->room_count)])
        atomic_fetch_add(&st->room_count, 1);
out:
    mutex_unlock(&s->base.lock);
    return ret;
}

/* --- making a site --- */

/* The index of the entry for calls from ip; negative: none. */
static int find_site_locked(struct platform_space *s, uaddr_t ip) REQUIRES(s->base.lock)
{
    const struct sites *st = &s->sites;

    for (unsigned i = 0; i < atomic_load(&st->room_count); i++) {
        for (unsigned k = 0; k < st->rooms[i].count && !st->rooms[i].gone; k++) {
            if (st->all[i * ENTRY_COUNT + k].ip == ip)
                return (int)(i * ENTRY_COUNT + k);
        }
    }
    return -ENOENT;
}

/* A page of entries that only this space uses. */
static int own_entries_locked(struct platform_space *s, struct room *r) REQUIRES(s->base.lock)
{
    struct platform *p = s->platform;
    uint32_t page;

    if (!page_shared(p, r->entries))
        return 0;
    page = page_new(p);
    if (page == SLOT_NONE)
        return -ENOMEM;
    memcpy(page_memory(p, page), page_memory(p, r->entries), STUB_PAGE);
    page_dies_locked(s, r->entries);
    r->entries = page;
    r->mapped = false;
    return 0;
}

/* The site's entry, new or old; *out_entry: its address. */
static int get_entry_locked(struct platform_space *s, const struct platform_site *site,
                            const struct site_form *form, uaddr_t *out_entry) REQUIRES(s->base.lock)
{
    struct sites *st = &s->sites;
    const struct site new = {.start = site->page + form->at,
                             .ip = site->ip,
                             .nr = site->nr,
                             .sets_nr = form->sets_nr,
                             .length = (uint8_t)form->length};
    struct site_entry entry = {
        .after = site->ip, .replaced = site->bytes + form->at, .length = (uint8_t)form->length};
    int i = find_site_locked(s, site->ip), ret = -ENOSPC;

    if (i >= 0) {
        const struct site *old = &st->all[i];

        *out_entry = st->rooms[i / ENTRY_COUNT].addr + ROOM_ENTRIES_OFF +
                     (uaddr_t)i % ENTRY_COUNT * ENTRY_SIZE;
        /* Other code at the same place gets no second entry: threads may be in the first. */
        return old->start == new.start && old->nr == new.nr && old->length == new.length &&
                       old->sets_nr == new.sets_nr
                   ? 0
                   : -EEXIST;
    }
    entry.answer = form->sets_nr ? site_answer_index(site->nr) : -ENOENT;
    for (unsigned k = 0; k < atomic_load(&st->room_count) && ret == -ENOSPC; k++) {
        struct room *r = &st->rooms[k];
        unsigned at = r->count * ENTRY_SIZE;

        if (r->gone || r->count == ENTRY_COUNT)
            continue;
        ret = own_entries_locked(s, r);
        if (ret < 0)
            break;
        entry.at = *out_entry = r->addr + ROOM_ENTRIES_OFF + at;
        entry.lane = r->addr + (uaddr_t)(!form->sets_nr              ? g_lane_any - g_lane_code
                                         : site->nr == LANE_FUTEX_NR ? g_lane_futex - g_lane_code
                                                                     : 0);
        ret = -ENOSPC; /* another room may be near enough */
        if (site_write_entry((uint8_t *)page_memory(s->platform, r->entries) + at, &entry)) {
            st->all[k * ENTRY_COUNT + r->count++] = new;
            ret = 0;
        }
    }
    return ret;
}

/* Maps a version of the page with the jump in it. */
static int show_version_locked(struct platform_space *s, const struct platform_site *site,
                               const struct site_form *form, uaddr_t entry) REQUIRES(s->base.lock)
{
    struct platform *p = s->platform;
    struct sites *st = &s->sites;
    struct version *old = find_version_locked(s, site->page);
    struct stub_call *calls = seccomp_control_calls(p, &s->control);
    unsigned count = 0;
    uint32_t page;
    uint8_t *code;
    int ret;

    if (!old && st->version_count == st->version_room) {
        unsigned room = st->version_room ? st->version_room * 2 : 16;
        struct version *more;

        if (room > VERSION_MAX)
            return -E2BIG;
        more = realloc(st->versions, room * sizeof(*more));
        if (!more)
            return -ENOMEM;
        st->versions = more;
        st->version_room = room;
    }
    page = page_new(p);
    if (page == SLOT_NONE)
        return -ENOMEM;
    code = page_memory(p, page);
    memcpy(code, old ? page_memory(p, old->copy) : site->bytes, STUB_PAGE);
    if (!site_write_jump(code, site->bytes, site->page, form, entry)) {
        page_put(p, page);
        return -EEXIST;
    }
    for (unsigned i = 0; i < atomic_load(&st->room_count); i++) {
        if (!st->rooms[i].mapped && !st->rooms[i].gone) {
            room_calls(s, &st->rooms[i], calls + count);
            count += 2;
        }
    }
    calls[count++] = (struct stub_call){.nr = SYS_mmap,
                                        .prot = PROT_READ | PROT_EXEC,
                                        .flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE,
                                        .fd = p->code.fd,
                                        .addr = site->page,
                                        .size = STUB_PAGE,
                                        .off = (uint64_t)page * STUB_PAGE};
    ret = map_pages_locked(s, count);
    if (ret < 0) {
        page_dies_locked(s, page); /* the host may have got that far */
        return ret;
    }
    for (unsigned i = 0; i < atomic_load(&st->room_count); i++)
        st->rooms[i].mapped = !st->rooms[i].gone;
    if (old) {
        page_dies_locked(s, old->copy);
        old->copy = page;
    } else {
        st->versions[st->version_count++] = (struct version){.page = site->page, .copy = page};
    }
    seccomp_sites_drained_locked(s);
    return 0;
}

/* Does the version that is shown have the site's jump already? */
static bool shown_locked(struct platform_space *s, const struct platform_site *site,
                         const struct site_form *form) REQUIRES(s->base.lock)
{
    const struct version *v = find_version_locked(s, site->page);

    return v && memcmp(page_memory(s->platform, v->copy) + form->at, site->bytes + form->at,
                       form->length) != 0;
}

int seccomp_space_site(struct platform_space *s, const struct platform_site *site)
{
    struct site_form form;
    uaddr_t entry;
    int ret = 0;

    if (atomic_load(&s->sites.off))
        return -EAGAIN;
    if (!site_find_form(site->bytes, (unsigned)(site->ip - SITE_SYSCALL_SIZE - site->page),
                        site->nr, &form))
        return -EINVAL;
    /* What waits in the queue may be about the same page. */
    ret = stub_space_drain(&s->base, NULL);
    if (ret < 0)
        return ret;
    mutex_lock(&s->base.lock);
    if (atomic_load(&s->sites.off) || atomic_load(&s->base.pending) != PENDING_NONE ||
        !s->control.pid)
        ret = -EAGAIN;
    else if (!shown_locked(s, site, &form)) {
        ret = get_entry_locked(s, site, &form, &entry);
        if (ret == 0)
            ret = show_version_locked(s, site, &form, entry);
    }
    mutex_unlock(&s->base.lock);
    return ret;
}

enum site_heat seccomp_site_heat(struct platform_ctx *c, uaddr_t ip)
{
    struct hot_calls *h = &c->hot;
    /* relaxed: a version that goes this moment is missed a call later */
    const unsigned generation =
        atomic_load_explicit(&c->space->sites.generation, memory_order_relaxed);
    const unsigned i = (unsigned)(ip ^ ip >> 7) % ARRAY_COUNT(h->at);

    if (unlikely(h->generation != generation))
        *h = (struct hot_calls){.generation = generation};
    if (h->at[i].ip != ip) {
        h->at[i].ip = ip;
        h->at[i].count = 0;
    }
    if (h->at[i].count == SITE_IS_HOT)
        return SITE_DONE;
    if (++h->at[i].count < seccomp_lane_hot_calls(h->warm))
        return SITE_COLD;
    h->at[i].count = SITE_IS_HOT;
    h->warm = true;
    return SITE_HOT;
}
