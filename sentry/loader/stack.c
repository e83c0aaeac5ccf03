// SPDX-License-Identifier: Apache-2.0
/*
 * The first stack of a program, as create_elf_tables lays it out. From the top: eight zero bytes,
 * the file name, environment strings, argument strings, a random gap, platform name, 16 random
 * bytes, auxv, envp, argv, argc (16-byte aligned).
 */
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "sentry/abi/mman.h"
#include "sentry/core/random.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/mm/uaccess.h"

#define STACK_EXTRA   (128ul << 10) /* mapped below the tables from the start */
#define STACK_FIRST   (16ul << 10)  /* ready to be written below the tables */
#define CLOCK_TICKS   100
#define PLATFORM_NAME "x86_64"

/* A buffer that is filled downwards and shows up in the guest with its end at top. */
struct tables {
    char *data;
    size_t size, left; /* data[left..size) is filled */
    uaddr_t top;
};

static uaddr_t at(const struct tables *t)
{
    return t->top - (t->size - t->left);
}

static uaddr_t push(struct tables *t, const void *p, size_t n)
{
    t->left -= n;
    if (n) /* an empty environment has no buffer at all */
        memcpy(t->data + t->left, p, n);
    return at(t);
}

static void pad_to(struct tables *t, uint64_t align)
{
    t->left -= at(t) & (align - 1);
}

static uint32_t cpu_hwcap(void)
{
    unsigned a, b, c, d = 0;

    return __get_cpuid(1, &a, &b, &c, &d) ? d : 0;
}

static uint32_t fill_auxv(uint64_t *v, const struct stack_info *s, uaddr_t random, uaddr_t platform,
                          uaddr_t execfn)
{
    const struct exec_request *rq = s->rq;
    uint64_t min_stack = getauxval(LX_AT_MINSIGSTKSZ);
    uint32_t n = 0;

#define AUX(key, value) (v[n++] = (key), v[n++] = (value))
    if (s->vdso)
        AUX(LX_AT_SYSINFO_EHDR, s->vdso);
    AUX(LX_AT_MINSIGSTKSZ, min_stack ? min_stack : 2048);
    AUX(LX_AT_HWCAP, cpu_hwcap());
    AUX(LX_AT_PAGESZ, LX_PAGE_SIZE);
    AUX(LX_AT_CLKTCK, CLOCK_TICKS);
    AUX(LX_AT_PHDR, s->main->phdr);
    AUX(LX_AT_PHENT, sizeof(struct lx_elf64_phdr));
    AUX(LX_AT_PHNUM, s->phnum);
    AUX(LX_AT_BASE, s->interp_base);
    AUX(LX_AT_FLAGS, 0);
    AUX(LX_AT_ENTRY, s->entry);
    AUX(LX_AT_UID, rq->uid);
    AUX(LX_AT_EUID, rq->euid);
    AUX(LX_AT_GID, rq->gid);
    AUX(LX_AT_EGID, rq->egid);
    AUX(LX_AT_SECURE, rq->secure);
    AUX(LX_AT_RANDOM, random);
    AUX(LX_AT_HWCAP2, getauxval(LX_AT_HWCAP2));
    AUX(LX_AT_EXECFN, execfn);
    AUX(LX_AT_PLATFORM, platform);
    AUX(LX_AT_NULL, 0);
#undef AUX
    return n;
}

/* Fills out[] with the guest addresses of count strings that begin at base. */
static void string_pointers(const struct exec_strings *s, uaddr_t base, uint64_t *out)
{
    const char *p = s->data;
    uint32_t i;

    for (i = 0; i < s->count; i++) {
        out[i] = base + (uint64_t)(p - s->data);
        p += strlen(p) + 1;
    }
    out[i] = 0;
}

static int build(struct tables *t, struct mm *mm, const struct stack_info *s)
{
    const struct exec_request *rq = s->rq;
    struct mm_layout *lay = mm_layout(mm);
    uint64_t count = 1 + (uint64_t)rq->argv.count + 1 + rq->envp.count + 1, argc = rq->argv.count;
    uint8_t random[16];
    uaddr_t execfn, platform, random_at;
    uint64_t *words;
    uint32_t n;

    t->left -= 8;
    execfn = push(t, s->execfn, strlen(s->execfn) + 1);
    lay->env_end = execfn;
    lay->env_start = push(t, rq->envp.data, rq->envp.size);
    lay->arg_end = lay->env_start;
    lay->arg_start = push(t, rq->argv.data, rq->argv.size);
    random_bytes(random, sizeof(random));
    if (rq->randomize)
        t->left -= (random[0] | (size_t)random[1] << 8) & 8191;
    random_bytes(random, sizeof(random));
    pad_to(t, 16);
    platform = push(t, PLATFORM_NAME, sizeof(PLATFORM_NAME));
    random_at = push(t, random, sizeof(random));
    pad_to(t, 16);
    words = malloc((count + ARRAY_COUNT(lay->auxv)) * sizeof(*words));
    if (!words)
        return -ENOMEM;
    words[0] = argc;
    string_pointers(&rq->argv, lay->arg_start, words + 1);
    string_pointers(&rq->envp, lay->env_start, words + 1 + argc + 1);
    n = fill_auxv(lay->auxv, s, random_at, platform, execfn);
    lay->auxv_count = n;
    memcpy(words + count, lay->auxv, n * sizeof(*words));
    if ((count + n) % 2)
        t->left -= 8;
    push(t, words, (count + n) * sizeof(*words));
    free(words);
    return 0;
}

int stack_build(struct mm *mm, const struct stack_info *s, uaddr_t *out_sp)
{
    const struct exec_request *rq = s->rq;
    struct tables t = {0};
    uint64_t stack_size;
    int64_t top;
    int ret;

    t.size = 8 + strlen(s->execfn) + 1 + rq->argv.size + rq->envp.size + 8192 + 256 +
             ((uint64_t)rq->argv.count + rq->envp.count + 3 + ARRAY_COUNT(mm_layout(mm)->auxv)) * 8;
    t.left = t.size;
    stack_size = align_up(t.size, LX_PAGE_SIZE);
    if (stack_size + STACK_EXTRA <= rq->stack_limit)
        stack_size += STACK_EXTRA;
    top = mm_setup_stack(mm, stack_size,
                         LX_PROT_READ | LX_PROT_WRITE | (s->exec_stack ? LX_PROT_EXEC : 0));
    if (top < 0)
        return (int)top;
    t.top = (uaddr_t)top;
    t.data = calloc(1, t.size);
    if (!t.data)
        return -ENOMEM;
    ret = build(&t, mm, s);
    if (ret == 0 && mm_copy_out_partial(mm, at(&t), t.data + t.left, t.size - t.left,
                                        /*force=*/false) != t.size - t.left)
        ret = -EFAULT;
    *out_sp = at(&t);
    mm_layout(mm)->start_stack = *out_sp;
    /* The program's first frames; what fails here is reported by the fault that comes. */
    if (ret == 0)
        IGNORE_RESULT(mm_madvise(mm, (*out_sp - STACK_FIRST) & LX_PAGE_MASK, STACK_FIRST,
                                 LX_MADV_POPULATE_WRITE));
    free(t.data);
    return ret;
}
