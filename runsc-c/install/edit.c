/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runsc-c/install/install.h"

char *install_path(const struct install_request *rq, const char *path)
{
    char *out;

    return asprintf(&out, "%s%s", rq->prefix, path) < 0 ? NULL : out;
}

int install_read(const char *path, char **out, struct err *e)
{
    FILE *f = fopen(path, "re");
    size_t size = 0, got;
    char *text = NULL, *grown;

    *out = NULL;
    if (!f)
        return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(e, errno, "%s", path);
    do {
        grown = realloc(text, size + 65537);
        if (!grown) {
            free(text);
            fclose(f);
            return err_errno(e, ENOMEM, "%s", path);
        }
        text = grown;
        got = fread(text + size, 1, 65536, f);
        size += got;
    } while (got > 0);
    text[size] = '\0';
    if (ferror(f) || strlen(text) != size) {
        free(text);
        fclose(f);
        return err_set(e, "%s: cannot be read as text", path);
    }
    fclose(f);
    *out = text;
    return 0;
}

static int make_parents(const char *path, struct err *e)
{
    char dir[4096];

    snprintf(dir, sizeof(dir), "%s", path);
    for (char *p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
            return err_errno(e, errno, "mkdir %s", dir);
        *p = '/';
    }
    return 0;
}

static int write_file(const char *path, const char *text, const struct stat *like, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), ret = 0;
    size_t size = strlen(text);

    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    if (write(fd, text, size) != (ssize_t)size || fsync(fd) < 0 ||
        fchmod(fd, like ? like->st_mode & 07777 : 0644) < 0 ||
        (like && (like->st_uid != geteuid() || like->st_gid != getegid()) &&
         fchown(fd, like->st_uid, like->st_gid) < 0))
        ret = err_errno(e, errno, "%s", path);
    if (close(fd) < 0 && ret == 0)
        ret = err_errno(e, errno, "%s", path);
    return ret;
}

/* The first change keeps what was there; later ones do not overwrite that. */
static int keep_backup(const char *path, const struct stat *st, struct err *e)
{
    char backup[4200], *old;
    int ret;

    snprintf(backup, sizeof(backup), "%s.runsc-c.bak", path);
    if (access(backup, F_OK) == 0)
        return 0;
    ret = install_read(path, &old, e);
    if (ret == 0 && old)
        ret = write_file(backup, old, st, e);
    free(old);
    return ret;
}

int install_write(const struct install_request *rq, const char *path, const char *text,
                  struct err *e)
{
    char real[4096], tmp[4200];
    struct stat st;
    bool exists;

    /* A link stays a link: what it points to is edited. */
    if (!realpath(path, real))
        snprintf(real, sizeof(real), "%s", path);
    exists = stat(real, &st) == 0;
    printf("%s %s\n",
           !text    ? (rq->dry_run ? "would remove" : "removed")
           : exists ? (rq->dry_run ? "would change" : "changed")
                    : (rq->dry_run ? "would write" : "wrote"),
           real);
    if (rq->dry_run) {
        if (text)
            printf("%s", text);
        return 0;
    }
    if (!text)
        return unlink(real) < 0 && errno != ENOENT ? err_errno(e, errno, "%s", real) : 0;
    if (make_parents(real, e) < 0 || (exists && keep_backup(real, &st, e) < 0))
        return -1;
    snprintf(tmp, sizeof(tmp), "%s.runsc-c.tmp", real);
    if (write_file(tmp, text, exists ? &st : NULL, e) < 0) {
        unlink(tmp);
        return -1;
    }
    if (rename(tmp, real) < 0) {
        (void)err_errno(e, errno, "%s", real);
        unlink(tmp);
        return -1;
    }
    return 0;
}
