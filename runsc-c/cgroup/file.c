/* SPDX-License-Identifier: Apache-2.0 */
/* The small files of a cgroup directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup_internal.h"

static int open_file(const char *dir, const char *file, int flags)
{
    char path[4352];
    int n, fd;

    if (!dir)
        return -ENOENT;
    n = snprintf(path, sizeof(path), "%s/%s", dir, file);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int cgroup_write(const char *dir, const char *file, const char *text)
{
    int fd = open_file(dir, file, O_WRONLY), ret = 0;
    ssize_t n;

    if (fd < 0)
        return fd;
    do {
        n = write(fd, text, strlen(text));
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        ret = -errno;
    close(fd);
    return ret;
}

int cgroup_write_int(const char *dir, const char *file, int64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)value);
    return cgroup_write(dir, file, text);
}

int cgroup_read(const char *dir, const char *file, char *buf, size_t size)
{
    int fd = open_file(dir, file, O_RDONLY);
    ssize_t n;

    if (fd < 0)
        return fd;
    n = read(fd, buf, size - 1);
    if (n < 0)
        n = -errno;
    close(fd);
    if (n < 0)
        return (int)n;
    if (n > 0 && buf[n - 1] == '\n')
        n--;
    buf[n] = '\0';
    return 0;
}

char *cgroup_read_all(const char *dir, const char *file)
{
    int fd = open_file(dir, file, O_RDONLY);
    size_t size = 0, cap = 4096;
    char *buf = fd < 0 ? NULL : malloc(cap);
    ssize_t n;

    while (buf && (n = read(fd, buf + size, cap - size - 1)) > 0) {
        size += (size_t)n;
        if (cap - size < 1024) {
            char *grown = realloc(buf, cap *= 2);

            if (!grown) {
                free(buf);
                buf = NULL;
                break;
            }
            buf = grown;
        }
    }
    if (buf)
        buf[size] = '\0';
    if (fd >= 0)
        close(fd);
    return buf;
}

static uint64_t parse_u64(const char *text, uint64_t fallback)
{
    char *end;
    unsigned long long v;

    if (!strncmp(text, "max", 3))
        return UINT64_MAX;
    if (*text == '-') /* -1: no limit */
        return UINT64_MAX;
    errno = 0;
    v = strtoull(text, &end, 10);
    return end == text || errno ? fallback : v;
}

uint64_t cgroup_read_u64(const char *dir, const char *file, uint64_t fallback)
{
    char buf[64];

    return cgroup_read(dir, file, buf, sizeof(buf)) < 0 ? fallback : parse_u64(buf, fallback);
}

uint64_t cgroup_read_key(const char *dir, const char *file, const char *key, uint64_t fallback)
{
    char *all = cgroup_read_all(dir, file), *save = NULL, *line;
    size_t len = strlen(key);
    uint64_t v = fallback;

    for (line = all ? strtok_r(all, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
        if (!strncmp(line, key, len) && line[len] == ' ') {
            v = parse_u64(line + len + 1, fallback);
            break;
        }
    }
    free(all);
    return v;
}

bool cgroup_file_exists(const char *dir, const char *file)
{
    char path[4352];

    if (!dir)
        return false;
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    return access(path, F_OK) == 0;
}

int cgroup_set(const char *dir, const char *file, const char *text, struct err *e)
{
    int ret = cgroup_write(dir, file, text);

    if (ret < 0)
        return err_errno(e, -ret, "failed to write \"%s\": write %s/%s", text, dir, file);
    return 0;
}

int cgroup_set_int(const char *dir, const char *file, int64_t value, struct err *e)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)value);
    return cgroup_set(dir, file, text, e);
}
