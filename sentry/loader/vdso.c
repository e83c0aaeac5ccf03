// SPDX-License-Identifier: Apache-2.0
/*
 * The sentry's side of the vDSO: image and data page as a mappable object, and the clock parameters
 * in the data page.
 *
 * The host's CLOCK_MONOTONIC is sampled together with the TSC. The first refreshes come 1, 2, 4 ms
 * ... apart, then every second, each with a longer base line, so that sampling noise (tens of ns)
 * never makes more than a fraction of a microsecond until the next one. Our clock never steps back:
 * when it is found ahead of the host's, it runs slower until the two meet.
 *
 * The offsets of the other clocks change only when somebody sets the time; noise of a sample is
 * kept out of them, or CLOCK_REALTIME could step back by it.
 *
 * A time namespace with offsets has a data page of its own, which is written with the first one.
 *
 * Locks: g_vdso.lock (LEAF) serialises writers of the pages; readers use the sequence number.
 */
#include "sentry/loader/vdso.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/base/lock.h"
#include "platform/base/log.h"
#include "sentry/abi/mman.h"
#include "sentry/core/clock.h"
#include "sentry/loader/vdso/vdso_data.h"
#include "sentry/mm/mm.h"

extern const char g_vdso_image[], g_vdso_image_end[];

static const char g_vvar_name[] = "[vvar]";

#define FIRST_BASELINE_NS 500000ull
#define INTERVAL_MIN_NS   1000000ull
#define INTERVAL_MAX_NS   NSEC_PER_SEC
#define ANCHOR_NS         (8 * NSEC_PER_SEC)
#define SLOW_CLOCK_NS     300ull /* a host clock that costs more is not read from the TSC */
#define BROKEN_NS         100000000ll
#define OFFSET_NOISE_NS   2000ll
#define SLEW_PPM          500ull

struct sample {
    uint64_t tsc, mono;
};

/* The data page of a time namespace.
 * Lifetime: refcounted: by the namespace and by what maps it. Keys: I immutable; v g_vdso.lock */
struct vvar {
    struct refs refs;
    struct mappable object;         /* its one page */
    struct list node;               /* v: g_vdso.vvars */
    mfpage_t page;                  /* I */
    struct vdso_data *data;         /* v for writers */
    int64_t mono_shift, boot_shift; /* I: ns */
};

/* Keys: I immutable after vdso_init; v ->lock; a atomic */
static struct {
    struct mutex lock;                 /* rank LEAF */
    struct mappable object;            /* page 0: data, then the image */
    mfpage_t page;                     /* I: first page */
    uint32_t pages;                    /* I */
    struct vdso_data *data;            /* v for writers */
    struct list vvars;                 /* v: further data pages */
    bool tsc_usable;                   /* v */
    struct sample first, anchor, last; /* v */
    uint64_t interval_ns;              /* v */
    atomic_ullong next_tsc;            /* a: refresh is due from here on; UINT64_MAX: never */
} g_vdso;

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("lfence\n\trdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

/* ---- samples ----------------------------------------------------------------------------- */

static struct sample take_sample(uint64_t *out_cost)
{
    struct sample best = {0};
    uint64_t best_cost = UINT64_MAX;
    int i;

    for (i = 0; i < 4; i++) {
        uint64_t t1 = rdtsc(), mono = clock_monotonic(), t2 = rdtsc();

        if (t2 - t1 < best_cost) {
            best_cost = t2 - t1;
            best = (struct sample){.tsc = t1 + (t2 - t1) / 2, .mono = mono};
        }
    }
    if (out_cost)
        *out_cost = best_cost;
    return best;
}

/* ns per tick with 32 fraction bits between two samples. */
static uint64_t slope(struct sample a, struct sample b)
{
    return (uint64_t)(((unsigned __int128)(b.mono - a.mono) << 32) / (b.tsc - a.tsc));
}

static int64_t offset_of(clockid_t id)
{
    struct timespec a, b, ts;
    int64_t best = 0, best_cost = INT64_MAX;
    int i;

    for (i = 0; i < 3; i++) {
        int64_t t1, t2;

        clock_gettime(CLOCK_MONOTONIC, &a);
        clock_gettime(id, &ts);
        clock_gettime(CLOCK_MONOTONIC, &b);
        t1 = a.tv_sec * (int64_t)NSEC_PER_SEC + a.tv_nsec;
        t2 = b.tv_sec * (int64_t)NSEC_PER_SEC + b.tv_nsec;
        if (t2 - t1 < best_cost) {
            best_cost = t2 - t1;
            best = ts.tv_sec * (int64_t)NSEC_PER_SEC + ts.tv_nsec - (t1 + (t2 - t1) / 2);
        }
    }
    return best;
}

/* Keeps the old offset when the difference is noise. */
static int64_t offset_update(int64_t old, clockid_t id)
{
    int64_t fresh = offset_of(id), diff = fresh - old;

    return diff > OFFSET_NOISE_NS || diff < -OFFSET_NOISE_NS ? fresh : old;
}

/* ---- the data page ----------------------------------------------------------------------- */

/* release on every field: none is seen before the odd seq; acquire on every field in the readers: seq
 * is read again after all of them. */
static void publish_to(struct vdso_data *d, const struct vdso_data *fresh, int64_t boot_shift)
{
    uint32_t seq = d->seq;

    __atomic_store_n(&d->seq, seq + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&d->clock_mode, fresh->clock_mode, __ATOMIC_RELEASE);
    __atomic_store_n(&d->cpu_mode, fresh->cpu_mode, __ATOMIC_RELEASE);
    __atomic_store_n(&d->tsc_base, fresh->tsc_base, __ATOMIC_RELEASE);
    __atomic_store_n(&d->mult, fresh->mult, __ATOMIC_RELEASE);
    __atomic_store_n(&d->mono_ns, fresh->mono_ns, __ATOMIC_RELEASE);
    __atomic_store_n(&d->real_off, fresh->real_off, __ATOMIC_RELEASE);
    __atomic_store_n(&d->boot_off, fresh->boot_off + boot_shift, __ATOMIC_RELEASE);
    __atomic_store_n(&d->tai_off, fresh->tai_off, __ATOMIC_RELEASE);
    /* release: pairs with the acquire loads of seq in the readers. */
    __atomic_store_n(&d->seq, seq + 2, __ATOMIC_RELEASE);
}

static void publish_locked(const struct vdso_data *fresh)
{
    struct vvar *v;

    publish_to(g_vdso.data, fresh, 0);
    list_for_each_entry(v, &g_vdso.vvars, node)
        publish_to(v->data, fresh, v->boot_shift);
}

static void snapshot(struct vdso_data *out, uint64_t *out_tsc)
{
    const volatile struct vdso_data *d = g_vdso.data;
    uint32_t seq;

    do {
        while ((seq = __atomic_load_n(&d->seq, __ATOMIC_ACQUIRE)) & 1)
            __builtin_ia32_pause();
        out->clock_mode = __atomic_load_n(&d->clock_mode, __ATOMIC_ACQUIRE);
        out->cpu_mode = __atomic_load_n(&d->cpu_mode, __ATOMIC_ACQUIRE);
        out->tsc_base = __atomic_load_n(&d->tsc_base, __ATOMIC_ACQUIRE);
        out->mult = __atomic_load_n(&d->mult, __ATOMIC_ACQUIRE);
        out->mono_ns = __atomic_load_n(&d->mono_ns, __ATOMIC_ACQUIRE);
        out->real_off = __atomic_load_n(&d->real_off, __ATOMIC_ACQUIRE);
        out->boot_off = __atomic_load_n(&d->boot_off, __ATOMIC_ACQUIRE);
        out->tai_off = __atomic_load_n(&d->tai_off, __ATOMIC_ACQUIRE);
        *out_tsc = rdtsc();
    } while (__atomic_load_n(&d->seq, __ATOMIC_RELAXED) != seq);
}

static void schedule_next_locked(uint64_t tsc, uint64_t mult)
{
    uint64_t ticks = (uint64_t)(((unsigned __int128)g_vdso.interval_ns << 32) / (mult ? mult : 1));

    atomic_store(&g_vdso.next_tsc, tsc + ticks);
    if (g_vdso.interval_ns < INTERVAL_MAX_NS)
        g_vdso.interval_ns = MIN(g_vdso.interval_ns * 2, INTERVAL_MAX_NS);
}

static void give_up_locked(const char *why)
{
    struct vdso_data d = *g_vdso.data;

    d.clock_mode = 0;
    publish_locked(&d);
    g_vdso.tsc_usable = false;
    atomic_store(&g_vdso.next_tsc, UINT64_MAX);
    log_info(LOG_LOADER, "vDSO clocks take the system call: %s", why);
}

/* First parameters: the base line from vdso_init to here. */
static void start_clock_locked(void)
{
    struct vdso_data d = *g_vdso.data;
    struct sample now;

    do {
        now = take_sample(NULL);
    } while (now.mono - g_vdso.first.mono < FIRST_BASELINE_NS);
    d.clock_mode = VDSO_CLOCK_TSC;
    d.tsc_base = now.tsc;
    d.mono_ns = now.mono;
    d.mult = slope(g_vdso.first, now);
    d.real_off = offset_of(CLOCK_REALTIME);
    d.boot_off = offset_of(CLOCK_BOOTTIME);
    d.tai_off = offset_of(CLOCK_TAI);
    publish_locked(&d);
    g_vdso.anchor = g_vdso.first;
    g_vdso.last = now;
    g_vdso.interval_ns = INTERVAL_MIN_NS;
    schedule_next_locked(now.tsc, d.mult);
}

static void refresh_locked(void)
{
    struct vdso_data d = *g_vdso.data;
    struct sample now = take_sample(NULL);
    uint64_t ours = vdso_mono_at(&d, now.tsc), rate;
    int64_t error = (int64_t)(now.mono - ours);

    if (now.tsc <= g_vdso.last.tsc || error < -BROKEN_NS) {
        give_up_locked("the TSC does not follow the host's clock");
        return;
    }
    rate = slope(g_vdso.anchor, now);
    d.tsc_base = now.tsc;
    if (error >= 0) {
        d.mono_ns = now.mono;
        d.mult = rate;
    } else {
        /* Ahead: go on from our own value, slower. */
        uint64_t ppm = (uint64_t)-error * 1000000 / g_vdso.interval_ns + 1;

        d.mono_ns = ours;
        d.mult = rate - rate / 1000000 * MIN(ppm, SLEW_PPM);
    }
    d.real_off = offset_update(d.real_off, CLOCK_REALTIME);
    d.boot_off = offset_update(d.boot_off, CLOCK_BOOTTIME);
    d.tai_off = offset_update(d.tai_off, CLOCK_TAI);
    publish_locked(&d);
    if (now.mono - g_vdso.last.mono >= ANCHOR_NS ||
        now.mono - g_vdso.anchor.mono >= 2 * ANCHOR_NS) {
        g_vdso.anchor = g_vdso.last;
        g_vdso.last = now;
    }
    schedule_next_locked(now.tsc, d.mult);
}

void vdso_tick(void)
{
    if (likely(rdtsc() < atomic_load_explicit(&g_vdso.next_tsc, memory_order_relaxed)))
        return;
    if (!mutex_trylock(&g_vdso.lock))
        return; /* somebody else is at it */
    if (g_vdso.tsc_usable)
        refresh_locked();
    mutex_unlock(&g_vdso.lock);
}

static uint64_t host_clock(int clockid)
{
    switch (clockid) {
    case 0:
    case 5:
        return clock_realtime();
    case 7:
        return clock_boottime();
    case 11:
        return clock_monotonic() + (uint64_t)offset_of(CLOCK_TAI);
    default:
        return clock_monotonic();
    }
}

bool vdso_clock_read(int clockid, uint64_t *out_ns)
{
    struct vdso_data d;
    uint64_t tsc, ns;

    if (clockid < 0 || clockid > 11 || !((1u << clockid) & 0x8e3u))
        return false;
    if (!g_vdso.data) {
        *out_ns = host_clock(clockid);
        return true;
    }
    vdso_tick();
    snapshot(&d, &tsc);
    if (!(d.clock_mode & VDSO_CLOCK_TSC)) {
        *out_ns = host_clock(clockid);
        return true;
    }
    ns = vdso_mono_at(&d, tsc);
    if (clockid == 0 || clockid == 5)
        ns += (uint64_t)d.real_off;
    else if (clockid == 7)
        ns += (uint64_t)d.boot_off;
    else if (clockid == 11)
        ns += (uint64_t)d.tai_off;
    *out_ns = ns;
    return true;
}

/* ---- image ------------------------------------------------------------------------------- */

static int vdso_translate(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                          struct backing *out)
{
    (void)m;
    (void)write; /* only private mappings exist */
    if (pgoff >= g_vdso.pages)
        return -ENXIO;
    count = MIN(count, g_vdso.pages - (uint32_t)pgoff);
    *out = (struct backing){
        .kind = BACKING_MEMFILE, .page = g_vdso.page + (mfpage_t)pgoff, .count = count};
    memfile_get(out->page, count);
    return 0;
}

static void vdso_ref(struct mappable *m)
{
    (void)m; /* lives as long as the sentry */
}

static const struct mappable_ops vdso_mappable_ops = {
    .translate = vdso_translate,
    .get = vdso_ref,
    .put = vdso_ref,
};

/* ---- data pages of time namespaces ------------------------------------------------------- */

static struct vvar *vvar_of(struct mappable *m)
{
    return container_of(m, struct vvar, object);
}

static int vvar_translate(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                          struct backing *out)
{
    (void)count;
    (void)write; /* only private mappings exist */
    if (pgoff)
        return -ENXIO;
    *out = (struct backing){.kind = BACKING_MEMFILE, .page = vvar_of(m)->page, .count = 1};
    memfile_get(out->page, 1);
    return 0;
}

static void vvar_get(struct mappable *m)
{
    refs_get(&vvar_of(m)->refs);
}

static void vvar_put(struct mappable *m)
{
    struct vvar *v = vvar_of(m);

    if (!refs_put(&v->refs))
        return;
    mutex_lock(&g_vdso.lock);
    list_del(&v->node);
    mutex_unlock(&g_vdso.lock);
    memfile_put(v->page, 1);
    mappable_destroy(&v->object);
    free(v);
}

static const struct mappable_ops vvar_mappable_ops = {
    .translate = vvar_translate,
    .get = vvar_get,
    .put = vvar_put,
};

int vdso_vvar_new(int64_t mono_shift, int64_t boot_shift, struct mappable **out)
{
    struct vvar *v = calloc(1, sizeof(*v));
    int ret = v ? memfile_alloc(MEMFILE_KERNEL, 1, &v->page) : -ENOMEM;

    if (ret < 0) {
        free(v);
        return ret;
    }
    refs_init(&v->refs);
    mappable_init(&v->object, &vvar_mappable_ops);
    v->mono_shift = mono_shift;
    v->boot_shift = boot_shift;
    v->data = memfile_ptr(v->page);
    v->data->mono_off = mono_shift;
    mutex_lock(&g_vdso.lock);
    publish_to(v->data, g_vdso.data, boot_shift);
    list_add_tail(&g_vdso.vvars, &v->node);
    mutex_unlock(&g_vdso.lock);
    *out = &v->object;
    return 0;
}

int vdso_show_vvar(struct mm *mm, struct mappable *vvar)
{
    return mm_show_special(mm, g_vvar_name, vvar ? vvar : &g_vdso.object);
}

/* ---- boot and exec ----------------------------------------------------------------------- */

static bool cpu_has_invariant_tsc(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8));
}

static bool cpu_has_rdtscp(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(0x80000001, &a, &b, &c, &d) && (d & (1u << 27));
}

/* Is the host's own clock read from the TSC? Then it costs tens of ns. */
static bool tsc_is_good(struct sample first, uint64_t cost)
{
    struct sample second;
    uint64_t per_us;

    if (!cpu_has_invariant_tsc())
        return false;
    do {
        second = take_sample(NULL);
    } while (second.mono - first.mono < 20000);
    if (second.tsc <= first.tsc)
        return false;
    per_us = (second.tsc - first.tsc) * 1000 / (second.mono - first.mono);
    return per_us > 0 && cost * 1000 / per_us < SLOW_CLOCK_NS;
}

int vdso_init(void)
{
    size_t size = (size_t)(g_vdso_image_end - g_vdso_image);
    uint64_t cost;
    int ret;

    if (g_vdso.data)
        return 0;
    g_vdso.pages = 1 + (uint32_t)((size + LX_PAGE_SIZE - 1) / LX_PAGE_SIZE);
    ret = memfile_alloc(MEMFILE_KERNEL, g_vdso.pages, &g_vdso.page);
    if (ret < 0)
        return ret;
    mutex_init(&g_vdso.lock, RANK_LEAF);
    list_init(&g_vdso.vvars);
    mappable_init(&g_vdso.object, &vdso_mappable_ops);
    g_vdso.data = memfile_ptr(g_vdso.page);
    memcpy((char *)memfile_ptr(g_vdso.page) + LX_PAGE_SIZE, g_vdso_image, size);
    g_vdso.data->cpu_mode = cpu_has_rdtscp() ? VDSO_CPU_RDTSCP : 0;
    g_vdso.first = take_sample(&cost);
    atomic_store(&g_vdso.next_tsc, UINT64_MAX);
    g_vdso.tsc_usable = tsc_is_good(g_vdso.first, cost);
    if (!g_vdso.tsc_usable)
        log_info(LOG_LOADER, "vDSO clocks take the system call: the host does not use the TSC");
    return 0;
}

int vdso_map(struct mm *mm, struct mappable *vvar, uaddr_t *out_base)
{
    struct mmap_args a = {
        .size = (uint64_t)g_vdso.pages * LX_PAGE_SIZE,
        .prot = LX_PROT_READ,
        .flags = LX_MAP_PRIVATE,
        .object = vvar ? vvar : &g_vdso.object,
        .name = g_vvar_name,
        .max_prot = LX_PROT_READ,
    };
    int64_t base;

    if (g_vdso.tsc_usable && atomic_load(&g_vdso.next_tsc) == UINT64_MAX) {
        mutex_lock(&g_vdso.lock);
        if (g_vdso.tsc_usable && atomic_load(&g_vdso.next_tsc) == UINT64_MAX)
            start_clock_locked();
        mutex_unlock(&g_vdso.lock);
    }
    base = mm_mmap(mm, &a);
    if (base < 0)
        return (int)base;
    a.addr = (uaddr_t)base + LX_PAGE_SIZE;
    a.size -= LX_PAGE_SIZE;
    a.prot = LX_PROT_READ | LX_PROT_EXEC;
    a.max_prot = LX_PROT_READ | LX_PROT_EXEC;
    a.flags |= LX_MAP_FIXED;
    a.offset = LX_PAGE_SIZE;
    a.object = &g_vdso.object;
    a.name = "[vdso]";
    base = mm_mmap(mm, &a);
    if (base < 0)
        return (int)base;
    *out_base = (uaddr_t)base;
    return 0;
}
