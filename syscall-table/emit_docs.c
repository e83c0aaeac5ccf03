/* SPDX-License-Identifier: Apache-2.0 */
/* Emits the support table: as data for `runsc-c syscalls`, and as markdown. */
#include "syscall-table/emit.h"

void emit_data(const struct table *t, FILE *out)
{
    fputs("/* Generated from syscall-table/x86_64.tbl. */\n"
          "#include \"syscall-table/syscall_info.h\"\n\n"
          "const struct syscall_info g_syscall_infos[] = {\n",
          out);
    for (int i = 0; i < t->row_count; i++) {
        const struct row *r = &t->rows[i];

        fprintf(out, "    {%d, \"%s\", \"%s\", \"%s%s\", \"%s\", \"%s\"},\n", r->nr, r->name,
                row_status_name(r->status), r->status == STATUS_STUB ? "-" : "", r->stub_errno,
                r->family, r->note);
    }
    fprintf(out, "};\nconst unsigned g_syscall_info_count = %d;\n", t->row_count);
}

void emit_support(const struct table *t, FILE *out)
{
    int counts[4] = {0};

    for (int i = 0; i < t->row_count; i++)
        counts[t->rows[i].status]++;
    fputs("# System calls, x86-64\n\n"
          "Generated from x86_64.tbl; `syscall-table/update` rewrites it. `runsc-c syscalls` "
          "prints the "
          "same.\n\n",
          out);
    fprintf(out, "%d numbers: %d implemented, %d in part, %d refused on purpose, %d missing.\n\n",
            t->row_count, counts[STATUS_IMPL], counts[STATUS_PARTIAL], counts[STATUS_STUB],
            counts[STATUS_NONE]);
    fputs("| nr | name | status | family | note |\n|---:|---|---|---|---|\n", out);
    for (int i = 0; i < t->row_count; i++) {
        const struct row *r = &t->rows[i];

        fprintf(out, "| %d | %s | %s", r->nr, r->name, row_status_name(r->status));
        if (r->status == STATUS_STUB)
            fprintf(out, " (-%s)", r->stub_errno);
        fprintf(out, " | %s | %s |\n", r->family, r->note);
    }
}
