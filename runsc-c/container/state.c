/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/container/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

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

    if (make_parents(g_options.root, e) < 0)
        return -1;
    path_of(id, NULL, path, sizeof(path));
    if (mkdir(path, 0711) == 0)
        return 0;
    if (errno == EEXIST)
        return err_set(e, "container with given ID already exists: %s", id);
    return err_errno(e, errno, "cannot make %s", path);
}

int container_remove_dir(const char *id, struct err *e)
{
    char path[4096];
    struct dirent *entry;
    DIR *dir;

    path_of(id, NULL, path, sizeof(path));
    dir = opendir(path);
    if (!dir)
        return err_errno(e, errno, "cannot open %s", path);
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    return rmdir(path) < 0 ? err_errno(e, errno, "cannot remove %s", path) : 0;
}

int container_save(const struct container *c, struct err *e)
{
    char path[4096];
    json_t *v = json_pack("{s:s, s:o, s:i, s:I, s:s, s:b}", "id", c->id, "bundle",
                          json_bytes(c->bundle), "pid", (int)c->pid, "startTime",
                          (json_int_t)c->start_time, "created", c->created, "started", c->started);
    int ret;

    if (!v)
        return err_errno(e, ENOMEM, "container state");
    if (c->annotations)
        json_object_set(v, "annotations", c->annotations);
    path_of(c->id, "state.json", path, sizeof(path));
    ret = json_save(v, path, e);
    json_decref(v);
    return ret;
}

int container_load(const char *id, struct container *out, struct err *e)
{
    char path[4096];
    json_error_t error;
    json_t *v;

    if (container_check_id(id, e) < 0)
        return -1;
    path_of(id, "state.json", path, sizeof(path));
    if (access(path, F_OK) < 0)
        return errno == ENOENT ? err_set(e, "container does not exist: %s", id)
                               : err_errno(e, errno, "cannot read %s", path);
    v = json_load_file(path, 0, &error);
    if (!v)
        return err_set(e, "%s:%d: %s", path, error.line, error.text);
    *out = (struct container){
        .pid = (pid_t)json_integer_value(json_object_get(v, "pid")),
        .start_time = (unsigned long long)json_integer_value(json_object_get(v, "startTime")),
        .started = json_is_true(json_object_get(v, "started")),
        .annotations = json_incref(json_object_get(v, "annotations")),
    };
    snprintf(out->id, sizeof(out->id), "%s", id);
    snprintf(out->bundle, sizeof(out->bundle), "%s", json_get_string(v, "bundle", ""));
    snprintf(out->created, sizeof(out->created), "%s", json_get_string(v, "created", ""));
    json_decref(v);
    return 0;
}

void container_destroy(struct container *c)
{
    json_decref(c->annotations);
    c->annotations = NULL;
}

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

void container_set_pid(struct container *c, pid_t pid)
{
    time_t now = time(NULL);
    struct tm tm;

    c->pid = pid;
    c->start_time = process_start_time(pid);
    strftime(c->created, sizeof(c->created), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
}

const char *container_status(const struct container *c)
{
    unsigned long long t = process_start_time(c->pid);

    if (!t || t != c->start_time)
        return "stopped";
    return c->started ? "running" : "created";
}

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

int container_connect(const char *id, struct err *e)
{
    struct sockaddr_un addr;
    int dir = socket_address(id, &addr, e), fd;

    if (dir < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        if (errno == ECONNREFUSED || errno == ENOENT)
            (void)err_set(e, "container not running: %s", id);
        else
            (void)err_errno(e, errno, "control socket of %s", id);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    close(dir);
    return fd;
}

json_t *container_oci_state(const struct container *c)
{
    const char *status = container_status(c);
    json_t *v = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s}", "ociVersion", "1.0.2-dev", "id", c->id,
                          "status", status, "pid", strcmp(status, "stopped") ? (int)c->pid : 0,
                          "bundle", c->bundle, "created", c->created);

    if (v && c->annotations)
        json_object_set(v, "annotations", c->annotations);
    return v;
}
