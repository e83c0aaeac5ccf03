/* SPDX-License-Identifier: Apache-2.0 */
/* Emits the descriptors of sentry/syscalls/strace_desc.h: argument names, kinds and flag names. */
#include "syscall-table/emit.h"

#include <ctype.h>
#include <string.h>

#include "syscall-table/flagset.h"

#define MAX_FLAGSETS 128
#define PATH_SIZE    4096

struct used_sets {
    int count;
    const char *names[MAX_FLAGSETS];
};

static bool is_flag_hint(const struct arg *a)
{
    return a->hint[0] != '\0' && a->type != ARG_PTR && !kind_is_scalar(a->hint);
}

static bool set_is_used(const struct used_sets *used, const char *name)
{
    for (int i = 0; i < used->count; i++) {
        if (strcmp(used->names[i], name) == 0)
            return true;
    }
    return false;
}

/* shared: declared in strace_desc.h. */
static bool emit_flagset(const char *dir, const char *name, bool shared, FILE *out, FILE *err)
{
    static struct flagset set;
    char path[PATH_SIZE];
    FILE *in;
    bool ok;

    if (snprintf(path, sizeof(path), "%s/%s.in", dir, name) >= (int)sizeof(path))
        return false;
    in = fopen(path, "re");
    if (!in) {
        fprintf(err, "%s: cannot be read, and \"%s\" is no kind of kinds.def\n", path, name);
        return false;
    }
    ok = flagset_parse(&set, path, in, err);
    fclose(in);
    if (!ok)
        return false;
    fprintf(out, "static const struct strace_flag flags_%s[] = {\n", name);
    for (int i = 0; i < set.flag_count; i++)
        fprintf(out, "    {\"%s\", 0x%llxull, 0x%llxull},\n", set.flags[i].name,
                (unsigned long long)set.flags[i].value, (unsigned long long)set.flags[i].mask);
    fprintf(out, "};\n%sconst struct strace_flagset strace_flags_%s = {\n", shared ? "" : "static ",
            name);
    fprintf(out, "    \"%s\", flags_%s, %d};\n\n", name, name, set.flag_count);
    return true;
}

/* Flag files that the hand-written decoders use although no argument names them. */
static const char *const g_extra_sets[] = {
    "errno",        "signal",  "sa_flags", "si_code", "socket_family", "poll_events",
    "epoll_events", "st_mode", "clone",    "open",    "fd_flags",      "sigev",
    "ss_flags",     "cap",     "wait",     "prctl",   "inotify",       "sock_level",
    "sockopt",      "msg",     "resolve",  "at"};

static bool emit_flagsets(const struct table *t, const char *dir, FILE *out, FILE *err)
{
    struct used_sets used = {0};
    bool ok = true;

    for (size_t i = 0; i < sizeof(g_extra_sets) / sizeof(g_extra_sets[0]); i++) {
        used.names[used.count++] = g_extra_sets[i];
        ok = emit_flagset(dir, g_extra_sets[i], true, out, err) && ok;
    }
    for (int i = 0; i < t->row_count; i++) {
        for (int k = 0; k < t->rows[i].arg_count; k++) {
            const struct arg *a = &t->rows[i].args[k];

            if (!is_flag_hint(a) || set_is_used(&used, a->hint))
                continue;
            if (used.count == MAX_FLAGSETS) {
                fprintf(err, "%s:%d: more than %d flag files\n", t->file, t->rows[i].line,
                        MAX_FLAGSETS);
                return false;
            }
            used.names[used.count++] = a->hint;
            if (!emit_flagset(dir, a->hint, false, out, err)) {
                fprintf(err, "%s:%d: needs it\n", t->file, t->rows[i].line);
                ok = false;
            }
        }
    }
    return ok;
}

static void emit_upper(const char *s, FILE *out)
{
    for (; *s != '\0'; s++)
        fputc(toupper((unsigned char)*s), out);
}

static void emit_arg(const struct arg *a, FILE *out)
{
    static const char *const dirs[] = {
        [DIR_IN] = "STRACE_IN",
        [DIR_OUT] = "STRACE_OUT",
        [DIR_INOUT] = "STRACE_INOUT",
        [DIR_NONE] = "STRACE_NODIR",
    };
    bool flags = is_flag_hint(a);

    fprintf(out, "        {.name = \"%s\", .type = STRACE_TYPE_", a->name);
    emit_upper(arg_type_name(a->type), out);
    fputs(", .kind = STRACE_KIND_", out);
    if (flags)
        fputs("FLAGS", out);
    else if (a->hint[0] != '\0')
        emit_upper(a->hint, out);
    else
        fputs("PLAIN", out);
    fprintf(out, ", .dir = %s, .count = ", dirs[a->dir]);
    if (a->count == COUNT_NONE)
        fputs("STRACE_COUNT_NONE", out);
    else if (a->count == COUNT_RET)
        fputs("STRACE_COUNT_RET", out);
    else
        fprintf(out, "%d", a->count);
    if (flags)
        fprintf(out, ", .flags = &strace_flags_%s", a->hint);
    fputs("},\n", out);
}

static void emit_syscall(const struct row *r, FILE *out)
{
    fprintf(out, "static const struct strace_syscall desc_%s = {\n", r->name);
    fprintf(out, "    .name = \"%s\", .arg_count = %d, .ret = STRACE_RET_", r->name, r->arg_count);
    emit_upper(r->ret, out);
    fprintf(out, ", .noreturn = %s", r->attrs & ATTR_NORETURN ? "true" : "false");
    fprintf(out, ", .may_block = %s,\n", r->attrs & ATTR_BLOCK ? "true" : "false");
    if (r->arg_count > 0) {
        fputs("    .args = {\n", out);
        for (int k = 0; k < r->arg_count; k++)
            emit_arg(&r->args[k], out);
        fputs("    },\n", out);
    }
    fputs("};\n\n", out);
}

bool emit_strace(const struct table *t, const char *flags_dir, FILE *out, FILE *err)
{
    fputs("/* Generated from syscall-table/x86_64.tbl and syscall-table/flags/. */\n"
          "#include \"sentry/syscalls/strace_desc.h\"\n\n",
          out);
    if (!emit_flagsets(t, flags_dir, out, err))
        return false;
    for (int i = 0; i < t->row_count; i++)
        emit_syscall(&t->rows[i], out);
    fputs("const struct strace_syscall *const g_strace_syscalls[] = {\n", out);
    for (int i = 0; i < t->row_count; i++)
        fprintf(out, "    [%d] = &desc_%s,\n", t->rows[i].nr, t->rows[i].name);
    fputs("};\nconst unsigned g_strace_syscall_count =\n"
          "    sizeof(g_strace_syscalls) / sizeof(g_strace_syscalls[0]);\n",
          out);
    return true;
}
