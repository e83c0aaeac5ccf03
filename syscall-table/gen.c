/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generator of everything that follows from x86_64.tbl. A host tool without dependencies:
 *   gen TABLE FLAGS_DIR OUT_DIR      writes OUT_DIR/syscall_*.{h,c,txt} and SUPPORT.md
 * A file is replaced only when its text changed, so that an edit of a note rebuilds nothing else.
 * Exit: 0; 1 the table or a flag file is wrong; 2 usage or file trouble.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "syscall-table/emit.h"

#define PATH_SIZE 4096

static struct table g_table;

/* Writes text to dir/name unless the file has exactly this text. */
static bool write_if_changed(const char *dir, const char *name, const char *text, size_t size)
{
    char path[PATH_SIZE];
    char *old;
    FILE *f;
    bool same = false, ok;

    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
        return false;
    old = malloc(size + 1);
    if (!old)
        return false;
    f = fopen(path, "re");
    if (f) {
        same = fread(old, 1, size + 1, f) == size && memcmp(old, text, size) == 0;
        fclose(f);
    }
    free(old);
    if (same)
        return true;
    f = fopen(path, "we");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    ok = fwrite(text, 1, size, f) == size;
    ok = fclose(f) == 0 && ok;
    if (!ok)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return ok;
}

typedef void emit_fn(const struct table *t, FILE *out);

static bool write_output(const char *dir, const char *name, emit_fn *emit, const char *flags_dir)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool ok = true;

    if (!out)
        return false;
    if (emit)
        emit(&g_table, out);
    else
        ok = emit_strace(&g_table, flags_dir, out, stderr);
    ok = fclose(out) == 0 && ok;
    ok = ok && write_if_changed(dir, name, text, size);
    free(text);
    return ok;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        emit_fn *emit; /* NULL: emit_strace, which can fail */
    } outputs[] = {
        {"syscall_protos.h", emit_protos},    {"syscall_dispatch.c", emit_dispatch},
        {"syscall_strace.c", NULL},           {"syscall_table_data.c", emit_data},
        {"syscall_impl.txt", emit_impl_list}, {"SUPPORT.md", emit_support},
    };
    FILE *in;
    bool ok;

    if (argc != 4) {
        fprintf(stderr, "usage: %s TABLE FLAGS_DIR OUT_DIR\n", argv[0]);
        return 2;
    }
    in = fopen(argv[1], "re");
    if (!in) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    ok = table_parse(&g_table, argv[1], in, stderr);
    fclose(in);
    if (!ok)
        return 1;
    for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
        if (!write_output(argv[3], outputs[i].name, outputs[i].emit, argv[2]))
            return 1;
    }
    return 0;
}
