/* SPDX-License-Identifier: Apache-2.0 */
/* Host cgroups: on the real ones where this process may make some (root), and the v2 conversions on plain files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup_internal.h"

static char g_path[128];

#ifdef __SANITIZE_THREAD__
enum { SLEEPER_THREADS = 2 }; /* its runtime has one of its own */
#else
enum { SLEEPER_THREADS = 1 };
#endif

static bool usable(void)
{
    struct cgroup_config c = {.id = "probe", .path = g_path};
    struct cgroup *cg;
    struct err e = {0};
    bool ok;

    snprintf(g_path, sizeof(g_path), "/runsc-c-unit-%d/a", getpid());
    if (cgroup_create(&c, &cg, &e) < 0)
        return false;
    ok = cgroup_dir(cg, "memory") || cgroup_dir(cg, "");
    assert_int_equal(cgroup_delete(cg, &e), 0);
    cgroup_free(cg);
    return ok;
}

/* The parents that cgroup_create made are the test's to remove. */
static void remove_parents(struct cgroup *cg)
{
    for (size_t i = 0; i < cg->count; i++) {
        char parent[4096];

        snprintf(parent, sizeof(parent), "%s", cg->dirs[i].path);
        *strrchr(parent, '/') = '\0';
        rmdir(parent);
    }
}

static pid_t sleeper(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static void test_life(void **state)
{
    struct cgroup_config c = {.id = "x", .path = g_path};
    struct cgroup *cg, *again;
    struct err e = {0};
    json_t *saved, *stats;
    pid_t pid, *pids;
    size_t count;

    (void)state;
    if (!usable())
        skip();
    if (cgroup_create(&c, &cg, &e) < 0)
        fail_msg("%s", e.msg);
    pid = sleeper();
    if (cgroup_join(cg, pid, &e) < 0)
        fail_msg("%s", e.msg);
    saved = cgroup_save(cg);
    assert_int_equal(cgroup_load(saved, &again, &e), 0);
    json_decref(saved);
    assert_int_equal(cgroup_pids(again, &pids, &count, &e), 0);
    assert_int_equal(count, 1);
    assert_int_equal(pids[0], pid);
    free(pids);
    assert_false(cgroup_frozen(again));
    if (cgroup_freeze(again, true, &e) < 0)
        fail_msg("%s", e.msg);
    assert_true(cgroup_frozen(again));
    if (cgroup_freeze(again, false, &e) < 0)
        fail_msg("%s", e.msg);
    assert_false(cgroup_frozen(again));
    assert_int_equal(cgroup_stats(again, &stats, &e), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(stats, "pids"), "current")),
                     SLEEPER_THREADS);
    assert_non_null(json_object_get(json_object_get(stats, "cpu"), "usage"));
    assert_non_null(json_object_get(json_object_get(stats, "memory"), "usage"));
    json_decref(stats);
    /* Frozen processes die too. */
    assert_int_equal(cgroup_freeze(again, true, &e), 0);
    if (fork() == 0) {
        waitpid(pid, NULL, 0);
        _exit(0);
    }
    signal(SIGCHLD, SIG_IGN);
    if (cgroup_kill(again, &e) < 0)
        fail_msg("%s", e.msg);
    signal(SIGCHLD, SIG_DFL);
    if (cgroup_delete(again, &e) < 0)
        fail_msg("%s", e.msg);
    for (size_t i = 0; i < cg->count; i++)
        assert_int_not_equal(access(cg->dirs[i].path, F_OK), 0);
    assert_int_equal(cgroup_delete(again, &e), 0);
    remove_parents(cg);
    cgroup_free(cg);
    cgroup_free(again);
}

/* Where a process has been killed and is not gone yet, delete waits; where one lives it does not. */
static void test_delete_waits(void **state)
{
    struct cgroup_config c = {.id = "x", .path = g_path};
    struct err e = {0};
    struct cgroup *cg;
    pid_t pid, helper;

    (void)state;
    if (!usable())
        skip();
    assert_int_equal(cgroup_create(&c, &cg, &e), 0);
    pid = sleeper();
    assert_int_equal(cgroup_join(cg, pid, &e), 0);
    assert_int_equal(cgroup_delete(cg, &e), -1);
    assert_non_null(strstr(e.msg, "unable to remove cgroup"));
    /* v1: one that is frozen does not die of SIGKILL until it is thawed. */
    assert_int_equal(cgroup_freeze(cg, true, &e), 0);
    kill(pid, SIGKILL);
    helper = fork();
    if (helper == 0) {
        sleep(2);
        _exit(cgroup_freeze(cg, false, &e) < 0);
    }
    signal(SIGCHLD, SIG_IGN);
    if (cgroup_delete(cg, &e) < 0)
        fail_msg("%s", e.msg);
    signal(SIGCHLD, SIG_DFL);
    remove_parents(cg);
    cgroup_free(cg);
}

static void test_resources(void **state)
{
    struct cgroup_config c = {.id = "x", .path = g_path};
    struct err e = {0};
    struct cgroup *cg;
    json_t *r;

    (void)state;
    if (!usable())
        skip();
    assert_int_equal(cgroup_create(&c, &cg, &e), 0);
    r = json_loads("{\"memory\":{\"limit\":33554432,\"reservation\":16777216},"
                   "\"cpu\":{\"shares\":512,\"quota\":50000,\"period\":100000},"
                   "\"pids\":{\"limit\":33},\"blockIO\":{\"weight\":0}}",
                   0, NULL);
    if (cgroup_apply(cg, r, &e) < 0)
        fail_msg("%s", e.msg);
    json_decref(r);
    if (!cg->unified) {
        const char *memory = cgroup_dir(cg, "memory"), *cpu = cgroup_dir(cg, "cpu");

        assert_int_equal(cgroup_read_u64(memory, "memory.limit_in_bytes", 0), 33554432);
        assert_int_equal(cgroup_read_u64(memory, "memory.soft_limit_in_bytes", 0), 16777216);
        assert_int_equal(cgroup_read_u64(cpu, "cpu.shares", 0), 512);
        assert_int_equal(cgroup_read_u64(cpu, "cpu.cfs_quota_us", 0), 50000);
        assert_int_equal(cgroup_read_u64(cgroup_dir(cg, "pids"), "pids.max", 0), 33);
        /* Raising and lowering. */
        r = json_loads("{\"memory\":{\"limit\":67108864},\"pids\":{\"limit\":-1},"
                       "\"cpu\":{\"quota\":2000,\"period\":10000}}",
                       0, NULL);
        assert_int_equal(cgroup_apply(cg, r, &e), 0);
        json_decref(r);
        assert_int_equal(cgroup_read_u64(memory, "memory.limit_in_bytes", 0), 67108864);
        assert_true(cgroup_read_u64(cgroup_dir(cg, "pids"), "pids.max", 0) == UINT64_MAX);
        assert_int_equal(cgroup_read_u64(cpu, "cpu.cfs_period_us", 0), 10000);
        r = json_loads("{\"cpu\":{\"shares\":1}}", 0, NULL);
        assert_int_equal(cgroup_apply(cg, r, &e), -1);
        assert_non_null(strstr(e.msg, "the minimum allowed cpu-shares is 2"));
        json_decref(r);
        r = json_loads("{\"unified\":{\"memory.high\":\"1\"}}", 0, NULL);
        assert_int_equal(cgroup_apply(cg, r, &e), -1);
        json_decref(r);
        r = json_loads("{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,"
                       "\"type\":\"c\",\"major\":10,\"minor\":229,\"access\":\"rw\"}]}",
                       0, NULL);
        assert_int_equal(cgroup_apply(cg, r, &e), 0);
        json_decref(r);
        if (cgroup_dir(cg, "devices")) {
            char *list = cgroup_read_all(cgroup_dir(cg, "devices"), "devices.list");

            assert_null(strstr(list, "a *:*"));
            assert_non_null(strstr(list, "c 10:229 rw"));
            assert_non_null(strstr(list, "c 1:3 rwm"));
            free(list);
        }
    }
    assert_int_equal(cgroup_delete(cg, &e), 0);
    remove_parents(cg);
    cgroup_free(cg);
}

static void eat_memory(void)
{
    size_t size = 128u << 20;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
    _exit(0);
}

static void test_oom(void **state)
{
    struct cgroup_config c = {.id = "x", .path = g_path};
    struct err e = {0};
    struct cgroup *cg;
    struct pollfd pfd;
    json_t *r;
    int go[2], status, fd;
    pid_t pid;
    char byte;

    (void)state;
    if (!usable())
        skip();
    assert_int_equal(cgroup_create(&c, &cg, &e), 0);
    r = json_loads("{\"memory\":{\"limit\":16777216}}", 0, NULL);
    assert_int_equal(cgroup_apply(cg, r, &e), 0);
    json_decref(r);
    fd = cgroup_oom_open(cg, &e);
    if (fd < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(pipe(go), 0);
    pid = fork();
    if (pid == 0) {
        if (read(go[0], &byte, 1) == 1)
            eat_memory();
        _exit(1);
    }
    assert_int_equal(cgroup_join(cg, pid, &e), 0);
    assert_int_equal(write(go[1], "g", 1), 1);
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    pfd = (struct pollfd){.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&pfd, 1, 20000), 1);
    assert_true(cgroup_oom_read(cg, fd));
    assert_true(cgroup_oom_kills(cg) >= 1);
    assert_int_equal(cgroup_delete(cg, &e), 0);
    /* The end of the cgroup is no OOM. */
    if (!cg->unified && poll(&pfd, 1, 1000) == 1)
        assert_false(cgroup_oom_read(cg, fd));
    close(fd);
    close(go[0]);
    close(go[1]);
    remove_parents(cg);
    cgroup_free(cg);
}

/* In every hierarchy, before it is let go, and without anybody having moved it. */
static void test_door(void **state)
{
    struct cgroup_config c = {.id = "x", .path = g_path};
    struct cgroup *cg;
    struct cgroup_door *door;
    struct err e = {0};
    int ready[2];
    char byte;
    pid_t pid;

    (void)state;
    if (!usable())
        skip();
    assert_int_equal(cgroup_create(&c, &cg, &e), 0);
    assert_int_equal(cgroup_door_open(cg, &door, &e), 0);
    assert_int_equal(pipe(ready), 0);
    pid = cgroup_door_clone(door, 0);
    if (pid == 0) {
        byte = (char)-cgroup_door_enter(door);
        (void)!write(ready[1], &byte, 1);
        pause();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 0);
    for (size_t i = 0; i < cg->count; i++) {
        char text[64];

        if (cg->dirs[i].path) {
            assert_int_equal(cgroup_read(cg->dirs[i].path, "cgroup.procs", text, sizeof(text)), 0);
            assert_int_equal(atoi(text), pid);
        }
    }
    assert_int_equal(cgroup_door_admit(door, pid, &e), 0);
    cgroup_door_close(door);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    /* Without a cgroup it is only a clone. */
    pid = cgroup_door_clone(NULL, 0);
    if (pid == 0)
        _exit(cgroup_door_enter(NULL));
    assert_int_equal(cgroup_door_admit(NULL, pid, &e), 0);
    waitpid(pid, NULL, 0);
    assert_int_equal(cgroup_delete(cg, &e), 0);
    close(ready[0]);
    close(ready[1]);
    remove_parents(cg);
    cgroup_free(cg);
}

static void test_paths(void **state)
{
    struct cgroup_config c = {.id = "x", .path = "/"};
    struct cgroup *cg;
    struct err e = {0};

    (void)state;
    assert_int_equal(cgroup_create(&c, &cg, &e), -1);
    c.path = "../..";
    assert_int_equal(cgroup_create(&c, &cg, &e), -1);
    c.systemd = true;
    c.path = "a:b:c";
    if (!cgroup_systemd_running()) {
        e = (struct err){0};
        assert_int_equal(cgroup_create(&c, &cg, &e), -1);
        assert_non_null(strstr(e.msg, "systemd not running on this host"));
    }
}

static void test_slices(void **state)
{
    static const struct {
        const char *slice, *path;
    } rows[] = {
        {"system.slice", "system.slice"},
        {"a-b.slice", "a.slice/a-b.slice"},
        {"a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice"},
        {"-.slice", ""},
        {"a--b.slice", NULL},
        {"-a.slice", NULL},
        {"a-.slice", NULL},
        {"a/b.slice", NULL},
        {".slice", NULL},
        {"a", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *path = cgroup_systemd_slice_path(rows[i].slice);

        if (rows[i].path)
            assert_string_equal(path, rows[i].path);
        else
            assert_null(path);
        free(path);
    }
}

static void check_file(const char *dir, const char *file, const char *want)
{
    char text[128];

    assert_int_equal(cgroup_read(dir, file, text, sizeof(text)), 0);
    assert_string_equal(text, want);
}

/* Plain files in place of a v2 tree: what would be written. */
static void test_v2_conversion(void **state)
{
    static const char *const files[] = {
        "memory.max", "memory.swap.max", "memory.low", "cpu.weight",  "cpu.max",
        "pids.max",   "io.weight",       "io.max",     "memory.high", "cpuset.cpus"};
    char dir[] = "/tmp/runsc-c-unit-v2.XXXXXX", path[256];
    struct err e = {0};
    struct cgroup *cg;
    json_t *r, *saved;

    (void)state;
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    saved =
        json_pack("{s:[{s:s, s:s}], s:b}", "dirs", "controllers", "", "path", dir, "unified", 1);
    assert_int_equal(cgroup_load(saved, &cg, &e), 0);
    json_decref(saved);
    r = json_loads(
        "{\"memory\":{\"limit\":100000000,\"swap\":150000000,\"reservation\":5000000},"
        "\"cpu\":{\"shares\":1024,\"quota\":20000,\"cpus\":\"0-1\"},\"pids\":{\"limit\":-1},"
        "\"blockIO\":{\"weight\":500,\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,"
        "\"rate\":1048576}]},\"unified\":{\"memory.high\":\"90000000\"}}",
        0, NULL);
    if (cgroup_apply(cg, r, &e) < 0)
        fail_msg("%s", e.msg);
    json_decref(r);
    check_file(dir, "memory.max", "100000000");
    check_file(dir, "memory.swap.max", "50000000");
    check_file(dir, "memory.low", "5000000");
    check_file(dir, "memory.high", "90000000");
    check_file(dir, "cpu.weight", "39");
    check_file(dir, "cpu.max", "20000 100000");
    check_file(dir, "cpuset.cpus", "0-1");
    check_file(dir, "pids.max", "max");
    check_file(dir, "io.weight", "4950");
    check_file(dir, "io.max", "8:0 rbps=1048576");
    r = json_loads("{\"memory\":{\"limit\":100,\"swap\":50}}", 0, NULL);
    assert_int_equal(cgroup_apply(cg, r, &e), -1);
    json_decref(r);
    r = json_loads("{\"unified\":{\"../x\":\"1\"}}", 0, NULL);
    assert_int_equal(cgroup_apply(cg, r, &e), -1);
    json_decref(r);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
    cgroup_free(cg);
}

/* Nothing could be made: no limits work, limits are refused in runc's words. */
static void test_rootless(void **state)
{
    struct err e = {0};
    struct cgroup *cg;
    json_t *saved =
        json_pack("{s:[{s:s, s:n}], s:b}", "dirs", "controllers", "memory", "path", "rootless", 1);
    json_t *r = json_loads("{\"memory\":{\"limit\":100000000}}", 0, NULL), *none = json_object();

    (void)state;
    assert_int_equal(cgroup_load(saved, &cg, &e), 0);
    assert_int_equal(cgroup_join(cg, getpid(), &e), 0);
    assert_int_equal(cgroup_apply(cg, none, &e), 0);
    assert_int_equal(cgroup_apply(cg, r, &e), -1);
    assert_non_null(
        strstr(e.msg, "cannot set memory limit: container could not join or create cgroup"));
    assert_int_equal(cgroup_delete(cg, &e), 0);
    cgroup_free(cg);
    assert_int_equal(cgroup_load(NULL, &cg, &e), 0);
    assert_int_equal(cgroup_apply(cg, r, &e), 0);
    assert_int_equal(cgroup_delete(cg, &e), 0);
    cgroup_free(cg);
    json_decref(saved);
    json_decref(r);
    json_decref(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),      cmocka_unit_test(test_delete_waits),
        cmocka_unit_test(test_resources), cmocka_unit_test(test_oom),
        cmocka_unit_test(test_door),      cmocka_unit_test(test_paths),
        cmocka_unit_test(test_slices),    cmocka_unit_test(test_v2_conversion),
        cmocka_unit_test(test_rootless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
