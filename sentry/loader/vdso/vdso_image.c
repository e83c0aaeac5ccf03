// SPDX-License-Identifier: Apache-2.0
/*
 * The code that the guest runs: freestanding, position independent, no relocations, no stack
 * protector, no writable data. vvar_page is the page before the image (vdso.lds).
 */
#include "sentry/loader/vdso/vdso_data.h"

struct timespec64 {
    int64_t sec, nsec;
};
struct timeval64 {
    int64_t sec, usec;
};
struct timezone32 {
    int32_t minuteswest, dsttime;
};

extern const volatile struct vdso_data vvar_page __attribute__((visibility("hidden")));

int __vdso_clock_gettime(int clock, struct timespec64 *ts);
int __vdso_gettimeofday(struct timeval64 *tv, struct timezone32 *tz);
int64_t __vdso_time(int64_t *t);
int __vdso_clock_getres(int clock, struct timespec64 *res);
long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

#define NR_clock_gettime 228
#define NR_clock_getres  229
#define NR_gettimeofday  96
#define NR_getcpu        309
#define NSEC             1000000000ull
#define EINVAL_NEG       (-22)

static inline long syscall3(long nr, long a, long b, long c)
{
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}

static inline uint64_t read_tsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("lfence\n\trdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

/* A consistent copy of the page and the time of it; 0 when the TSC must not be used. */
static inline int snapshot(struct vdso_data *d, uint64_t *tsc)
{
    uint32_t seq;

    do {
        while ((seq = __atomic_load_n(&vvar_page.seq, __ATOMIC_ACQUIRE)) & 1)
            __builtin_ia32_pause();
        d->clock_mode = vvar_page.clock_mode;
        d->tsc_base = vvar_page.tsc_base;
        d->mult = vvar_page.mult;
        d->mono_ns = vvar_page.mono_ns;
        d->real_off = vvar_page.real_off;
        d->boot_off = vvar_page.boot_off;
        d->tai_off = vvar_page.tai_off;
        *tsc = read_tsc();
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&vvar_page.seq, __ATOMIC_RELAXED) != seq);
    return (int)(d->clock_mode & VDSO_CLOCK_TSC);
}

/* Nanoseconds of the clock; 0 when the system call must answer. */
static inline int clock_ns(int clock, uint64_t *ns)
{
    struct vdso_data d;
    uint64_t tsc, off;

    if (clock < 0 || clock > 11 || !((1u << clock) & 0x8e3u))
        return 0;
    if (!snapshot(&d, &tsc))
        return 0;
    if (clock == 0 || clock == 5)
        off = (uint64_t)d.real_off;
    else if (clock == 7)
        off = (uint64_t)d.boot_off;
    else if (clock == 11)
        off = (uint64_t)d.tai_off;
    else
        off = (uint64_t)vvar_page.mono_off;
    *ns = vdso_mono_at(&d, tsc) + off;
    return 1;
}

int __vdso_clock_gettime(int clock, struct timespec64 *ts)
{
    uint64_t ns;

    if (!clock_ns(clock, &ns))
        return (int)syscall3(NR_clock_gettime, clock, (long)ts, 0);
    ts->sec = (int64_t)(ns / NSEC);
    ts->nsec = (int64_t)(ns % NSEC);
    return 0;
}

int __vdso_gettimeofday(struct timeval64 *tv, struct timezone32 *tz)
{
    uint64_t ns;

    if (tv) {
        if (!clock_ns(0, &ns))
            return (int)syscall3(NR_gettimeofday, (long)tv, (long)tz, 0);
        tv->sec = (int64_t)(ns / NSEC);
        tv->usec = (int64_t)(ns % NSEC / 1000);
    }
    if (tz) {
        tz->minuteswest = 0;
        tz->dsttime = 0;
    }
    return 0;
}

int64_t __vdso_time(int64_t *t)
{
    struct timespec64 ts;
    uint64_t ns;
    int64_t sec;

    if (clock_ns(0, &ns)) {
        sec = (int64_t)(ns / NSEC);
    } else {
        syscall3(NR_clock_gettime, 0, (long)&ts, 0);
        sec = ts.sec;
    }
    if (t)
        *t = sec;
    return sec;
}

int __vdso_clock_getres(int clock, struct timespec64 *res)
{
    return (int)syscall3(NR_clock_getres, clock, (long)res, 0);
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
    uint32_t lo, hi, aux;

    (void)unused;
    if (!(vvar_page.cpu_mode & VDSO_CPU_RDTSCP))
        return syscall3(NR_getcpu, (long)cpu, (long)node, 0);
    __asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
    if (cpu)
        *cpu = aux & 0xfff;
    if (node)
        *node = aux >> 12;
    return 0;
}

int clock_gettime(int, struct timespec64 *) __attribute__((weak, alias("__vdso_clock_gettime")));
int gettimeofday(struct timeval64 *, struct timezone32 *)
    __attribute__((weak, alias("__vdso_gettimeofday")));
int64_t time(int64_t *) __attribute__((weak, alias("__vdso_time")));
int clock_getres(int, struct timespec64 *) __attribute__((weak, alias("__vdso_clock_getres")));
long getcpu(unsigned *, unsigned *, void *) __attribute__((weak, alias("__vdso_getcpu")));
