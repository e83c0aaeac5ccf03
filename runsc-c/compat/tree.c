/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two walks by directory descriptor, never through a symlink; files are opened only when they are
 * regular. The names of the first tree are looked up in the second, then those of the second that
 * the first has not.
 */
#include "runsc-c/compat/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    const json_t *only; /* or NULL */
    json_t *differences;
    unsigned entries;
    int depth;
};

#define MAX_DEPTH 64

static void add(struct walk *w, const char *name, const char *text)
{
    if (json_array_size(w->differences) < TREE_DIFFERENCES)
        json_array_append_new(w->differences,
                              json_pack("{s:s, s:o, s:s}", "what", "file", "name",
                                        text_visible(name, strlen(name), 400), "text", text));
}

static bool is_selected(const struct walk *w, const char *path)
{
    json_t *pattern;
    size_t i;

    if (!w->only)
        return true;
    json_array_foreach(w->only, i, pattern)
    {
        if (fnmatch(json_string_value(pattern), path, 0) == 0)
            return true;
    }
    return false;
}

static bool same_target(int a, int b, const char *name)
{
    char x[PATH_MAX], y[PATH_MAX];
    ssize_t n = readlinkat(a, name, x, sizeof(x)), m = readlinkat(b, name, y, sizeof(y));

    return n >= 0 && n == m && memcmp(x, y, (size_t)n) == 0;
}

static bool same_content(int a, int b, const char *name)
{
    int fd = openat(a, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int gd = openat(b, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool same = fd >= 0 && gd >= 0;
    static char x[65536], y[65536]; /* one thread */

    while (same) {
        ssize_t n = read(fd, x, sizeof(x)), m = read(gd, y, sizeof(y));

        same = n >= 0 && n == m && memcmp(x, y, (size_t)n) == 0;
        if (n <= 0)
            break;
    }
    if (fd >= 0)
        close(fd);
    if (gd >= 0)
        close(gd);
    return same;
}

static void walk(struct walk *w, int native, int sandbox, const char *path);

static void descend(struct walk *w, int native, int sandbox, const char *name, const char *path)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int a = openat(native, name, flags), b = openat(sandbox, name, flags);

    if (a >= 0 && b >= 0 && w->depth < MAX_DEPTH) {
        w->depth++;
        walk(w, a, b, path);
        w->depth--;
    }
    if (a >= 0)
        close(a);
    if (b >= 0)
        close(b);
}

static void compare_entry(struct walk *w, int native, int sandbox, const char *name,
                          const char *path)
{
    struct stat a, b;
    char text[200];

    if (fstatat(native, name, &a, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (fstatat(sandbox, name, &b, AT_SYMLINK_NOFOLLOW) < 0) {
        add(w, path, "only natively");
        return;
    }
    if (a.st_mode != b.st_mode) {
        snprintf(text, sizeof(text), "mode %06o natively, %06o in the sandbox", a.st_mode,
                 b.st_mode);
        add(w, path, text);
    } else if (S_ISLNK(a.st_mode) && !same_target(native, sandbox, name)) {
        add(w, path, "another link target");
    } else if (S_ISREG(a.st_mode) && a.st_size != b.st_size) {
        snprintf(text, sizeof(text), "%lld bytes natively, %lld in the sandbox",
                 (long long)a.st_size, (long long)b.st_size);
        add(w, path, text);
    } else if (S_ISREG(a.st_mode) && !same_content(native, sandbox, name)) {
        add(w, path, "other content of the same size");
    }
    if (S_ISDIR(a.st_mode) && S_ISDIR(b.st_mode))
        descend(w, native, sandbox, name, path);
}

static DIR *open_list(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d && fd >= 0)
        close(fd);
    return d;
}

/* First pass: both; second pass: names that only the sandbox has. */
static void walk(struct walk *w, int native, int sandbox, const char *path)
{
    for (int pass = 0; pass < 2; pass++) {
        DIR *d = open_list(pass == 0 ? native : sandbox);
        struct dirent *entry;
        struct stat st;
        char sub[PATH_MAX];

        while (d && (entry = readdir(d)) && w->entries < TREE_ENTRIES) {
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
                continue;
            w->entries++;
            if (snprintf(sub, sizeof(sub), "%s%s%s", path, *path ? "/" : "", entry->d_name) >=
                    (int)sizeof(sub) ||
                !is_selected(w, sub))
                continue;
            if (pass == 0)
                compare_entry(w, native, sandbox, entry->d_name, sub);
            else if (fstatat(native, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                add(w, sub, "only in the sandbox");
        }
        if (d)
            closedir(d);
    }
}

int tree_compare(const char *native, const char *sandbox, const json_t *only, json_t *differences)
{
    struct walk w = {.only = only, .differences = differences};
    int a = open(native, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int b = open(sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret = a < 0 || b < 0 ? -errno : 0;

    if (ret == 0)
        walk(&w, a, b, "");
    if (a >= 0)
        close(a);
    if (b >= 0)
        close(b);
    return ret;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    (void)remove(path); /* what cannot be removed makes its directory stay as well */
    (void)type;
    return 0;
}

static int open_up(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_D || type == FTW_DNR)
        (void)chmod(path, st->st_mode | S_IRWXU); /* a failure shows when its entries stay */
    return 0;
}

void tree_remove(const char *path)
{
    (void)nftw(path, open_up, 32, FTW_PHYS | FTW_MOUNT);
    (void)nftw(path, remove_one, 32, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
}
