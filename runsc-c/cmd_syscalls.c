/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc-c syscalls [--format table|json|markdown] [--status S] [--family F]: which system calls are
 * implemented. The data is generated from syscall-table/.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "runsc-c/cmd.h"
#include "runsc-c/support/options.h"
#include "syscall-table/syscall_info.h"

enum { COUNT_IMPL, COUNT_PARTIAL, COUNT_STUB, COUNT_NONE, COUNT_STATUS };

static const char *const g_status_names[COUNT_STATUS] = {
    [COUNT_IMPL] = "impl",
    [COUNT_PARTIAL] = "partial",
    [COUNT_STUB] = "stub",
    [COUNT_NONE] = "none",
};

struct selection {
    const char *status, *family; /* NULL: all */
    unsigned total, counts[COUNT_STATUS];
};

static bool is_selected(const struct selection *s, const struct syscall_info *info)
{
    return (!s->status || strcmp(s->status, info->status) == 0) &&
           (!s->family || strcmp(s->family, info->family) == 0);
}

static void count_selected(struct selection *s)
{
    for (unsigned i = 0; i < g_syscall_info_count; i++) {
        if (!is_selected(s, &g_syscall_infos[i]))
            continue;
        s->total++;
        for (int k = 0; k < COUNT_STATUS; k++)
            s->counts[k] += strcmp(g_status_names[k], g_syscall_infos[i].status) == 0;
    }
}

static void print_totals(const struct selection *s)
{
    printf("%u system calls: %u implemented, %u in part, %u refused on purpose, %u missing\n",
           s->total, s->counts[COUNT_IMPL], s->counts[COUNT_PARTIAL], s->counts[COUNT_STUB],
           s->counts[COUNT_NONE]);
}

static void status_text(const struct syscall_info *info, char *buf, size_t size)
{
    snprintf(buf, size, "%s%s%s%s", info->status, *info->stub_errno ? " (" : "", info->stub_errno,
             *info->stub_errno ? ")" : "");
}

static void print_table(const struct selection *s)
{
    char status[48];

    printf("%4s  %-24s %-18s %-10s %s\n", "NR", "NAME", "STATUS", "FAMILY", "NOTE");
    for (unsigned i = 0; i < g_syscall_info_count; i++) {
        const struct syscall_info *info = &g_syscall_infos[i];

        if (!is_selected(s, info))
            continue;
        status_text(info, status, sizeof(status));
        printf("%4d  %-24s %-18s %-10s %s\n", info->nr, info->name, status, info->family,
               *info->note ? info->note : "-");
    }
    putchar('\n');
    print_totals(s);
}

static void print_markdown(const struct selection *s)
{
    char status[48];

    printf("| nr | name | status | family | note |\n|---:|---|---|---|---|\n");
    for (unsigned i = 0; i < g_syscall_info_count; i++) {
        const struct syscall_info *info = &g_syscall_infos[i];

        if (!is_selected(s, info))
            continue;
        status_text(info, status, sizeof(status));
        printf("| %d | %s | %s | %s | %s |\n", info->nr, info->name, status, info->family,
               info->note);
    }
    putchar('\n');
    print_totals(s);
}

static int print_json(const struct selection *s, struct err *e)
{
    json_t *calls = json_array(), *root;
    int ret = 0;

    for (unsigned i = 0; i < g_syscall_info_count; i++) {
        const struct syscall_info *info = &g_syscall_infos[i];

        if (is_selected(s, info))
            ret |= json_array_append_new(
                calls, json_pack("{s:i, s:s, s:s, s:s, s:s, s:s}", "nr", info->nr, "name",
                                 info->name, "status", info->status, "errno", info->stub_errno,
                                 "family", info->family, "note", info->note));
    }
    root = json_pack("{s:s, s:{s:i, s:i, s:i, s:i, s:i}, s:o}", "arch", "x86_64", "totals", "total",
                     (int)s->total, "impl", (int)s->counts[COUNT_IMPL], "partial",
                     (int)s->counts[COUNT_PARTIAL], "stub", (int)s->counts[COUNT_STUB], "none",
                     (int)s->counts[COUNT_NONE], "syscalls", calls);
    if (ret != 0 || !root || json_dumpf(root, stdout, JSON_INDENT(2)) != 0) {
        json_decref(root);
        return err_set(e, "syscalls: out of memory, or stdout cannot be written");
    }
    putchar('\n');
    json_decref(root);
    return 0;
}

int cmd_syscalls(int argc, char **argv, struct err *e)
{
    struct selection s = {0};
    const char *format = "table";
    bool help = false;
    const struct option_def options[] = {
        {"format", 'f', OPTION_STRING, &format, "table, json or markdown (default: table)"},
        {"status", 0, OPTION_STRING, &s.status, "only rows that are impl, partial, stub or none"},
        {"family", 0, OPTION_STRING, &s.family, "only rows of this family"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    int index = 1;

    if (options_parse(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c syscalls [OPTIONS]\n\n"
               "Shows which Linux system calls programs in a sandbox can use.\n\n");
        options_help(options);
        return 0;
    }
    if (index < argc)
        return err_set(e, "syscalls: unexpected argument \"%s\"; see --help", argv[index]);
    count_selected(&s);
    if (s.total == 0)
        return err_set(e, "syscalls: no row has this status and family");
    if (strcmp(format, "json") == 0)
        return print_json(&s, e);
    if (strcmp(format, "markdown") == 0)
        print_markdown(&s);
    else if (strcmp(format, "table") == 0)
        print_table(&s);
    else
        return err_set(e, "syscalls: --format \"%s\" is not table, json or markdown", format);
    return 0;
}
