/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and processes make, move, link, open and remove the same few names at once; afterwards
 * the tree must still add up. */
#include <pthread.h>
#include <sys/mman.h>

#include "tests/support/guest_test.h"

#define DIRS    4
#define NAMES   5
#define WORKERS 6
#define ROUNDS  1500

static void random_name(unsigned *seed, char *out, size_t size)
{
    int depth = rand_r(seed) % 3, i, used = 0;

    for (i = 0; i < depth; i++)
        used += snprintf(out + used, size - (size_t)used, "d%d/", rand_r(seed) % DIRS);
    snprintf(out + used, size - (size_t)used, "n%d", rand_r(seed) % NAMES);
}

static void one_step(unsigned *seed)
{
    char a[64], b[64], buf[512];
    struct stat st;
    int fd;

    random_name(seed, a, sizeof(a));
    random_name(seed, b, sizeof(b));
    switch (rand_r(seed) % 12) {
    case 0:
        sys(SYS_mkdir, a, 0755);
        break;
    case 1:
        sys(SYS_rmdir, a);
        break;
    case 2:
    case 3:
        fd = (int)sys(SYS_open, a, O_CREAT | O_RDWR, 0644);
        if (fd >= 0) {
            sys(SYS_write, fd, "0123456789", 10L);
            sys(SYS_pread64, fd, buf, 10L, 0L);
            close(fd);
        }
        break;
    case 4:
        sys(SYS_unlink, a);
        break;
    case 5:
        sys(SYS_rename, a, b);
        break;
    case 6:
        sys(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2);
        break;
    case 7:
        sys(SYS_link, a, b);
        break;
    case 8:
        sys(SYS_symlink, b, a);
        break;
    case 9:
        snprintf(b, sizeof(b), "d%d", rand_r(seed) % DIRS);
        snprintf(a, sizeof(a), "d%d/d%d", rand_r(seed) % DIRS, rand_r(seed) % DIRS);
        sys(SYS_rename, a, b);
        sys(SYS_mkdir, b, 0755);
        sys(SYS_mkdir, a, 0755);
        break;
    case 10:
        fd = (int)sys(SYS_open, rand_r(seed) % 2 ? "." : "d1", O_RDONLY | O_DIRECTORY, 0);
        if (fd >= 0) {
            while (sys(SYS_getdents64, fd, buf, sizeof(buf)) > 0)
                ;
            close(fd);
        }
        break;
    default:
        sys(SYS_stat, a, &st);
        sys(SYS_truncate, a, (long)(rand_r(seed) % 10000));
        break;
    }
}

static void *worker(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    int i;

    for (i = 0; i < ROUNDS; i++)
        one_step(&seed);
    return NULL;
}

/* Counts entries; every name that is listed must be there. */
static int count_tree(const char *dir)
{
    char path[512];
    struct dirent *e;
    struct stat st;
    DIR *d = opendir(dir);
    int n = 0, subdirs = 0;

    CHECK(d != NULL);
    while (d && (e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        CHECK_EQ(lstat(path, &st), 0);
        n++;
        if (S_ISDIR(st.st_mode)) {
            subdirs++;
            n += count_tree(path);
        }
    }
    if (d)
        closedir(d);
    return n;
}

TEST(threads_and_processes)
{
    pthread_t t[WORKERS];
    int status, i;
    pid_t pid;

    test_tmpdir();
    for (i = 0; i < DIRS; i++) {
        char name[16];

        snprintf(name, sizeof(name), "d%d", i);
        CHECK_EQ(mkdir(name, 0755), 0);
    }
    pid = fork();
    for (i = 0; i < WORKERS / 2; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, worker, (void *)(uintptr_t)(i + 1 + (pid == 0) * 50)),
                 0);
    for (i = 0; i < WORKERS / 2; i++)
        pthread_join(t[i], NULL);
    if (pid == 0)
        _exit(0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK(count_tree(".") >= 0);
}

static int g_shared_fd;

static void *append(void *arg)
{
    char line[16];
    int i;

    memset(line, 'a' + (int)(uintptr_t)arg, sizeof(line));
    for (i = 0; i < 500; i++)
        CHECK_EQ(write(g_shared_fd, line, sizeof(line)), sizeof(line));
    return NULL;
}

/* One description, one position: no write is lost and none is torn. */
TEST(shared_position)
{
    pthread_t t[4];
    char line[16];
    int i, j;

    test_tmpdir();
    g_shared_fd = open("f", O_CREAT | O_RDWR, 0644);
    for (i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, append, (void *)(uintptr_t)i), 0);
    for (i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(lseek(g_shared_fd, 0, SEEK_END), 4 * 500 * 16);
    for (i = 0; i < 4 * 500; i++) {
        CHECK_EQ(pread(g_shared_fd, line, sizeof(line), i * 16), 16);
        for (j = 1; j < 16; j++)
            CHECK_EQ(line[j], line[0]);
    }
    close(g_shared_fd);
}

GUEST_TEST_MAIN
