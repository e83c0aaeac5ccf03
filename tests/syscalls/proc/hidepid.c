/* SPDX-License-Identifier: Apache-2.0 */
/* procfs's mount options: who sees whose processes, and what else. proc(5). systemd's ProtectProc= and ProcSubset=. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>

/* Each case in a child: pid 1 of a pid namespace, of root, which an ordinary user looks for. */
static const char *g_options;
static void (*g_look)(void);

static int numbers_and_names(bool numbers)
{
    DIR *d = opendir("p");
    struct dirent *e;
    int n = 0;

    if (!d)
        return -1;
    while ((e = readdir(d)))
        n += e->d_name[0] != '.' && (e->d_name[0] >= '0' && e->d_name[0] <= '9') == numbers;
    closedir(d);
    return n;
}

static void look(void)
{
    REQUIRE(chdir("/tmp") == 0);
    REQUIRE(setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0);
    REQUIRE(setresuid(65534, 65534, 65534) == 0);
    g_look();
}

static void as_first(void)
{
    struct stat st;

    REQUIRE(mount("proc", "p", "proc", 0, g_options) == 0);
    CHECK_EQ(test_in_child(look), 0);
    CHECK_EQ(stat("p/1/status", &st), 0); /* root sees itself */
}

static bool begin(void)
{
    return unshare(CLONE_NEWNS | CLONE_NEWPID) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void in_new_namespace(void)
{
    REQUIRE(begin());
    REQUIRE(mount("t", "/tmp", "tmpfs", 0, "") == 0);
    REQUIRE(chdir("/tmp") == 0 && mkdir("p", 0755) == 0);
    CHECK_EQ(test_in_child(as_first), 0);
}

static void with(const char *options, void (*look_there)(void))
{
    g_options = options;
    g_look = look_there;
    CHECK_EQ(test_in_child(in_new_namespace), 0);
}

static bool shown_as(const char *options)
{
    char line[512];
    FILE *f = fopen("/proc/self/mounts", "r");
    bool found = false;

    if (!f)
        return false;
    while (fgets(line, sizeof(line), f)) {
        if (!strncmp(line, "proc /tmp/p proc ", 17)) {
            found = strstr(line, options) != NULL;
            if (!found)
                test_say("%s", line);
        }
    }
    fclose(f);
    return found;
}

static void sees_all(void)
{
    struct stat st;

    CHECK(numbers_and_names(true) >= 2);
    CHECK(numbers_and_names(false) > 10);
    CHECK_EQ(stat("p/1", &st), 0);
    CHECK_EQ(access("p/1/status", R_OK), 0);
}

static void may_not_look_into(void)
{
    struct stat st;

    CHECK(shown_as("relatime,hidepid=noaccess 0 0"));
    CHECK(numbers_and_names(true) >= 2);
    CHECK_EQ(stat("p/1", &st), 0);
    CHECK_ERR(open("p/1", O_RDONLY | O_DIRECTORY), EPERM);
    CHECK_ERR(stat("p/1/status", &st), EPERM);
    CHECK_EQ(stat("p/self/status", &st), 0);
}

static void sees_its_own(void)
{
    struct stat st;

    CHECK_EQ(numbers_and_names(true), 1);
    CHECK_ERR(stat("p/1", &st), ENOENT);
    CHECK_ERR(open("p/1", O_RDONLY | O_DIRECTORY), ENOENT);
    CHECK_ERR(stat("p/1/status", &st), ENOENT);
    CHECK_EQ(stat("p/self/status", &st), 0);
    CHECK_EQ(kill(1, 0), -1);
    CHECK_EQ(errno, EPERM); /* hidden from the file system only */
}

static void invisible(void)
{
    CHECK(shown_as("relatime,hidepid=invisible 0 0"));
    sees_its_own();
}

static void only_traceable(void)
{
    CHECK(shown_as("relatime,gid=65534,hidepid=ptraceable 0 0"));
    sees_its_own();
}

static void of_the_group(void)
{
    CHECK(shown_as("relatime,gid=65534,hidepid=invisible 0 0"));
    sees_all();
}

static void processes_only(void)
{
    struct stat st;

    CHECK(shown_as("relatime,subset=pid 0 0"));
    CHECK(numbers_and_names(true) >= 2);
    CHECK_EQ(numbers_and_names(false), 2);
    CHECK_ERR(stat("p/sys", &st), ENOENT);
    CHECK_ERR(stat("p/uptime", &st), ENOENT);
    CHECK_EQ(lstat("p/thread-self", &st), 0);
}

TEST(hidepid)
{
    if (geteuid() != 0)
        SKIP("needs root");
    with("", sees_all);
    with("hidepid=0", sees_all);
    with("hidepid=1", may_not_look_into);
    with("hidepid=noaccess", may_not_look_into);
    with("hidepid=2", invisible);
    with("hidepid=invisible", invisible);
    with("gid=65534,hidepid=2", of_the_group);
    with("hidepid=4,gid=65534", only_traceable);
    with("subset=pid", processes_only);
}

static void refused(void)
{
    static const char *const options[] = {"hidepid=3", "hidepid=5",  "hidepid=x",
                                          "hidepid",   "hidepid=",   "gid=x",
                                          "gid=-1",    "subset=sys", "nonsense"};

    REQUIRE(begin() && mount("t", "/tmp", "tmpfs", 0, "") == 0);
    REQUIRE(chdir("/tmp") == 0 && mkdir("p", 0755) == 0);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        CHECK_ERR(mount("proc", "p", "proc", 0, options[i]), EINVAL);
    REQUIRE(mount("proc", "p", "proc", 0, NULL) == 0);
    CHECK_EQ(mount(NULL, "p", NULL, MS_REMOUNT, "hidepid=2,gid=7"), 0);
    CHECK(shown_as("gid=7,hidepid=invisible 0 0"));
    CHECK_EQ(mount(NULL, "p", NULL, MS_REMOUNT, "hidepid=0"), 0);
    CHECK(shown_as("relatime,gid=7 0 0"));
    CHECK_ERR(mount(NULL, "p", NULL, MS_REMOUNT, "hidepid=7"), EINVAL);
}

TEST(options)
{
    if (geteuid() != 0)
        SKIP("needs root");
    CHECK_EQ(test_in_child(refused), 0);
}

GUEST_TEST_MAIN
