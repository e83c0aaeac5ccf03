/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/container/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "runsc-c/sandbox/control.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

static const char *const g_phase_names[] = {
    [CONTAINER_CREATING] = "creating",
    [CONTAINER_CREATED] = "created",
    [CONTAINER_STARTED] = "started",
};

int container_check_id(const char *id, struct err *e)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.";
    size_t len = strlen(id);

    if (!len || len > 1024 || strspn(id, allowed) != len || !strcmp(id, ".") || !strcmp(id, ".."))
        return err_set(e, "invalid container id \"%.64s\": 1 to 1024 of letters, digits, _ + - .",
                       id);
    return 0;
}

static void path_of(const char *id, const char *file, char *buf, size_t size)
{
    snprintf(buf, size, "%s/%s%s%s", g_options.root, id, file ? "/" : "", file ? file : "");
}

static int make_parents(const char *path, struct err *e)
{
    char buf[4096];

    snprintf(buf, sizeof(buf), "%s", path);
    for (char *p = buf + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(buf, 0711) < 0 && errno != EEXIST)
            return err_errno(e, errno, "cannot make the state directory %s", buf);
        *p = '/';
    }
    if (mkdir(buf, 0711) < 0 && errno != EEXIST)
        return err_errno(e, errno, "cannot make the state directory %s", buf);
    return 0;
}

int container_make_dir(const char *id, struct err *e)
{
    char path[4096];
    int fd;

    if (make_parents(g_options.root, e) < 0)
        return -1;
    path_of(id, NULL, path, sizeof(path));
    if (mkdir(path, 0711) < 0) {
        if (errno == EEXIST)
            return err_set(e, "container with given ID already exists: %s", id);
        return err_errno(e, errno, "cannot make %s", path);
    }
    fd = container_lock(id, e);
    if (fd < 0)
        (void)rmdir(path); /* the first error is the one to tell */
    return fd;
}

/* A directory that was deleted while we waited for its lock, and perhaps made anew, is not the one
 * to work on. */
static bool same_directory(int fd, const char *path)
{
    struct stat ours, now;

    return fstat(fd, &ours) == 0 && stat(path, &now) == 0 && ours.st_ino == now.st_ino &&
           ours.st_dev == now.st_dev;
}

int container_lock(const char *id, struct err *e)
{
    char path[4096];
    int fd;

    if (container_check_id(id, e) < 0)
        return -1;
    path_of(id, NULL, path, sizeof(path));
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? err_set(e, "container does not exist: %s", id)
                               : err_errno(e, errno, "cannot open %s", path);
    while (flock(fd, LOCK_EX) < 0) {
        if (errno != EINTR) {
            (void)err_errno(e, errno, "cannot lock %s", path);
            close(fd);
            return -1;
        }
    }
    if (same_directory(fd, path))
        return fd;
    close(fd);
    return err_set(e, "container does not exist: %s", id);
}

bool container_locked(const char *id)
{
    char path[4096];
    int fd;
    bool locked;

    path_of(id, NULL, path, sizeof(path));
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    if (fd >= 0)
        close(fd);
    return locked;
}

int container_remove_dir(const char *id, struct err *e)
{
    char path[4096];
    struct dirent *entry;
    DIR *dir;

    path_of(id, NULL, path, sizeof(path));
    dir = opendir(path);
    if (!dir && errno == ENOENT)
        return 0;
    if (!dir)
        return err_errno(e, errno, "cannot open %s", path);
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    return rmdir(path) < 0 ? err_errno(e, errno, "cannot remove %s", path) : 0;
}

static json_t *pack_process(const struct process_id *p)
{
    return json_pack("{s:i, s:I}", "pid", (int)p->pid, "startTime", (json_int_t)p->start_time);
}

static struct process_id unpack_process(const json_t *v)
{
    return (struct process_id){
        (pid_t)json_integer_value(json_object_get(v, "pid")),
        (unsigned long long)json_integer_value(json_object_get(v, "startTime"))};
}

int container_save(const struct container *c, struct err *e)
{
    char path[4096];
    json_t *v = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:i, s:O*, s:O*}", "id", c->id, "phase",
        g_phase_names[c->phase], "sandbox", c->sandbox, "bundle", json_bytes(c->bundle), "rootfs",
        json_bytes(c->rootfs), "proxy", pack_process(&c->proxy), "sentry", pack_process(&c->sentry),
        "gofer", pack_process(&c->gofer), "creator", pack_process(&c->creator), "created",
        c->created, "owner", (int)c->owner, "annotations", c->annotations, "cgroup", c->cgroup);
    int ret;

    if (!v)
        return err_errno(e, ENOMEM, "container state");
    path_of(c->id, "state.json", path, sizeof(path));
    ret = json_save(v, path, e);
    json_decref(v);
    return ret;
}

static enum container_phase phase_of(const json_t *v)
{
    const char *name = json_get_string(v, "phase", "");

    for (size_t i = 0; i < ARRAY_COUNT(g_phase_names); i++) {
        if (!strcmp(name, g_phase_names[i]))
            return (enum container_phase)i;
    }
    return CONTAINER_CREATING;
}

/* A state file that is broken (a full disk, an editor) makes a container that can only be deleted.
 */
static json_t *load_state(const char *id)
{
    char path[4096];
    json_t *v;

    path_of(id, "state.json", path, sizeof(path));
    v = json_load_file(path, 0, NULL);
    if (!json_is_object(v)) {
        json_decref(v);
        v = json_object();
    }
    return v;
}

bool container_exists(const char *id)
{
    struct err ignored = {0};
    char path[4096];

    path_of(id, NULL, path, sizeof(path));
    return container_check_id(id, &ignored) == 0 && access(path, F_OK) == 0;
}

int container_load(const char *id, struct container *out, struct err *e)
{
    json_t *v;

    if (container_check_id(id, e) < 0)
        return -1;
    if (!container_exists(id))
        return err_set(e, "container does not exist: %s", id);
    v = load_state(id);
    *out = (struct container){
        .proxy = unpack_process(json_object_get(v, "proxy")),
        .sentry = unpack_process(json_object_get(v, "sentry")),
        .gofer = unpack_process(json_object_get(v, "gofer")),
        .creator = unpack_process(json_object_get(v, "creator")),
        .phase = phase_of(v),
        .owner = (unsigned)json_integer_value(json_object_get(v, "owner")),
        .annotations = json_incref(json_object_get(v, "annotations")),
        .cgroup = json_incref(json_object_get(v, "cgroup")),
    };
    snprintf(out->id, sizeof(out->id), "%s", id);
    snprintf(out->sandbox, sizeof(out->sandbox), "%s", json_get_string(v, "sandbox", id));
    snprintf(out->bundle, sizeof(out->bundle), "%s", json_get_string(v, "bundle", ""));
    snprintf(out->rootfs, sizeof(out->rootfs), "%s", json_get_string(v, "rootfs", ""));
    snprintf(out->created, sizeof(out->created), "%s", json_get_string(v, "created", ""));
    json_decref(v);
    return 0;
}

void container_destroy(struct container *c)
{
    json_decref(c->annotations);
    json_decref(c->cgroup);
    c->annotations = c->cgroup = NULL;
}

int container_save_spec(const char *id, const json_t *spec, struct err *e)
{
    char path[4096];

    path_of(id, "config.json", path, sizeof(path));
    return json_save(spec, path, e);
}

json_t *container_spec(const struct container *c, struct err *e)
{
    char path[4096];
    json_error_t error;
    json_t *spec;

    path_of(c->id, "config.json", path, sizeof(path));
    spec = json_load_file(path, 0, &error);
    if (!spec)
        (void)err_set(e, "%s: %s", path, error.text);
    return spec;
}

/* ---- processes ------------------------------------------------------------------------------- */

static unsigned long long process_start_time(pid_t pid)
{
    unsigned long long t = 0;
    char path[64], buf[1024], *p;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, buf, sizeof(buf) - 1);
    close(fd);
    if (n <= 0)
        return 0;
    buf[n] = '\0';
    p = strrchr(buf, ')'); /* the name may contain anything */
    if (!p || p[1] != ' ' || p[2] == 'Z')
        return 0;
    for (int field = 2; *p && field < 22; p++)
        field += *p == ' ';
    t = strtoull(p, NULL, 10);
    return t;
}

struct process_id process_identify(pid_t pid)
{
    return (struct process_id){pid, process_start_time(pid)};
}

bool process_alive(const struct process_id *p)
{
    return p->pid > 0 && p->start_time && process_start_time(p->pid) == p->start_time;
}

int process_kill(const struct process_id *p, const char *what, struct err *e)
{
    struct pollfd poll_fd = {.events = POLLIN};

    if (!process_alive(p))
        return 0;
    poll_fd.fd = pidfd_open(p->pid, 0);
    if (poll_fd.fd < 0)
        return errno == ESRCH ? 0 : err_errno(e, errno, "pidfd of the %s", what);
    /* The pid may have been reused between the look and the open. */
    if (process_alive(p)) {
        if (pidfd_send_signal(poll_fd.fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH) {
            (void)err_errno(e, errno, "cannot kill the %s", what);
            close(poll_fd.fd);
            return -1;
        }
        (void)poll(&poll_fd, 1, 10000); /* one that does not die in 10 s is the host's problem */
    }
    close(poll_fd.fd);
    return 0;
}

void container_stamp(struct container *c)
{
    struct timespec now;
    struct tm tm;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    n = strftime(c->created, sizeof(c->created), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
    snprintf(c->created + n, sizeof(c->created) - n, ".%09ldZ", now.tv_nsec);
}

/* ---- the control socket ---------------------------------------------------------------------- */

/* sun_path is short and ROOT may be long: address the socket through a descriptor of its directory.
 */
static int socket_address(const char *id, struct sockaddr_un *addr, struct err *e)
{
    char path[4096];
    int dir;

    path_of(id, NULL, path, sizeof(path));
    dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? err_set(e, "container does not exist: %s", id)
                               : err_errno(e, errno, "cannot open %s", path);
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/control.sock", dir);
    return dir;
}

int container_listen(const char *id, struct err *e)
{
    struct sockaddr_un addr;
    int dir = socket_address(id, &addr, e), fd;

    if (dir < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 16) < 0) {
        (void)err_errno(e, errno, "control socket of %s", id);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    close(dir);
    return fd;
}

int container_connect(const struct container *c, struct err *e)
{
    struct sockaddr_un addr;
    int dir = socket_address(c->sandbox, &addr, e), fd;

    if (dir < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        if (errno == ECONNREFUSED || errno == ENOENT)
            (void)err_set(e, "container not running: %s", c->id);
        else
            (void)err_errno(e, errno, "control socket of %s", c->id);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    close(dir);
    return fd;
}

json_t *container_request(const struct container *c, json_t *request, struct err *e)
{
    int fd = container_connect(c, e);
    json_t *reply;

    if (fd < 0) {
        json_decref(request);
        return NULL;
    }
    json_object_set_new(request, "id", json_string(c->id));
    reply = control_call(fd, request, e);
    close(fd);
    return reply;
}

/* ---- status ---------------------------------------------------------------------------------- */

static const char *const g_live_status[] = {"created", "running", "paused"};

/* What the sentry says; a sentry that does not answer in time is not asked again. */
static const char *ask_sentry(const struct container *c)
{
    const char *status = c->phase == CONTAINER_STARTED ? "running" : "created";
    const struct timeval patience = {.tv_sec = 2};
    struct err ignored = {0};
    int fd = container_connect(c, &ignored);
    json_t *reply;

    if (fd < 0)
        return process_alive(&c->proxy) ? status : "stopped";
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    reply = control_call(fd, json_pack("{s:s, s:s}", "op", "state", "id", c->id), &ignored);
    close(fd);
    if (!reply)
        return process_alive(&c->proxy) ? status : "stopped";
    for (size_t i = 0; i < ARRAY_COUNT(g_live_status); i++) {
        if (!strcmp(json_get_string(reply, "status", ""), g_live_status[i]))
            status = g_live_status[i];
    }
    json_decref(reply);
    return status;
}

const char *container_status(const struct container *c)
{
    if (c->phase == CONTAINER_CREATING)
        return process_alive(&c->creator) ? "creating" : "stopped";
    return process_alive(&c->proxy) ? ask_sentry(c) : "stopped";
}

bool container_is(const struct container *c, const char *status)
{
    return !strcmp(container_status(c), status);
}

int container_exit_file(const char *id, struct err *e)
{
    char path[4096];
    int fd;

    path_of(id, "exit", path, sizeof(path));
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd < 0 ? err_errno(e, errno, "cannot make %s", path) : fd;
}

int container_exit_code(const char *id)
{
    char path[4096], text[16] = "";
    ssize_t n;
    int fd;

    path_of(id, "exit", path, sizeof(path));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    return n > 0 ? atoi(text) : -1;
}

json_t *container_oci_state(const struct container *c, const char *status)
{
    bool alive;
    json_t *v;

    if (!status)
        status = container_status(c);
    alive = strcmp(status, "stopped") && c->proxy.pid > 0;
    v = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:O*, s:s}", "ociVersion", "1.0.2-dev", "id",
                  c->id, "pid", alive ? (int)c->proxy.pid : 0, "status", status, "bundle",
                  c->bundle, "rootfs", c->rootfs, "created", c->created, "annotations",
                  c->annotations, "owner", "");
    return v;
}
