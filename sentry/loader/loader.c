// SPDX-License-Identifier: Apache-2.0
/*
 * execve in two steps. prepare follows `#!` and opens and checks everything that may be refused
 * while the old program still exists; commit builds the new image, where an error is fatal to the
 * task as past Linux's point of no return.
 */
#include "sentry/loader/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "sentry/abi/mman.h"
#include "sentry/core/random.h"
#include "sentry/fs/vfs.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/loader/vdso.h"

#define BRK_RANDOM_SIZE 0x02000000ul
#define MMAP_RND_MASK   ((1ul << 28) - 1)
#define USER_CS         0x33
#define USER_DS         0x2b
#define EFLAGS_IF       0x202

/* ---- prepare ----------------------------------------------------------------------------- */

/* Follows `#!` from *f on; *f is replaced by the interpreter (reference moved). */
static int follow_scripts(struct exec_request *rq, struct file **f, bool *readable)
{
    char *script_name = strdup(rq->filename);
    int depth, ret = 0;

    if (!script_name)
        return -ENOMEM;
    for (depth = 0;; depth++) {
        char line[SCRIPT_LINE_SIZE], *name;
        struct file *next;
        ssize_t n;

        if (depth > SCRIPT_DEPTH_MAX) {
            ret = -ELOOP;
            break;
        }
        *readable = *readable && loader_readable(*f);
        memset(line, 0, sizeof(line));
        n = file_read_kernel(*f, line, sizeof(line), 0);
        if (n < 0) {
            ret = (int)n;
            break;
        }
        ret = script_parse(line, rq, script_name, &name);
        if (ret <= 0)
            break;
        free(script_name);
        script_name = name;
        ret = loader_open_exec(LX_AT_FDCWD, name, WALK_FOLLOW, &next);
        if (ret < 0)
            break;
        file_put(*f);
        *f = next;
    }
    free(script_name);
    return ret;
}

static int open_interp(struct exec_plan *plan, bool *readable)
{
    struct file *f;
    char *name;
    int ret;

    ret = elf_interp_name(&plan->main, &name);
    if (ret < 0 || !name)
        return ret;
    ret = loader_open_exec(LX_AT_FDCWD, name, WALK_FOLLOW, &f);
    free(name);
    if (ret < 0)
        return ret;
    *readable = *readable && loader_readable(f);
    ret = elf_read(f, -ELIBBAD, &plan->interp);
    file_put(f);
    return ret;
}

static void note_stack_flags(struct exec_plan *plan)
{
    uint32_t i;

    for (i = 0; i < plan->main.ehdr.e_phnum; i++) {
        if (plan->main.phdrs[i].p_type == LX_PT_GNU_STACK)
            plan->exec_stack = plan->main.phdrs[i].p_flags & LX_PF_X;
    }
}

int loader_prepare(struct exec_request *rq, struct exec_image *out_image,
                   struct exec_plan **out_plan)
{
    struct exec_plan *plan = calloc(1, sizeof(*plan));
    struct file *f = file_get(rq->exe);
    bool readable = true;
    int ret;

    ret = plan ? args_default(rq) : -ENOMEM;
    if (ret == 0)
        ret = args_check(rq);
    if (ret == 0)
        ret = follow_scripts(rq, &f, &readable);
    if (ret == 0)
        ret = args_check(rq);
    if (ret == 0)
        ret = elf_read(f, -ENOEXEC, &plan->main);
    if (ret == 0)
        ret = open_interp(plan, &readable);
    if (ret < 0) {
        file_put(f);
        loader_plan_free(plan);
        return ret;
    }
    note_stack_flags(plan);
    out_image->interp_exe = f;
    out_image->exe_readable = readable;
    *out_plan = plan;
    return 0;
}

void loader_plan_free(struct exec_plan *plan)
{
    if (!plan)
        return;
    elf_release(&plan->main);
    elf_release(&plan->interp);
    free(plan);
}

/* ---- commit ------------------------------------------------------------------------------ */

static uint64_t random_pages(uint64_t mask)
{
    uint64_t v = 0;

    random_bytes(&v, sizeof(v));
    return (v & mask) << LX_PAGE_SHIFT;
}

/* Two thirds of the address space, as ELF_ET_DYN_BASE. */
static uaddr_t pie_base(const struct exec_plan *plan, const struct exec_request *rq)
{
    uaddr_t base = align_down(LX_TASK_SIZE / 3 * 2, LX_PAGE_SIZE);
    uint64_t align = elf_alignment(&plan->main);

    if (rq->randomize)
        base += random_pages(MMAP_RND_MASK);
    return align ? align_down(base, align) : base;
}

static void set_brk(struct mm *mm, const struct exec_plan *plan, const struct exec_request *rq,
                    uaddr_t end)
{
    uaddr_t start = align_up(end, LX_PAGE_SIZE);

    if (rq->randomize) {
        /* Linux: a program without interpreter that lies among the libraries gets its heap away
         * from them. */
        if (plan->main.ehdr.e_type == LX_ET_DYN && !plan->interp.file)
            start = align_down(LX_TASK_SIZE / 3 * 2, LX_PAGE_SIZE);
        start += random_pages((BRK_RANDOM_SIZE >> LX_PAGE_SHIFT) - 1);
    }
    mm_set_start_brk(mm, start);
}

static int place_main(struct exec_plan *plan, struct exec_request *rq, struct mm *mm,
                      struct elf_placed *out)
{
    uaddr_t base = 0;
    int ret;

    if (plan->main.ehdr.e_type == LX_ET_DYN && plan->interp.file)
        base = pie_base(plan, rq);
    ret = elf_map(&plan->main, mm, base, out);
    if ((ret == -EEXIST || ret == -ENOMEM) && base)
        ret = elf_map(&plan->main, mm, 0, out); /* the platform's own range is in the way */
    return ret;
}

static void fill_layout(struct mm *mm, const struct elf_placed *main, uaddr_t vdso)
{
    struct mm_layout *lay = mm_layout(mm);

    lay->start_code = main->start_code;
    lay->end_code = main->end_code;
    lay->start_data = main->start_data;
    lay->end_data = main->end_data;
    lay->vdso = vdso;
}

int loader_commit(struct exec_plan *plan, struct exec_request *rq, struct mm *mm,
                  struct lx_regs *out_regs)
{
    struct elf_placed main, interp = {0};
    struct stack_info info;
    uaddr_t entry, vdso = 0, sp;
    int ret;

    mm_layout_init(mm, rq->stack_limit, rq->randomize);
    ret = place_main(plan, rq, mm, &main);
    if (ret < 0)
        return ret;
    entry = main.bias + plan->main.ehdr.e_entry;
    if (plan->interp.file) {
        ret = elf_map(&plan->interp, mm, 0, &interp);
        if (ret < 0)
            return ret;
    }
    set_brk(mm, plan, rq, main.brk);
    ret = vdso_map(mm, rq->vvar, &vdso);
    if (ret < 0)
        return ret;
    fill_layout(mm, &main, vdso);
    info = (struct stack_info){
        .rq = rq,
        .execfn = rq->filename,
        .main = &main,
        .phnum = plan->main.ehdr.e_phnum,
        .entry = entry,
        .interp_base = plan->interp.file ? interp.bias : 0,
        .vdso = vdso,
        .exec_stack = plan->exec_stack,
    };
    ret = stack_build(mm, &info, &sp);
    if (ret < 0)
        return ret;
    mm_exe_set(mm, plan->main.file);
    memset(out_regs, 0, sizeof(*out_regs));
    out_regs->rip = plan->interp.file ? interp.bias + plan->interp.ehdr.e_entry : entry;
    if (out_regs->rip >= LX_TASK_SIZE)
        return -EINVAL;
    out_regs->rsp = sp;
    out_regs->cs = USER_CS;
    out_regs->ss = USER_DS;
    out_regs->eflags = EFLAGS_IF;
    out_regs->orig_rax = UINT64_MAX;
    return 0;
}
