/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of the error messages are a contract: docker, podman and containerd tell a missing
 * command (127) from one that cannot be executed (126) by "executable file not found", "no such
 * file or directory" and "permission denied".
 */
#include "sentry/boot/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/boot/mounts.h"
#include "sentry/core/userns.h"
#include "sentry/fs/host/hostfile.h"

static const char g_default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

int boot_error_set(struct boot_error *e, int exit_code, const char *fmt, ...)
{
    va_list ap;

    e->exit_code = exit_code;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* strerror in the lower case that runc prints. */
static const char *reason(int errnum)
{
    static _Thread_local char text[128];

    if (errnum == ENOEXEC)
        return "exec format error";
    snprintf(text, sizeof(text), "%s", strerror(errnum));
    if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a')
        text[0] = (char)(text[0] + 'a' - 'A');
    return text;
}

/* 0 when path names something that may be executed by cred. */
static int check_executable(const char *path, const struct cred *cred)
{
    struct path found;
    int ret = vfs_walk(LX_AT_FDCWD, path, WALK_FOLLOW, &found);

    if (ret < 0)
        return ret;
    if (!LX_S_ISREG(found.dentry->inode->attr.mode))
        ret = -EACCES;
    else
        ret = inode_permission_cred(found.dentry->inode, cred, MAY_EXEC);
    path_put(&found);
    return ret;
}

/* execvp's search. *out is allocated. */
static int find_program(const char *name, char **env, const struct cred *cred, char **out)
{
    const char *path = g_default_path;
    int result = -ENOENT;

    if (strchr(name, '/')) {
        *out = strdup(name);
        return *out ? check_executable(name, cred) : -ENOMEM;
    }
    for (; *env; env++) {
        if (!strncmp(*env, "PATH=", 5))
            path = *env + 5;
    }
    for (;;) {
        size_t len = strcspn(path, ":");
        int ret;

        if (asprintf(out, "%.*s%s%s", (int)len, path, len ? "/" : "./", name) < 0)
            return -ENOMEM;
        ret = check_executable(*out, cred);
        if (ret == 0)
            return 0;
        free(*out);
        *out = NULL;
        if (ret == -EACCES)
            result = ret;
        if (!path[len])
            return result;
        path += len + 1;
    }
}

static int capability_number(const char *name)
{
    /* In the order of capabilities(7)'s numbers. */
    static const char *const names[] = {"CHOWN",
                                        "DAC_OVERRIDE",
                                        "DAC_READ_SEARCH",
                                        "FOWNER",
                                        "FSETID",
                                        "KILL",
                                        "SETGID",
                                        "SETUID",
                                        "SETPCAP",
                                        "LINUX_IMMUTABLE",
                                        "NET_BIND_SERVICE",
                                        "NET_BROADCAST",
                                        "NET_ADMIN",
                                        "NET_RAW",
                                        "IPC_LOCK",
                                        "IPC_OWNER",
                                        "SYS_MODULE",
                                        "SYS_RAWIO",
                                        "SYS_CHROOT",
                                        "SYS_PTRACE",
                                        "SYS_PACCT",
                                        "SYS_ADMIN",
                                        "SYS_BOOT",
                                        "SYS_NICE",
                                        "SYS_RESOURCE",
                                        "SYS_TIME",
                                        "SYS_TTY_CONFIG",
                                        "MKNOD",
                                        "LEASE",
                                        "AUDIT_WRITE",
                                        "AUDIT_CONTROL",
                                        "SETFCAP",
                                        "MAC_OVERRIDE",
                                        "MAC_ADMIN",
                                        "SYSLOG",
                                        "WAKE_ALARM",
                                        "BLOCK_SUSPEND",
                                        "AUDIT_READ",
                                        "PERFMON",
                                        "BPF",
                                        "CHECKPOINT_RESTORE"};
    _Static_assert(ARRAY_COUNT(names) == LX_CAP_LAST + 1, "a name per capability");

    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (!strcasecmp(names[i], name))
            return (int)i;
    }
    return -EINVAL;
}

static uint64_t capability_set(const json_t *caps, const char *set)
{
    const json_t *list = json_object_get(caps, set), *v;
    uint64_t mask = 0;
    size_t i;

    json_array_foreach(list, i, v)
    {
        int n = capability_number(json_string_value(v));

        if (n >= 0)
            mask |= LX_CAP_BIT(n);
    }
    return mask;
}

static int make_cred(const json_t *process, struct cred **out)
{
    const json_t *user = json_object_get(process, "user");
    const json_t *caps = json_object_get(process, "capabilities"), *v;
    const json_t *extra = json_object_get(user, "additionalGids");
    lx_gid_t *groups = calloc(json_array_size(extra) + 1, sizeof(lx_gid_t));
    struct cred *c;
    size_t i;
    int ret;

    if (!groups)
        return -ENOMEM;
    json_array_foreach(extra, i, v)
    {
        groups[i] = (lx_gid_t)json_integer_value(v);
    }
    ret = cred_copy_groups(cred_kernel(), groups, json_array_size(extra), &c);
    free(groups);
    if (ret < 0)
        return ret;
    c->ruid = c->euid = c->suid = c->fsuid = (lx_uid_t)boot_int(user, "uid", 0);
    c->rgid = c->egid = c->sgid = c->fsgid = (lx_gid_t)boot_int(user, "gid", 0);
    if (caps) {
        c->cap_bounding = capability_set(caps, "bounding");
        c->cap_permitted = capability_set(caps, "permitted");
        c->cap_effective = capability_set(caps, "effective") & c->cap_permitted;
        c->cap_inheritable = capability_set(caps, "inheritable");
        c->cap_ambient = capability_set(caps, "ambient") & c->cap_permitted & c->cap_inheritable;
    } else if (c->ruid != 0) {
        c->cap_permitted = c->cap_effective = c->cap_inheritable = c->cap_ambient = 0;
    }
    *out = c;
    return 0;
}

static int limit_number(const char *type)
{
    static const char *const names[LX_RLIM_COUNT] = {
        [LX_RLIMIT_CPU] = "CPU",           [LX_RLIMIT_FSIZE] = "FSIZE",
        [LX_RLIMIT_DATA] = "DATA",         [LX_RLIMIT_STACK] = "STACK",
        [LX_RLIMIT_CORE] = "CORE",         [LX_RLIMIT_RSS] = "RSS",
        [LX_RLIMIT_NPROC] = "NPROC",       [LX_RLIMIT_NOFILE] = "NOFILE",
        [LX_RLIMIT_MEMLOCK] = "MEMLOCK",   [LX_RLIMIT_AS] = "AS",
        [LX_RLIMIT_LOCKS] = "LOCKS",       [LX_RLIMIT_SIGPENDING] = "SIGPENDING",
        [LX_RLIMIT_MSGQUEUE] = "MSGQUEUE", [LX_RLIMIT_NICE] = "NICE",
        [LX_RLIMIT_RTPRIO] = "RTPRIO",     [LX_RLIMIT_RTTIME] = "RTTIME"};

    for (int i = 0; i < LX_RLIM_COUNT; i++) {
        if (!strcmp(names[i], type + strlen("RLIMIT_")))
            return i;
    }
    return -EINVAL;
}

static int fill_limits(const json_t *process, struct process_args *args, struct boot_error *e)
{
    const json_t *list = json_object_get(process, "rlimits"), *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        const char *type = boot_string(v, "type", "RLIMIT_");
        int n = limit_number(type);

        if (n < 0)
            return boot_error_set(e, 1, "unknown resource limit %s", type);
        args->rlimits[n].cur = (uint64_t)boot_int(v, "soft", 0);
        args->rlimits[n].max = (uint64_t)boot_int(v, "hard", 0);
    }
    return 0;
}

static int create_failed(struct boot_error *e, const char *name, int ret)
{
    if (ret == -ENOENT && !strchr(name, '/'))
        return boot_error_set(e, 127, "exec: \"%s\": executable file not found in $PATH", name);
    if (ret == -ENOENT)
        return boot_error_set(e, 127, "exec: \"%s\": stat %s: no such file or directory", name,
                              name);
    return boot_error_set(e, 126, "exec: \"%s\": %s", name, reason(-ret));
}

/* As runc: the first process makes its directory, the others want one. */
static int enter_cwd(const char *cwd, bool make, struct boot_error *e)
{
    struct path found;
    int ret = vfs_walk(LX_AT_FDCWD, cwd, WALK_FOLLOW | WALK_DIRECTORY, &found);

    if (ret == -ENOENT && make) {
        ret = boot_make_dirs(cwd);
        if (ret == 0)
            ret = vfs_walk(LX_AT_FDCWD, cwd, WALK_FOLLOW | WALK_DIRECTORY, &found);
    }
    if (ret < 0)
        return boot_error_set(e, 1, "chdir to cwd (\"%s\") set in config.json failed: %s", cwd,
                              reason(-ret));
    /* Relative program names are looked up from here, also by the loader's own walk. */
    fs_ctx_set_cwd(curr()->fs, &found);
    path_put(&found);
    return 0;
}

/* An id that the container's mappings do not have, in runc's words; NULL: none. */
static const char *unmapped_id(const json_t *process)
{
    const json_t *user = json_object_get(process, "user"), *v;
    const struct userns *ns = userns_init_get();
    size_t i;

    if (userns_to_kuid(ns, (lx_uid_t)boot_int(user, "uid", 0)) == LX_ID_INVALID)
        return "cannot set uid to unmapped user in user namespace";
    if (userns_to_kgid(ns, (lx_gid_t)boot_int(user, "gid", 0)) == LX_ID_INVALID)
        return "cannot set gid to unmapped user in user namespace";
    json_array_foreach(json_object_get(user, "additionalGids"), i, v)
    {
        if (userns_to_kgid(ns, (lx_gid_t)json_integer_value(v)) == LX_ID_INVALID)
            return "setgroups: invalid argument";
    }
    return NULL;
}

static int create(const struct container_process *cp, struct process_args *args, char **argv,
                  char **envp, struct task **out, struct boot_error *e)
{
    const char *unmapped = unmapped_id(cp->process);
    char *program = NULL;
    int ret;

    if (!argv || !envp || !argv[0])
        return boot_error_set(e, 1, "process arguments: out of memory");
    if (unmapped)
        return boot_error_set(e, 1, "unable to setup user: %s", unmapped);
    ret = make_cred(cp->process, &args->cred);
    if (ret < 0)
        return boot_error_set(e, 1, "process credentials: %s", reason(-ret));
    ret = find_program(argv[0], envp, args->cred, &program);
    if (ret == 0) {
        args->filename = program;
        args->argv = (const char *const *)argv;
        args->envp = (const char *const *)envp;
        ret = kernel_process_create(args, out);
    }
    free(program);
    cred_put(args->cred);
    return ret < 0 ? create_failed(e, argv[0], ret) : 0;
}

enum { PASSWD_MAX = 256 * 1024 };

/* Field n of a line of /etc/passwd; *out_len is its length. NULL when the line is shorter. */
static const char *passwd_field(const char *line, int n, size_t *out_len)
{
    while (n-- > 0) {
        line += strcspn(line, ":\n");
        if (*line++ != ':')
            return NULL;
    }
    *out_len = strcspn(line, ":\n");
    return line;
}

/* "HOME=..." of uid in the container's /etc/passwd, as runc sets it; allocated. */
static char *home_of(lx_uid_t uid)
{
    const struct open_how how = {.flags = LX_O_RDONLY};
    char *text = calloc(1, PASSWD_MAX + 1), *home = NULL;
    const char *line = text;
    struct file *f;

    if (text && vfs_open(LX_AT_FDCWD, "/etc/passwd", &how, &f) == 0) {
        if (file_read_kernel(f, text, PASSWD_MAX, 0) < 0)
            text[0] = '\0';
        file_put(f);
    }
    while (text && *line && !home) {
        size_t len;
        const char *id = passwd_field(line, 2, &len);

        if (id && len && strtoul(id, NULL, 10) == uid && (line = passwd_field(line, 5, &len)) &&
            len && asprintf(&home, "HOME=%.*s", (int)len, line) < 0)
            home = NULL;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    free(text);
    return home ? home : strdup("HOME=/");
}

/* Of several values for one name the last one counts. */
static size_t drop_overridden(char **envp)
{
    size_t kept = 0;

    for (size_t i = 0; envp[i]; i++) {
        size_t len = strcspn(envp[i], "="), k = i + 1;

        while (envp[k] && (strncmp(envp[k], envp[i], len) || envp[k][len] != '='))
            k++;
        if (envp[k])
            free(envp[i]);
        else
            envp[kept++] = envp[i];
    }
    envp[kept] = NULL;
    return kept;
}

/* The environment of the configuration, with a HOME. */
static char **make_environment(const json_t *process)
{
    char **envp = boot_strings(json_object_get(process, "env")), **longer;
    size_t count = envp ? drop_overridden(envp) : 0;

    for (size_t i = 0; i < count; i++) {
        if (!strncmp(envp[i], "HOME=", 5))
            return envp;
    }
    longer = envp ? realloc(envp, (count + 2) * sizeof(char *)) : NULL;
    if (!longer)
        return envp;
    longer[count] = home_of((lx_uid_t)boot_int(json_object_get(process, "user"), "uid", 0));
    longer[count + 1] = NULL;
    return longer;
}

int container_process_create(const struct container_process *cp, struct task **out,
                             struct boot_error *e)
{
    char *cwd = boot_bytes(json_object_get(cp->process, "cwd"));
    char **argv = boot_strings(json_object_get(cp->process, "args"));
    char **envp = make_environment(cp->process);
    const json_t *user = json_object_get(cp->process, "user");
    struct process_args args = {
        .container = cp->container,
        .cwd = cwd ? cwd : "/",
        .files = cp->files,
        .hostname = cp->hostname,
        .domainname = cp->domainname,
        .umask = (uint32_t)boot_int(user, "umask", 022),
        .no_new_privs = json_is_true(json_object_get(cp->process, "noNewPrivileges")),
        .personality = cp->personality,
        .killable_init = cp->killable_init,
        .terminal = json_is_true(json_object_get(cp->process, "terminal")),
        .oom_score_adj = (int)boot_int(cp->process, "oomScoreAdj", 0),
        .mntns = cp->ns.mntns ? cp->ns.mntns : curr()->mntns,
        .netns = cp->ns.netns ? cp->ns.netns : curr()->netns,
        .pidns = cp->ns.pidns ? cp->ns.pidns : curr()->pidns,
        .utsns = cp->ns.utsns,
        .ipcns = cp->ns.ipcns ? cp->ns.ipcns : curr()->ipcns,
        .cgroupns = cp->ns.cgroupns ? cp->ns.cgroupns : curr()->cgroupns,
        .timens = cp->ns.timens ? cp->ns.timens : curr()->timens,
        .on_exit = cp->on_exit,
    };
    int ret;

    memcpy(args.rlimits, cp->host_limits, sizeof(args.rlimits));
    fs_ctx_root(curr()->fs, &args.root);
    ret = fill_limits(cp->process, &args, e);
    if (ret == 0)
        ret = enter_cwd(args.cwd, cp->make_cwd, e);
    if (ret == 0)
        ret = create(cp, &args, argv, envp, out, e);
    path_put(&args.root);
    boot_strings_free(argv);
    boot_strings_free(envp);
    free(cwd);
    return ret;
}

/* A host descriptor as the guest's: its access mode and O_APPEND, no O_NONBLOCK. */
static int wrap_host_fd(int fd, struct file **out)
{
    int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
    int copy;

    if (flags < 0)
        return -EBADF;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -errno;
    return hostfile_new_take(copy, (uint32_t)flags & (LX_O_ACCMODE | LX_O_APPEND), out);
}

static int install_host_fd(struct fdtable *files, int host_fd, int number)
{
    struct file *f;
    int ret = wrap_host_fd(host_fd, &f);

    if (ret == -EBADF)
        return 0; /* closed by the caller: closed for the program too */
    if (ret < 0)
        return ret;
    ret = fdtable_install_at_take(files, f, number, false);
    if (ret < 0)
        file_put(f);
    return ret < 0 ? ret : 0;
}

static int install_console(struct fdtable *files, struct file *console)
{
    int ret = 0;

    for (int i = 0; ret >= 0 && i < 3; i++) {
        ret = fdtable_install_at_take(files, file_get(console), i, false);
        if (ret < 0)
            file_put(console);
    }
    return ret < 0 ? ret : 0;
}

int container_stdio(const int host_fds[3], struct file *console, const int *preserved,
                    size_t preserved_count, struct fdtable **out)
{
    struct fdtable *files;
    int ret = fdtable_new(&files);

    if (ret < 0)
        return ret;
    if (console)
        ret = install_console(files, console);
    for (int i = 0; !console && ret == 0 && i < 3; i++)
        ret = install_host_fd(files, host_fds[i], i);
    for (size_t i = 0; ret == 0 && i < preserved_count; i++)
        ret = install_host_fd(files, preserved[i], 3 + (int)i);
    if (ret < 0) {
        fdtable_put(files);
        return ret;
    }
    *out = files;
    return 0;
}
