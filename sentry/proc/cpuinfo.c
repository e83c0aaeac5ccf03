/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/cpuinfo from the cpuid instruction, which guests can execute themselves: nothing is shown
 * that they could not find out. All CPUs are shown as equal cores of one package.
 */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/cpus.h"
#include "sentry/proc/cpuinfo.h"

struct feature {
    uint32_t leaf, sub;
    char reg; /* a b c d */
    uint8_t bit;
    const char *name;
};

/* In the order of Linux's flags line: by word of x86_capability. */
static const struct feature features[] = {
    {1, 0, 'd', 0, "fpu"},
    {1, 0, 'd', 1, "vme"},
    {1, 0, 'd', 2, "de"},
    {1, 0, 'd', 3, "pse"},
    {1, 0, 'd', 4, "tsc"},
    {1, 0, 'd', 5, "msr"},
    {1, 0, 'd', 6, "pae"},
    {1, 0, 'd', 7, "mce"},
    {1, 0, 'd', 8, "cx8"},
    {1, 0, 'd', 9, "apic"},
    {1, 0, 'd', 11, "sep"},
    {1, 0, 'd', 12, "mtrr"},
    {1, 0, 'd', 13, "pge"},
    {1, 0, 'd', 14, "mca"},
    {1, 0, 'd', 15, "cmov"},
    {1, 0, 'd', 16, "pat"},
    {1, 0, 'd', 17, "pse36"},
    {1, 0, 'd', 19, "clflush"},
    {1, 0, 'd', 23, "mmx"},
    {1, 0, 'd', 24, "fxsr"},
    {1, 0, 'd', 25, "sse"},
    {1, 0, 'd', 26, "sse2"},
    {1, 0, 'd', 27, "ss"},
    {1, 0, 'd', 28, "ht"},
    {0x80000001, 0, 'd', 11, "syscall"},
    {0x80000001, 0, 'd', 20, "nx"},
    {0x80000001, 0, 'd', 22, "mmxext"},
    {0x80000001, 0, 'd', 25, "fxsr_opt"},
    {0x80000001, 0, 'd', 26, "pdpe1gb"},
    {0x80000001, 0, 'd', 27, "rdtscp"},
    {0x80000001, 0, 'd', 29, "lm"},
    {0x80000007, 0, 'd', 8, "constant_tsc"},
    {1, 0, 'c', 0, "pni"},
    {1, 0, 'c', 1, "pclmulqdq"},
    {1, 0, 'c', 9, "ssse3"},
    {1, 0, 'c', 12, "fma"},
    {1, 0, 'c', 13, "cx16"},
    {1, 0, 'c', 17, "pcid"},
    {1, 0, 'c', 19, "sse4_1"},
    {1, 0, 'c', 20, "sse4_2"},
    {1, 0, 'c', 21, "x2apic"},
    {1, 0, 'c', 22, "movbe"},
    {1, 0, 'c', 23, "popcnt"},
    {1, 0, 'c', 24, "tsc_deadline_timer"},
    {1, 0, 'c', 25, "aes"},
    {1, 0, 'c', 26, "xsave"},
    {1, 0, 'c', 28, "avx"},
    {1, 0, 'c', 29, "f16c"},
    {1, 0, 'c', 30, "rdrand"},
    {1, 0, 'c', 31, "hypervisor"},
    {0x80000001, 0, 'c', 0, "lahf_lm"},
    {0x80000001, 0, 'c', 1, "cmp_legacy"},
    {0x80000001, 0, 'c', 4, "cr8_legacy"},
    {0x80000001, 0, 'c', 5, "abm"},
    {0x80000001, 0, 'c', 6, "sse4a"},
    {0x80000001, 0, 'c', 7, "misalignsse"},
    {0x80000001, 0, 'c', 8, "3dnowprefetch"},
    {0x80000001, 0, 'c', 9, "osvw"},
    {0x80000001, 0, 'c', 22, "topoext"},
    {7, 0, 'b', 0, "fsgsbase"},
    {7, 0, 'b', 1, "tsc_adjust"},
    {7, 0, 'b', 3, "bmi1"},
    {7, 0, 'b', 5, "avx2"},
    {7, 0, 'b', 7, "smep"},
    {7, 0, 'b', 8, "bmi2"},
    {7, 0, 'b', 9, "erms"},
    {7, 0, 'b', 10, "invpcid"},
    {7, 0, 'b', 14, "mpx"},
    {7, 0, 'b', 16, "avx512f"},
    {7, 0, 'b', 17, "avx512dq"},
    {7, 0, 'b', 18, "rdseed"},
    {7, 0, 'b', 19, "adx"},
    {7, 0, 'b', 20, "smap"},
    {7, 0, 'b', 21, "avx512ifma"},
    {7, 0, 'b', 23, "clflushopt"},
    {7, 0, 'b', 24, "clwb"},
    {7, 0, 'b', 28, "avx512cd"},
    {7, 0, 'b', 29, "sha_ni"},
    {7, 0, 'b', 30, "avx512bw"},
    {7, 0, 'b', 31, "avx512vl"},
    {0xd, 1, 'a', 0, "xsaveopt"},
    {0xd, 1, 'a', 1, "xsavec"},
    {0xd, 1, 'a', 2, "xgetbv1"},
    {7, 1, 'a', 4, "avx_vnni"},
    {7, 1, 'a', 5, "avx512_bf16"},
    {0x80000008, 0, 'b', 0, "clzero"},
    {0x80000008, 0, 'b', 9, "wbnoinvd"},
    {7, 0, 'c', 1, "avx512vbmi"},
    {7, 0, 'c', 2, "umip"},
    {7, 0, 'c', 3, "pku"},
    {7, 0, 'c', 4, "ospke"},
    {7, 0, 'c', 6, "avx512_vbmi2"},
    {7, 0, 'c', 8, "gfni"},
    {7, 0, 'c', 9, "vaes"},
    {7, 0, 'c', 10, "vpclmulqdq"},
    {7, 0, 'c', 11, "avx512_vnni"},
    {7, 0, 'c', 12, "avx512_bitalg"},
    {7, 0, 'c', 14, "avx512_vpopcntdq"},
    {7, 0, 'c', 16, "la57"},
    {7, 0, 'c', 22, "rdpid"},
    {7, 0, 'c', 25, "cldemote"},
    {7, 0, 'c', 27, "movdiri"},
    {7, 0, 'c', 28, "movdir64b"},
    {7, 0, 'd', 4, "fsrm"},
    {7, 0, 'd', 14, "serialize"},
    {7, 0, 'd', 22, "amx_bf16"},
    {7, 0, 'd', 23, "avx512_fp16"},
    {7, 0, 'd', 24, "amx_tile"},
    {7, 0, 'd', 25, "amx_int8"},
};

static bool has_feature(const struct feature *f)
{
    uint32_t a, b, c, d;

    if (!__get_cpuid_count(f->leaf, f->sub, &a, &b, &c, &d))
        return false;
    switch (f->reg) {
    case 'a':
        return a >> f->bit & 1;
    case 'b':
        return b >> f->bit & 1;
    case 'c':
        return c >> f->bit & 1;
    default:
        return d >> f->bit & 1;
    }
}

/* TSC ticks per microsecond, measured between two reads of the monotonic clock. */
static double tsc_mhz(void)
{
    uint64_t t0 = clock_monotonic(), t1, c0 = __builtin_ia32_rdtsc(), c1;

    do {
        t1 = clock_monotonic();
        c1 = __builtin_ia32_rdtsc();
    } while (t1 - t0 < 200000);
    return (double)(c1 - c0) * 1000.0 / (double)(t1 - t0);
}

struct cpu_id {
    char vendor[13], model_name[49];
    uint32_t family, model, stepping, level, clflush, phys_bits, virt_bits, cache_kb;
    double mhz;
    char flags[2048];
};

static void read_brand(char out[49])
{
    uint32_t r[12];

    snprintf(out, 49, "unknown");
    if ((uint32_t)__get_cpuid_max(0x80000000, NULL) < 0x80000004u)
        return;
    for (uint32_t i = 0; i < 3; i++)
        __cpuid(0x80000002 + i, r[i * 4], r[i * 4 + 1], r[i * 4 + 2], r[i * 4 + 3]);
    memcpy(out, r, 48);
    out[48] = '\0';
    while (out[0] == ' ')
        memmove(out, out + 1, strlen(out));
}

static uint32_t read_cache_kb(void)
{
    uint32_t a, b, c, d, best = 0;

    for (uint32_t i = 0; i < 8; i++) {
        if (!__get_cpuid_count(4, i, &a, &b, &c, &d) || (a & 0x1f) == 0)
            break;
        best = ((b >> 22) + 1) * ((b >> 12 & 0x3ff) + 1) * ((b & 0xfff) + 1) * (c + 1) / 1024;
    }
    if (!best && __get_cpuid(0x80000006, &a, &b, &c, &d))
        best = c >> 16;
    return best;
}

static void cpu_identify(struct cpu_id *id)
{
    uint32_t a, b, c, d, r[3];
    size_t at = 0;

    memset(id, 0, sizeof(*id));
    __cpuid(0, id->level, r[0], r[2], r[1]);
    memcpy(id->vendor, r, 12);
    __cpuid(1, a, b, c, d);
    id->stepping = a & 15;
    id->family = (a >> 8 & 15) == 15 ? 15 + (a >> 20 & 255) : a >> 8 & 15;
    id->model = a >> 4 & 15;
    if (id->family >= 6)
        id->model += (a >> 16 & 15) << 4;
    id->clflush = (b >> 8 & 255) * 8;
    id->phys_bits = 46;
    id->virt_bits = 48;
    if (__get_cpuid(0x80000008, &a, &b, &c, &d)) {
        id->phys_bits = a & 255;
        id->virt_bits = a >> 8 & 255;
    }
    read_brand(id->model_name);
    id->cache_kb = read_cache_kb();
    id->mhz = tsc_mhz();
    for (size_t i = 0; i < ARRAY_COUNT(features); i++) {
        if (has_feature(&features[i]) && at < sizeof(id->flags) - 32)
            at += (size_t)snprintf(id->flags + at, sizeof(id->flags) - at, "%s%s", at ? " " : "",
                                   features[i].name);
    }
}

void cpuinfo_format(struct pbuf *b)
{
    const uint32_t cpus = kernel_cpu_count();
    struct cpu_id id;

    cpu_identify(&id);
    for (uint32_t i = 0; i < kernel_cpu_limit(); i++) {
        if (!kernel_cpu_usable(i))
            continue;
        pbuf_printf(b, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", i,
                    id.vendor, id.family, id.model);
        pbuf_printf(b, "model name\t: %s\nstepping\t: %u\nmicrocode\t: 0x1\ncpu MHz\t\t: %.3f\n",
                    id.model_name, id.stepping, id.mhz);
        pbuf_printf(b, "cache size\t: %u KB\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\n",
                    id.cache_kb, cpus, i);
        pbuf_printf(b, "cpu cores\t: %u\napicid\t\t: %u\ninitial apicid\t: %u\nfpu\t\t: yes\n",
                    cpus, i, i);
        pbuf_printf(b, "fpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t: %s\n",
                    id.level, id.flags);
        pbuf_printf(b, "bugs\t\t:\nbogomips\t: %.2f\nclflush size\t: %u\ncache_alignment\t: %u\n",
                    id.mhz * 2, id.clflush, id.clflush);
        pbuf_printf(b, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n",
                    id.phys_bits, id.virt_bits);
    }
}
