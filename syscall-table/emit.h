/* SPDX-License-Identifier: Apache-2.0 */
/* What the generator writes, one function per file. Write errors are found by the caller (ferror).
 */
#pragma once

#include "syscall-table/table.h"

/* gen/syscall_protos.h: long sys_x(struct task *t, ...) for every row that is no stub. */
void emit_protos(const struct table *t, FILE *out);
/* gen/syscall_dispatch.c: thunks, the array, syscall_dispatch(). */
void emit_dispatch(const struct table *t, FILE *out);
/* gen/syscall_strace.c: descriptors. Reads flag files from flags_dir; false when one is wrong. */
bool emit_strace(const struct table *t, const char *flags_dir, FILE *out, FILE *err);
/* gen/syscall_table_data.c: what `runsc-c syscalls` prints. */
void emit_data(const struct table *t, FILE *out);
/* gen/SUPPORT.md, a copy of which is checked in. */
void emit_support(const struct table *t, FILE *out);
/* gen/syscall_impl.txt: names of the sys_ functions that the dispatch needs, one per line. */
void emit_impl_list(const struct table *t, FILE *out);
