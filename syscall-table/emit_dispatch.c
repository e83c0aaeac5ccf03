/* SPDX-License-Identifier: Apache-2.0 */
/* Emits prototypes, typed thunks and the dispatch array. */
#include "syscall-table/emit.h"

static const char *const g_registers[TABLE_MAX_ARGS] = {"rdi", "rsi", "rdx", "r10", "r8", "r9"};

static bool row_has_function(const struct row *r)
{
    return r->status == STATUS_IMPL || r->status == STATUS_PARTIAL;
}

void emit_protos(const struct table *t, FILE *out)
{
    fputs("/* Generated from syscall-table/x86_64.tbl. */\n"
          "#pragma once\n\n"
          "#include \"sentry/abi/types.h\"\n\n"
          "struct task;\n\n",
          out);
    for (int i = 0; i < t->row_count; i++) {
        const struct row *r = &t->rows[i];

        fprintf(out, "long sys_%s(struct task *t", r->name);
        for (int k = 0; k < r->arg_count; k++)
            fprintf(out, ", %s %s", arg_type_c(r->args[k].type), r->args[k].name);
        fputs(");\n", out);
    }
}

/* Registers are 64 bits wide; a conversion keeps what Linux's own prototype keeps. */
static void emit_thunk(const struct row *r, FILE *out)
{
    fprintf(out, "static long thunk_%s(struct task *t, const struct lx_regs *r)\n{\n", r->name);
    fprintf(out, "    return sys_%s(t", r->name);
    for (int k = 0; k < r->arg_count; k++) {
        /* umode_t is 16 bits wide. */
        const char *narrow = r->args[k].type == ARG_MODE ? "(uint16_t)" : "";

        fprintf(out, ", (%s)%sr->%s", arg_type_c(r->args[k].type), narrow, g_registers[k]);
    }
    fputs(");\n}\n\n", out);
}

static void emit_missing(const struct row *r, FILE *out)
{
    const char *err = r->status == STATUS_STUB ? r->stub_errno : "ENOSYS";

    fprintf(out, "static long thunk_%s(struct task *t, const struct lx_regs *r)\n{\n", r->name);
    fprintf(out, "    return missing(%d, \"%s\", \"%s\", -%s);\n}\n\n", r->nr, r->name,
            r->note[0] ? r->note : "not implemented", err);
}

void emit_dispatch(const struct table *t, FILE *out)
{
    int last = t->row_count > 0 ? t->rows[t->row_count - 1].nr : 0;

    fputs("/* Generated from syscall-table/x86_64.tbl. */\n"
          "#include <errno.h>\n"
          "#include <stdatomic.h>\n\n"
          "#include \"gen/syscall_protos.h\"\n"
          "#include \"platform/base/log.h\"\n"
          "#include \"sentry/kernel/task.h\"\n\n",
          out);
    fprintf(out, "#define SYSCALL_COUNT %d\n\n", last + 1);
    fputs("/* Says once per process that a program asked for a call that is not there. */\n"
          "static long missing(int nr, const char *name, const char *why, long ret)\n"
          "{\n"
          "    static atomic_bool said[SYSCALL_COUNT];\n\n"
          "    if (!atomic_exchange_explicit(&said[nr], true, memory_order_relaxed))\n"
          "        log_info(LOG_SYSCALL, \"system call %s (%d) refused: %s\", name, nr, why);\n"
          "    return ret;\n"
          "}\n\n",
          out);
    for (int i = 0; i < t->row_count; i++) {
        if (row_has_function(&t->rows[i]))
            emit_thunk(&t->rows[i], out);
        else
            emit_missing(&t->rows[i], out);
    }
    fputs("static long (*const g_thunks[SYSCALL_COUNT])(struct task *t, const struct lx_regs *r) = "
          "{\n",
          out);
    for (int i = 0; i < t->row_count; i++)
        fprintf(out, "    [%d] = thunk_%s,\n", t->rows[i].nr, t->rows[i].name);
    fputs("};\n\n"
          "long syscall_dispatch(struct task *t, struct lx_regs *regs)\n"
          "{\n"
          "    /* Linux uses the low 32 bits of the number; x32 numbers have bit 30 set. */\n"
          "    uint32_t nr = (uint32_t)regs->orig_rax;\n\n"
          "    if (nr >= SYSCALL_COUNT || !g_thunks[nr])\n"
          "        return -ENOSYS;\n"
          "    return g_thunks[nr](t, regs);\n"
          "}\n",
          out);
}

void emit_impl_list(const struct table *t, FILE *out)
{
    for (int i = 0; i < t->row_count; i++) {
        if (row_has_function(&t->rows[i]))
            fprintf(out, "%s %s\n", t->rows[i].name, t->rows[i].family);
    }
}
