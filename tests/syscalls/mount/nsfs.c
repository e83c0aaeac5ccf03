/* SPDX-License-Identifier: Apache-2.0 */
/* A namespace that is bound to a name, as "ip netns add" does: it is a mount of nsfs. */
#include <sched.h>
#include <sys/mount.h>

#include "tests/support/guest_test.h"

/* The line of mountinfo that has needle, or "". */
static const char *mountinfo_line(const char *needle)
{
    static char line[4096];
    FILE *f = fopen("/proc/self/mountinfo", "r");

    while (f && fgets(line, sizeof(line), f)) {
        if (strstr(line, needle)) {
            fclose(f);
            return line;
        }
    }
    if (f)
        fclose(f);
    return "";
}

static const char *link_text(const char *name)
{
    static char text[4096];
    ssize_t len = readlink(name, text, sizeof(text) - 1);

    text[len < 0 ? 0 : len] = '\0';
    return text;
}

static void check_bound(const char *kind, int flag)
{
    char ns[64], dir[2048], file[2200], want[128], shown[64];
    const char *line;
    int fd;

    snprintf(ns, sizeof(ns), "/proc/self/ns/%s", kind);
    snprintf(file, sizeof(file), "%s/bound-%s", getcwd(dir, sizeof(dir)), kind);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    REQUIRE(unshare(flag) == 0);
    REQUIRE(mount(ns, file, NULL, MS_BIND, NULL) == 0);
    line = mountinfo_line(file);
    snprintf(want, sizeof(want), " %s /", link_text(ns));
    CHECK(strstr(line, want) != NULL);
    CHECK(strstr(line, " - nsfs nsfs rw") != NULL);

    /* A descriptor for it has the name that it is bound to. */
    fd = open(file, O_RDONLY);
    snprintf(shown, sizeof(shown), "/proc/self/fd/%d", fd);
    CHECK_STR(link_text(shown), file);

    /* It stays when nobody is in it, and may be joined. */
    CHECK_EQ(unshare(flag), 0);
    CHECK(strstr(line, link_text(ns)) == NULL);
    CHECK_EQ(setns(fd, flag), 0);
    CHECK(strstr(line, link_text(ns)) != NULL);
    close(fd);
    CHECK_EQ(umount2(file, MNT_DETACH), 0);
    CHECK_EQ(unlink(file), 0);
}

TEST(bound_namespaces_are_listed)
{
    test_tmpdir();
    if (unshare(CLONE_NEWNS) != 0)
        SKIP("may not unshare");
    REQUIRE(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    check_bound("uts", CLONE_NEWUTS);
    check_bound("net", CLONE_NEWNET);
    check_bound("ipc", CLONE_NEWIPC);
}

GUEST_TEST_MAIN
