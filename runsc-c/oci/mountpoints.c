/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image is hostile: a symbolic link in it must not lead out of the root. openat2 with
 * RESOLVE_IN_ROOT treats the root as "/" for links, absolute ones and "..".
 */
#include "runsc-c/oci/mountpoints.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/base/compiler.h"
#include "runsc-c/support/json.h"

static int open_inside(int root, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

    while (*path == '/')
        path++;
    return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
}

/* Descriptor of the directory called path, made with its parents. */
static int make_dirs(int root, const char *path)
{
    char *copy = strdup(path), *slash;
    int fd = open_inside(root, path, O_PATH | O_DIRECTORY), parent;

    if (fd >= 0 || errno != ENOENT || !copy) {
        free(copy);
        return fd;
    }
    for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
        copy[n - 1] = '\0';
    slash = strrchr(copy, '/');
    if (slash)
        *slash = '\0';
    parent = make_dirs(root, slash && *copy ? copy : "/");
    if (parent >= 0 && (mkdirat(parent, slash ? slash + 1 : copy, 0755) == 0 || errno == EEXIST))
        fd = open_inside(root, path, O_PATH | O_DIRECTORY);
    if (parent >= 0)
        close(parent);
    free(copy);
    return fd;
}

static int make_file(int root, const char *path)
{
    char *copy = strdup(path), *slash = copy ? strrchr(copy, '/') : NULL;
    int parent, fd = -1;

    if (!slash) {
        free(copy);
        return -1;
    }
    *slash = '\0';
    parent = make_dirs(root, *copy ? copy : "/");
    if (parent >= 0)
        fd = openat(parent, slash + 1, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (parent >= 0)
        close(parent);
    free(copy);
    return fd;
}

static bool is_bind(const json_t *mount)
{
    const json_t *v;
    size_t i;

    if (!strcmp(json_get_string(mount, "type", ""), "bind"))
        return true;
    json_array_foreach(json_object_get(mount, "options"), i, v)
    {
        if (!strcmp(json_string_value(v), "bind") || !strcmp(json_string_value(v), "rbind"))
            return true;
    }
    return false;
}

static bool wants_file(const json_t *mount)
{
    struct stat st;

    return is_bind(mount) && stat(json_get_string(mount, "source", ""), &st) == 0 &&
           !S_ISDIR(st.st_mode);
}

static bool below_a_mount(const json_t *mounts, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++) {
        const char *other = json_get_string(json_array_get(mounts, i), "destination", "");
        size_t len = strlen(other);

        while (len > 1 && other[len - 1] == '/')
            len--;
        if (len && !strncmp(path, other, len) && (path[len] == '/' || len == 1))
            return true;
    }
    return false;
}

static int make_one(int root, const char *path, bool file, struct err *e)
{
    int fd = open_inside(root, path, O_PATH);

    if (fd < 0 && errno == ENOENT)
        fd = file ? make_file(root, path) : make_dirs(root, path);
    if (fd < 0)
        return err_errno(e, errno, "cannot make the mount point %s", path);
    close(fd);
    return 0;
}

int mountpoints_make(const json_t *spec, const char *rootfs, struct err *e)
{
    const json_t *mounts = json_object_get(spec, "mounts"), *v;
    const char *cwd = json_get_string(json_object_get(spec, "process"), "cwd", "/");
    int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC), ret = 0;
    size_t i;

    if (root < 0)
        return err_errno(e, errno, "invalid rootfs: %s", rootfs);
    json_array_foreach(mounts, i, v)
    {
        const char *path = json_get_string(v, "destination", "/");

        if (ret == 0 && !below_a_mount(mounts, i, path))
            ret = make_one(root, path, wants_file(v), e);
    }
    if (ret == 0 && !below_a_mount(mounts, json_array_size(mounts), cwd))
        ret = make_one(root, cwd, false, e);
    close(root);
    return ret;
}
