/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order: root, then spec.mounts in their order, then maskedPaths and readonlyPaths, then a
 * read-only root. Every path of the configuration is walked inside the container's tree by the vfs
 * itself, so a symbolic link in the image cannot lead a mount anywhere else. Missing mount points
 * are made in the overlay's upper layer.
 *
 * A mount's own propagation is set where it is mounted, the root's (rootfsPropagation) at the end, as with runc.
 *
 * `tmpfs` on /dev is what OCI configurations say for "the runtime fills /dev": it becomes devtmpfs.
 */
#include "sentry/boot/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/mman.h"
#include "sentry/abi/mount.h"
#include "sentry/abi/stat.h"
#include "sentry/boot/copy_tree.h"
#include "sentry/boot/volumes.h"
#include "sentry/fs/dev/dev.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/tmpfs.h"

struct option_flag {
    const char *name;
    uint32_t set, clear;
};

static const struct option_flag g_option_flags[] = {
    {"ro", MOUNT_READONLY, 0},         {"rw", 0, MOUNT_READONLY},
    {"rro", MOUNT_READONLY, 0},        {"rrw", 0, MOUNT_READONLY},
    {"rnosuid", MOUNT_NOSUID, 0},      {"rnodev", MOUNT_NODEV, 0},
    {"rnoexec", MOUNT_NOEXEC, 0},      {"nosuid", MOUNT_NOSUID, 0},
    {"suid", 0, MOUNT_NOSUID},         {"nodev", MOUNT_NODEV, 0},
    {"dev", 0, MOUNT_NODEV},           {"noexec", MOUNT_NOEXEC, 0},
    {"exec", 0, MOUNT_NOEXEC},         {"noatime", MOUNT_NOATIME, 0},
    {"atime", 0, MOUNT_NOATIME},       {"nodiratime", MOUNT_NODIRATIME, 0},
    {"diratime", 0, MOUNT_NODIRATIME}, {"relatime", MOUNT_RELATIME, 0},
    {"norelatime", 0, MOUNT_RELATIME}, {"strictatime", 0, MOUNT_RELATIME | MOUNT_NOATIME},
};

static const struct propagation_word {
    const char *name;
    uint32_t type;
    bool recursive;
} g_propagation_words[] = {
    {"private", LX_MS_PRIVATE, false},       {"rprivate", LX_MS_PRIVATE, true},
    {"shared", LX_MS_SHARED, false},         {"rshared", LX_MS_SHARED, true},
    {"slave", LX_MS_SLAVE, false},           {"rslave", LX_MS_SLAVE, true},
    {"unbindable", LX_MS_UNBINDABLE, false}, {"runbindable", LX_MS_UNBINDABLE, true},
};

static const struct propagation_word *propagation_word(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_propagation_words); i++) {
        if (!strcmp(g_propagation_words[i].name, name))
            return &g_propagation_words[i];
    }
    return NULL;
}

/* Options that say how to mount, not what; the file system must not see them. */
static bool is_mount_word(const char *option)
{
    static const char *const words[] = {"bind",       "rbind",       "defaults",   "sync",
                                        "async",      "mand",        "nomand",     "silent",
                                        "loud",       "lazytime",    "nolazytime", "iversion",
                                        "noiversion", "newinstance", "tmpcopyup",  "notmpcopyup",
                                        "dirsync",    "nosymfollow", "remount"};

    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (!strcmp(words[i], option))
            return true;
    }
    return propagation_word(option) != NULL;
}

/* Splits an OCI option list into MOUNT_* flags and the rest, comma separated. */
static uint32_t split_options(const json_t *list, char *data, size_t size)
{
    uint32_t flags = MOUNT_RELATIME;
    const json_t *v;
    size_t i, k, n = 0;

    data[0] = '\0';
    json_array_foreach(list, i, v)
    {
        const char *o = json_string_value(v);

        for (k = 0; k < ARRAY_COUNT(g_option_flags) && strcmp(g_option_flags[k].name, o); k++)
            ;
        if (k < ARRAY_COUNT(g_option_flags))
            flags = (flags & ~g_option_flags[k].clear) | g_option_flags[k].set;
        else if (!is_mount_word(o) && n < size)
            n += (size_t)snprintf(data + n, size - n, "%s%s", n ? "," : "", o);
    }
    return flags;
}

int boot_make_dirs(const char *path)
{
    char *copy = strdup(path), *p;
    int ret = 0;

    if (!copy)
        return -ENOMEM;
    for (p = copy + 1; ret == 0; p++) {
        char c = *p;
        struct path found;

        if (c && c != '/')
            continue;
        *p = '\0';
        ret = vfs_walk(LX_AT_FDCWD, copy, WALK_FOLLOW, &found);
        if (ret == 0)
            path_put(&found);
        else if (ret == -ENOENT)
            ret = vfs_mkdir(LX_AT_FDCWD, copy, 0755);
        *p = c;
        if (!c)
            break;
    }
    free(copy);
    return ret;
}

/* The mount point, made when it is missing: a directory, or an empty file for a file bind mount. */
static int make_destination(const char *path, bool directory, struct path *out)
{
    struct open_how how = {.flags = LX_O_CREAT | LX_O_WRONLY, .mode = 0644};
    int ret = vfs_walk(LX_AT_FDCWD, path, WALK_FOLLOW, out);
    struct file *f;
    char *parent, *slash;

    if (ret != -ENOENT)
        return ret;
    if (directory) {
        ret = boot_make_dirs(path);
    } else {
        parent = strdup(path);
        if (!parent)
            return -ENOMEM;
        slash = strrchr(parent, '/');
        *slash = '\0';
        ret = *parent ? boot_make_dirs(parent) : 0;
        free(parent);
        if (ret == 0)
            ret = vfs_open(LX_AT_FDCWD, path, &how, &f);
        if (ret == 0)
            file_put(f);
    }
    return ret < 0 ? ret : vfs_walk(LX_AT_FDCWD, path, WALK_FOLLOW, out);
}

static int make_root(const struct boot_config *c, const struct boot_tree *tree, struct super **out)
{
    bool overlay = c->overlay == BOOT_OVERLAY_MEMORY;
    uint32_t flags = (tree->shared ? GOFER_SHARED : GOFER_EXCLUSIVE) |
                     (tree->readonly ? GOFER_READONLY : 0) | (overlay ? GOFER_LOWER : 0);
    /* What the container writes fills its layer, with ENOSPC, before it uses up its memory. */
    const struct tmpfs_options options = {.mode = 0755,
                                          .super_flags = SUPER_LOWER,
                                          .size_limit = c->overlay_size ? c->overlay_size
                                                                        : tmpfs_default_size(),
                                          .inode_limit = tmpfs_default_size() / LX_PAGE_SIZE};
    struct super *lower, *upper;
    int ret = gofer_mount(tree->fd, flags, &lower);

    if (ret < 0 || !overlay) {
        *out = lower;
        return ret;
    }
    ret = tmpfs_create(&options, &upper);
    if (ret < 0) {
        super_put(lower);
        return ret;
    }
    ret = overlay_mount(upper, &lower, 1, 0, out);
    if (ret < 0) {
        super_put(upper);
        super_put(lower);
    }
    return ret;
}

static int enter_root(struct super *root, struct boot_mounts *m)
{
    struct curr *self = curr();
    struct path top;
    int ret = mntns_new(root, MOUNT_RELATIME, &m->ns);

    if (ret < 0)
        return ret;
    mntns_root(m->ns, &top);
    ret = fs_ctx_new(&top, &top, 0, &self->fs);
    path_put(&top);
    self->mntns = mntns_get(m->ns);
    return ret;
}

static int mount_tree(const struct boot_tree *tree, const char *destination, uint32_t flags,
                      const char *source)
{
    struct super *s;
    struct path where;
    int ret = gofer_mount(tree->fd,
                          (tree->shared ? GOFER_SHARED : GOFER_EXCLUSIVE) |
                              (tree->readonly ? GOFER_READONLY : 0),
                          &s);

    if (ret < 0)
        return ret;
    ret = make_destination(destination, LX_S_ISDIR(s->root->inode->attr.mode), &where);
    if (ret == 0) {
        ret = vfs_mount_super(s, s->root, &where, flags, source);
        path_put(&where);
    }
    super_put(s);
    return ret;
}

static int add_devices(struct super *dev, const json_t *devices)
{
    const json_t *v;
    size_t i;

    json_array_foreach(devices, i, v)
    {
        const char *path = boot_string(v, "path", "");
        const char *type = boot_string(v, "type", "c");
        uint32_t mode = (uint32_t)boot_int(v, "fileMode", 0666) & 07777;
        int ret;

        if (strncmp(path, "/dev/", 5))
            continue;
        mode |= type[0] == 'b' ? LX_S_IFBLK : type[0] == 'p' ? LX_S_IFIFO : LX_S_IFCHR;
        ret = devfs_add_node(
            dev, path + 5, mode, (lx_uid_t)boot_int(v, "uid", 0), (lx_gid_t)boot_int(v, "gid", 0),
            lx_mkdev((uint32_t)boot_int(v, "major", 0), (uint32_t)boot_int(v, "minor", 0)));
        if (ret < 0 && ret != -EEXIST)
            return ret;
    }
    return 0;
}

/* As with runc: a tmpfs on a directory that is there has its mode, where the options name no other. */
static void prefer_mode_of(const char *destination, char *data, size_t size)
{
    char mode[16];
    struct path where;
    size_t len;

    if (vfs_walk(LX_AT_FDCWD, destination, WALK_FOLLOW, &where) < 0)
        return;
    len = (size_t)snprintf(mode, sizeof(mode), "mode=%o%s", where.dentry->inode->attr.mode & 07777,
                           *data ? "," : "");
    if (len + strlen(data) < size) {
        memmove(data + len, data, strlen(data) + 1);
        memcpy(data, mode, len);
    }
    path_put(&where);
}

static bool has_option(const json_t *mount, const char *name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(mount, "options"), i, v)
    {
        if (!strcmp(json_string_value(v), name))
            return true;
    }
    return false;
}

static int make_readonly(const char *where)
{
    struct path top;
    int ret = vfs_walk(LX_AT_FDCWD, where, WALK_FOLLOW, &top);

    if (ret < 0)
        return ret;
    ret = vfs_mount_setattr(&top, MOUNT_READONLY, 0, /*recursive=*/false);
    path_put(&top);
    return ret;
}

/* tmpcopyup: what the new mount covers; a read-only one becomes that afterwards. */
static int fill_tmpfs(const json_t *spec_mount, const struct path *covered, const char *destination,
                      uint32_t flags)
{
    int ret = has_option(spec_mount, "tmpcopyup") ? boot_copy_tree(covered, destination) : 0;

    return ret == 0 && flags & MOUNT_READONLY ? make_readonly(destination) : ret;
}

static bool is_device_mount(const json_t *spec_mount, const char *destination)
{
    const char *type = boot_string(spec_mount, "type", "none");

    return !strcmp(destination, "/dev") && (!strcmp(type, "tmpfs") || !strcmp(type, "devtmpfs"));
}

static int mount_internal(const struct boot_config *c, const json_t *spec_mount,
                          const char *destination, struct boot_mounts *out)
{
    const char *type = boot_string(spec_mount, "type", "none");
    const char *volume = boot_string(spec_mount, "volume", NULL);
    char data[1024];
    uint32_t flags = split_options(json_object_get(spec_mount, "options"), data, sizeof(data));
    bool is_dev = is_device_mount(spec_mount, destination);
    const struct fs_type *fs;
    bool is_tmpfs = !is_dev && !strcmp(type, "tmpfs");
    struct path where;
    struct super *s;
    int ret;

    /* What runc's default configuration calls "cgroup" is version 2 on current hosts. */
    if (!strcmp(type, "cgroup"))
        type = "cgroup2";
    ret = fs_type_find(is_dev ? "devtmpfs" : type, &fs);
    if (ret < 0)
        return ret;
    if (is_tmpfs)
        prefer_mode_of(destination, data, sizeof(data));
    ret = volume
              ? volume_get(volume, fs, boot_string(spec_mount, "source", type), data, &s)
              : fs->mount(fs, boot_string(spec_mount, "source", type), is_dev ? "" : data, 0, &s);
    if (ret < 0)
        return ret;
    if (is_dev)
        ret = add_devices(s, json_object_get(json_object_get(c->spec, "linux"), "devices"));
    if (ret == 0)
        ret = make_destination(destination, true, &where);
    if (ret == 0) {
        ret = vfs_mount_super(s, s->root, &where,
                              is_tmpfs || is_dev ? flags & ~MOUNT_READONLY : flags,
                              boot_string(spec_mount, "source", type));
        if (ret == 0 && is_tmpfs)
            ret = fill_tmpfs(spec_mount, &where, destination, flags);
        path_put(&where);
    }
    if (ret == 0 && !strcmp(type, "devpts") && !out->devpts)
        out->devpts = super_get(s);
    super_put(s);
    return ret;
}

/* Between the mount namespaces of the container: none of its mounts is a peer of one of the host's. */
static int set_propagation(const char *where, const char *name)
{
    const struct propagation_word *w = propagation_word(name);
    struct path top;
    int ret;

    if (!w)
        return 0;
    ret = vfs_walk(LX_AT_FDCWD, where, WALK_FOLLOW, &top);
    if (ret < 0)
        return ret;
    ret = vfs_set_propagation(&top, w->type, w->recursive);
    path_put(&top);
    return ret;
}

static int propagate(const json_t *spec_mount, const char *destination)
{
    const json_t *v;
    size_t i;
    int ret = 0;

    json_array_foreach(json_object_get(spec_mount, "options"), i, v)
    {
        if (ret == 0)
            ret = set_propagation(destination, json_string_value(v));
    }
    return ret;
}

static const struct boot_tree *tree_of(const struct boot_config *c, int mount)
{
    for (size_t i = 0; i < c->tree_count; i++) {
        if (c->trees[i].mount == mount)
            return &c->trees[i];
    }
    return NULL;
}

static int mount_all(const struct boot_config *c, struct boot_mounts *out, const char **out_what)
{
    const json_t *mounts = json_object_get(c->spec, "mounts"), *v;
    size_t i;

    json_array_foreach(mounts, i, v)
    {
        const char *raw = boot_string(v, "destination", "/");
        const struct boot_tree *tree = tree_of(c, (int)i);
        char destination[LX_PATH_MAX];
        char data[1024];
        int ret;

        snprintf(destination, sizeof(destination), "%s%s", raw[0] == '/' ? "" : "/", raw);
        for (size_t n = strlen(destination); n > 1 && destination[n - 1] == '/'; n--)
            destination[n - 1] = '\0';
        ret = tree ? mount_tree(tree, destination,
                                split_options(json_object_get(v, "options"), data, sizeof(data)),
                                boot_string(v, "source", "none"))
                   : mount_internal(c, v, destination, out);
        if (ret == 0)
            ret = propagate(v, destination);
        if (ret < 0) {
            *out_what = raw;
            return ret;
        }
    }
    return 0;
}

/* An unreadable cover: an empty read-only tmpfs over a directory, /dev/null over a file. */
static int mask_path(const char *path)
{
    const struct tmpfs_options options = {.mode = 0755, .size_limit = 4096};
    struct path where, null;
    struct super *s;
    int ret = vfs_walk(LX_AT_FDCWD, path, WALK_FOLLOW, &where);

    if (ret < 0)
        return ret == -ENOENT || ret == -ENOTDIR ? 0 : ret;
    if (LX_S_ISDIR(where.dentry->inode->attr.mode)) {
        ret = tmpfs_create(&options, &s);
        if (ret == 0) {
            ret = vfs_mount_super(s, s->root, &where, MOUNT_READONLY, "tmpfs");
            super_put(s);
        }
    } else {
        ret = vfs_walk(LX_AT_FDCWD, "/dev/null", 0, &null);
        if (ret == 0) {
            ret = vfs_bind(&null, &where, false);
            path_put(&null);
        }
    }
    path_put(&where);
    return ret;
}

static int readonly_path(const char *path)
{
    struct path where, top;
    int ret = vfs_walk(LX_AT_FDCWD, path, WALK_FOLLOW, &where);

    if (ret < 0)
        return ret == -ENOENT || ret == -ENOTDIR ? 0 : ret;
    ret = vfs_bind(&where, &where, true);
    path_put(&where);
    if (ret < 0)
        return ret;
    ret = vfs_walk(LX_AT_FDCWD, path, WALK_FOLLOW, &top); /* the new mount's root */
    if (ret < 0)
        return ret;
    ret = vfs_mount_setattr(&top, MOUNT_READONLY, 0, true);
    path_put(&top);
    return ret;
}

static int for_each_path(const json_t *list, int (*fn)(const char *), const char **out_what)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        int ret = fn(json_string_value(v));

        if (ret < 0) {
            *out_what = json_string_value(v);
            return ret;
        }
    }
    return 0;
}

/* Once all is in it; where the console will be mounted, too. */
static int make_devices_readonly(const struct boot_config *c)
{
    struct path where;
    int ret = 0;

    if (c->console_fd >= 0)
        ret = make_destination("/dev/console", /*directory=*/false, &where);
    if (ret == 0 && c->console_fd >= 0)
        path_put(&where);
    return ret < 0 ? ret : make_readonly("/dev");
}

static bool wants_devices_readonly(const struct boot_config *c)
{
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(c->spec, "mounts"), i, v)
    {
        if (has_option(v, "ro") && is_device_mount(v, boot_string(v, "destination", "")))
            return true;
    }
    return false;
}

/* One of the network that this kernel does not have is said, not fatal: engines set such on every container, and the host
 * has it. */
int boot_sysctls(const struct boot_config *c, struct boot_error *e)
{
    const json_t *map = json_object_get(json_object_get(c->spec, "linux"), "sysctl");
    const struct open_how how = {.flags = LX_O_WRONLY};
    const char *key;
    json_t *v;

    /* SAFETY: jansson's iteration takes a non-const object but does not change it. */
    json_object_foreach((json_t *)(uintptr_t)map, key, v)
    {
        char path[256];
        struct file *f;
        ssize_t n;

        if (!strcmp(key, "kernel.domainname"))
            continue; /* of a namespace that is not there yet */
        snprintf(path, sizeof(path), "/proc/sys/%s", key);
        for (char *p = path + 10; *p; p++)
            *p = *p == '.' ? '/' : *p;
        n = vfs_open(LX_AT_FDCWD, path, &how, &f);
        if (n == 0) {
            n = file_write_kernel(f, json_string_value(v), json_string_length(v), 0);
            file_put(f);
        }
        if (n < 0 && strncmp(key, "net.", 4))
            return boot_error_set(e, 1, "sysctl %s: %s", path,
                                  n == -ENOENT ? "no such file or directory" : "invalid argument");
        if (n < 0)
            log_info(LOG_BOOT, "sysctl %s: %s", key, strerror((int)-n));
    }
    return 0;
}

int boot_mounts(const struct boot_config *c, struct boot_mounts *out, const char **out_what)
{
    const struct boot_tree *root_tree = tree_of(c, -1);
    struct super *root;
    int ret;

    *out = (struct boot_mounts){0};
    *out_what = "/";
    if (!root_tree)
        return -EINVAL;
    ret = make_root(c, root_tree, &root);
    if (ret < 0)
        return ret;
    ret = enter_root(root, out);
    super_put(root);
    if (ret == 0)
        ret = mount_all(c, out, out_what);
    return ret;
}

int boot_mounts_protect(const struct boot_config *c, const char **out_what)
{
    const json_t *linux_spec = json_object_get(c->spec, "linux");
    const char *propagation = boot_string(linux_spec, "rootfsPropagation", "");
    int ret = for_each_path(json_object_get(linux_spec, "maskedPaths"), mask_path, out_what);

    if (ret == 0)
        ret = for_each_path(json_object_get(linux_spec, "readonlyPaths"), readonly_path, out_what);
    if (ret == 0 && wants_devices_readonly(c))
        ret = make_devices_readonly(c);
    if (ret == 0 && *propagation)
        ret = set_propagation("/", propagation);
    if (ret == 0 && json_is_true(json_object_get(json_object_get(c->spec, "root"), "readonly")))
        ret = make_readonly("/");
    return ret;
}

int boot_mount_console(struct file *slave)
{
    struct path where;
    int ret = make_destination("/dev/console", /*directory=*/false, &where);

    if (ret < 0)
        return ret;
    ret = vfs_bind(&slave->path, &where, false);
    path_put(&where);
    return ret;
}
