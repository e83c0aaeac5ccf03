/* SPDX-License-Identifier: Apache-2.0 */
/* The support table as data, generated into gen/syscall_table_data.c. */
#pragma once

struct syscall_info {
    int nr;
    const char *name;
    const char *status;     /* impl, partial, stub, none */
    const char *stub_errno; /* "-ENOSYS", or "" when the row is no stub */
    const char *family;
    const char *note; /* "" without */
};

extern const struct syscall_info g_syscall_infos[]; /* sorted by number */
extern const unsigned g_syscall_info_count;
