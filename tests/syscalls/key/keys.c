/* SPDX-License-Identifier: Apache-2.0 */
/* add_key(2), request_key(2), keyctl(2): keyrings(7). */
#include <linux/keyctl.h>
#include <pthread.h>

#include "tests/support/guest_test.h"

#define THREAD  KEY_SPEC_THREAD_KEYRING
#define PROCESS KEY_SPEC_PROCESS_KEYRING
#define SESSION KEY_SPEC_SESSION_KEYRING

static long add(const char *type, const char *name, const char *text, int ring)
{
    return sysp(SYS_add_key, type, name, text, text ? strlen(text) : 0UL, ring);
}

static long ctl(int op, long a, long b, long c, long d)
{
    return sys(SYS_keyctl, op, a, b, c, d);
}

/* A session of the child's own, so that nothing stays. */
#define IN_OWN_SESSION(name)                                                                       \
    static void name##_in_child(void);                                                             \
    TEST(name)                                                                                     \
    {                                                                                              \
        CHECK_EQ(test_in_child(name##_in_child), 0);                                               \
    }                                                                                              \
    static void name##_in_child(void)

#define JOIN REQUIRE(ctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) > 0)

IN_OWN_SESSION(keys_of_a_user)
{
    char buf[200] = "", want[200];
    long k, again;

    JOIN;
    k = add("user", "name", "secret", SESSION);
    REQUIRE(k > 0);
    CHECK_EQ(ctl(KEYCTL_READ, k, 0, 0, 0), 6);
    CHECK_EQ(ctl(KEYCTL_READ, k, (long)buf, sizeof(buf), 0), 6);
    CHECK_STR(buf, "secret");
    snprintf(want, sizeof(want), "user;%d;%d;3f010000;name", geteuid(), getegid());
    CHECK_EQ(ctl(KEYCTL_DESCRIBE, k, (long)buf, sizeof(buf), 0), strlen(want) + 1);
    CHECK_STR(buf, want);
    memset(buf, 'x', 8);
    CHECK_EQ(ctl(KEYCTL_DESCRIBE, k, (long)buf, 5, 0), strlen(want) + 1);
    /* The same name again is an update. */
    again = add("user", "name", "other", SESSION);
    CHECK_EQ(again, k);
    CHECK_EQ(ctl(KEYCTL_READ, k, (long)buf, sizeof(buf), 0), 5);
    CHECK_EQ(ctl(KEYCTL_UPDATE, k, (long)"third", 5, 0), 0);
    CHECK_EQ(sysp(SYS_request_key, "user", "name", NULL, 0), k);
    CHECK_ERR(sysp(SYS_request_key, "user", "none", NULL, 0), ENOKEY);
    CHECK_EQ(ctl(KEYCTL_SEARCH, SESSION, (long)"user", (long)"name", 0), k);
    CHECK_ERR(ctl(KEYCTL_SEARCH, SESSION, (long)"user", (long)"none", 0), ENOKEY);
    CHECK_EQ(ctl(KEYCTL_UNLINK, k, SESSION, 0, 0), 0);
    CHECK_ERR(sysp(SYS_request_key, "user", "name", NULL, 0), ENOKEY);
}

IN_OWN_SESSION(keyrings)
{
    int ids[8];
    long a, b, k;

    JOIN;
    a = add("keyring", "a", NULL, SESSION);
    b = add("keyring", "b", NULL, (int)a);
    k = add("user", "k", "v", (int)b);
    REQUIRE(a > 0 && b > 0 && k > 0);
    CHECK_EQ(ctl(KEYCTL_READ, a, (long)ids, sizeof(ids), 0), 4);
    CHECK_EQ(ids[0], b);
    CHECK_EQ(sysp(SYS_request_key, "user", "k", NULL, 0), k); /* through nested rings */
    CHECK_ERR(ctl(KEYCTL_LINK, a, b, 0, 0), EDEADLK);
    CHECK_ERR(ctl(KEYCTL_LINK, a, a, 0, 0), EDEADLK);
    CHECK_ERR(ctl(KEYCTL_LINK, a, k, 0, 0), ENOTDIR);
    CHECK_EQ(ctl(KEYCTL_LINK, k, a, 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_READ, a, (long)ids, sizeof(ids), 0), 8);
    CHECK_EQ(ctl(KEYCTL_UNLINK, k, b, 0, 0), 0);
    CHECK_ERR(ctl(KEYCTL_UNLINK, k, b, 0, 0), ENOENT);
    CHECK_EQ(ctl(KEYCTL_MOVE, k, a, b, 0), 0);
    CHECK_ERR(ctl(KEYCTL_MOVE, k, a, b, 0), ENOENT);
    CHECK_EQ(ctl(KEYCTL_CLEAR, b, 0, 0, 0), 0);
    CHECK_ERR(sysp(SYS_request_key, "user", "k", NULL, 0), ENOKEY);
    CHECK_ERR(ctl(KEYCTL_CLEAR, add("user", "x", "y", (int)a), 0, 0, 0), ENOTDIR);
    CHECK_ERR(add("user", "x", "y", (int)add("user", "z", "y", (int)a)), ENOTDIR);
}

static void *other_thread(void *arg)
{
    const long *creator = arg;

    /* A thread keyring is never shared: whose creator has one gets its own. */
    CHECK(ctl(KEYCTL_GET_KEYRING_ID, THREAD, 0, 0, 0) > 0);
    CHECK(ctl(KEYCTL_GET_KEYRING_ID, THREAD, 0, 0, 0) != creator[0]);
    CHECK_EQ(ctl(KEYCTL_GET_KEYRING_ID, PROCESS, 0, 0, 0), creator[1]);
    return NULL;
}

IN_OWN_SESSION(special_rings)
{
    long session = ctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0), t, p, user;
    pthread_t other;
    int status;

    REQUIRE(session > 0);
    CHECK_EQ(ctl(KEYCTL_GET_KEYRING_ID, SESSION, 0, 0, 0), session);
    CHECK_ERR(ctl(KEYCTL_GET_KEYRING_ID, THREAD, 0, 0, 0), ENOKEY);
    CHECK_ERR(ctl(KEYCTL_GET_KEYRING_ID, PROCESS, 0, 0, 0), ENOKEY);
    t = ctl(KEYCTL_GET_KEYRING_ID, THREAD, 1, 0, 0);
    p = ctl(KEYCTL_GET_KEYRING_ID, PROCESS, 1, 0, 0);
    user = ctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0, 0, 0);
    CHECK(t > 0 && p > 0 && user > 0 && t != p);
    CHECK_ERR(ctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_GROUP_KEYRING, 0, 0, 0), EINVAL);
    CHECK_ERR(ctl(KEYCTL_GET_KEYRING_ID, 0, 0, 0, 0), EINVAL);
    CHECK_ERR(ctl(KEYCTL_GET_KEYRING_ID, 0x7ffffff0, 0, 0, 0), ENOKEY);
    pthread_create(&other, NULL, other_thread, (long[]){t, p});
    pthread_join(other, NULL);
    if (fork() == 0) { /* the session is inherited, the others are not */
        CHECK_EQ(ctl(KEYCTL_GET_KEYRING_ID, SESSION, 0, 0, 0), session);
        CHECK_ERR(ctl(KEYCTL_GET_KEYRING_ID, THREAD, 0, 0, 0), ENOKEY);
        CHECK_ERR(ctl(KEYCTL_GET_KEYRING_ID, PROCESS, 0, 0, 0), ENOKEY);
        _exit(g_test_failures);
    }
    wait(&status);
    CHECK_EQ(status, 0);
}

IN_OWN_SESSION(ends_of_keys)
{
    long k, e;

    JOIN;
    k = add("user", "k", "v", SESSION);
    e = add("user", "e", "v", SESSION);
    CHECK_EQ(ctl(KEYCTL_REVOKE, k, 0, 0, 0), 0);
    CHECK_ERR(ctl(KEYCTL_READ, k, 0, 0, 0), EKEYREVOKED);
    CHECK_ERR(sysp(SYS_request_key, "user", "k", NULL, 0), EKEYREVOKED);
    CHECK_EQ(ctl(KEYCTL_SET_TIMEOUT, e, 1000, 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_READ, e, 0, 0, 0), 1);
    CHECK_EQ(ctl(KEYCTL_SET_TIMEOUT, e, 1, 0, 0), 0);
    WAIT_UNTIL(ctl(KEYCTL_READ, e, 0, 0, 0) != 1);
    CHECK_ERR(ctl(KEYCTL_READ, e, 0, 0, 0), EKEYEXPIRED);
    k = add("user", "i", "v", SESSION);
    CHECK_EQ(ctl(KEYCTL_INVALIDATE, k, 0, 0, 0), 0);
    CHECK(ctl(KEYCTL_READ, k, 0, 0, 0) < 0); /* EACCES, ENOKEY once it was collected */
    CHECK(sysp(SYS_request_key, "user", "i", NULL, 0) < 0);
}

IN_OWN_SESSION(rights)
{
    char text[8];
    long k, l;

    JOIN;
    k = add("user", "k", "v", SESSION);
    CHECK_ERR(ctl(KEYCTL_SETPERM, k, 0x40000000, 0, 0), EINVAL);
    CHECK_EQ(ctl(KEYCTL_SETPERM, k, 0x28000000, 0, 0), 0); /* possessor: setattr, search */
    CHECK_ERR(ctl(KEYCTL_DESCRIBE, k, 0, 0, 0), EACCES);
    CHECK_ERR(ctl(KEYCTL_UPDATE, k, (long)"x", 1, 0), EACCES);
    CHECK_ERR(ctl(KEYCTL_LINK, k, SESSION, 0, 0), EACCES);
    CHECK_EQ(ctl(KEYCTL_SETPERM, k, 0x3f010000, 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_CHOWN, k, -1, -1, 0), 0);
    CHECK_EQ(ctl(KEYCTL_CHOWN, k, geteuid(), getegid(), 0), 0);
    /* What is for the kernel only cannot be read. */
    l = add("logon", "a:b", "v", SESSION);
    CHECK(l > 0);
    CHECK_ERR(ctl(KEYCTL_READ, l, (long)text, sizeof(text), 0), EOPNOTSUPP);
    CHECK_ERR(add("logon", "ab", "v", SESSION), EINVAL);
    CHECK_ERR(add("logon", ":ab", "v", SESSION), EINVAL);
    CHECK(ctl(KEYCTL_GET_SECURITY, k, (long)text, sizeof(text), 0) > 0);
    /* Who may not search for a key does not possess it. */
    CHECK_EQ(ctl(KEYCTL_SETPERM, k, 0x37010000, 0, 0), 0);
    CHECK_ERR(ctl(KEYCTL_SETPERM, k, 0x3f010000, 0, 0), EACCES);
}

IN_OWN_SESSION(order_of_errors)
{
    char big[40], *lng = malloc(50000);
    long k;

    JOIN;
    memset(big, 't', sizeof(big));
    big[39] = 0;
    memset(lng, 'd', 5000);
    lng[4999] = 0;
    CHECK_ERR(sysp(SYS_add_key, BAD_PTR, "d", NULL, 1UL << 20, 0), EINVAL);
    CHECK_ERR(sysp(SYS_add_key, BAD_PTR, "d", NULL, 0UL, 0), EFAULT);
    CHECK_ERR(add("", "d", NULL, 0), EINVAL);
    CHECK_ERR(add(big, "d", NULL, 0), EINVAL);
    CHECK_ERR(add(".x", "d", NULL, 0), EPERM);
    CHECK_ERR(add("user", BAD_PTR, NULL, 0), EFAULT);
    CHECK_ERR(add("user", lng, NULL, 0), EINVAL);
    CHECK_ERR(add("keyring", ".d", NULL, 0), EPERM);
    CHECK_ERR(sysp(SYS_add_key, "user", "d", BAD_PTR, 1UL, 0), EFAULT);
    CHECK_ERR(add("user", "d", "x", 0), EINVAL);
    CHECK_ERR(add("nosuch", "d", "x", 0x7ffffff0), ENOKEY);
    CHECK_ERR(add("nosuch", "d", "x", SESSION), ENODEV);
    CHECK_ERR(add("user", "d", NULL, SESSION), EINVAL);
    CHECK_ERR(add("user", "", "x", SESSION), EINVAL);
    CHECK_ERR(add("user", NULL, "x", SESSION), EINVAL);
    CHECK_ERR(add("keyring", "d", "x", SESSION), EINVAL);
    CHECK_ERR(sysp(SYS_add_key, "user", "d", lng, 40000UL, SESSION), EINVAL);
    CHECK_ERR(sysp(SYS_request_key, "nosuch", "d", NULL, 0), ENOKEY);
    CHECK_ERR(sysp(SYS_request_key, BAD_PTR, "d", NULL, 0), EFAULT);
    CHECK_ERR(ctl(9999, 0, 0, 0, 0), EOPNOTSUPP);
    CHECK_ERR(ctl(KEYCTL_JOIN_SESSION_KEYRING, (long)".x", 0, 0, 0), EPERM);
    CHECK_ERR(ctl(KEYCTL_JOIN_SESSION_KEYRING, (long)BAD_PTR, 0, 0, 0), EFAULT);
    CHECK_ERR(ctl(KEYCTL_UPDATE, 1, (long)lng, 5000, 0), EINVAL);
    k = add("user", "k", "v", SESSION);
    CHECK_ERR(ctl(KEYCTL_READ, k, (long)BAD_PTR, 100, 0), EFAULT);
    CHECK_ERR(ctl(KEYCTL_UPDATE, ctl(KEYCTL_GET_KEYRING_ID, SESSION, 0, 0, 0), (long)"x", 1, 0),
              EOPNOTSUPP);
    CHECK_ERR(ctl(KEYCTL_MOVE, k, SESSION, SESSION, 2), EINVAL);
    CHECK_ERR(ctl(KEYCTL_ASSUME_AUTHORITY, -1, 0, 0, 0), EINVAL);
    CHECK_EQ(ctl(KEYCTL_ASSUME_AUTHORITY, 0, 0, 0, 0), 0);
    CHECK_ERR(ctl(KEYCTL_INSTANTIATE, k, 0, 0, 0), EPERM);
    CHECK_EQ(ctl(KEYCTL_SET_REQKEY_KEYRING, 3, 0, 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_SET_REQKEY_KEYRING, -1, 0, 0, 0), 3);
    CHECK_ERR(ctl(KEYCTL_SET_REQKEY_KEYRING, 9, 0, 0, 0), EINVAL);
    free(lng);
}

IN_OWN_SESSION(named_sessions_and_proc)
{
    char name[64], text[20000], line[64];
    long a, b, k;
    ssize_t n;
    int fd;

    snprintf(name, sizeof(name), "guest-test-%d", getpid());
    a = ctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name, 0, 0, 0);
    REQUIRE(a > 0);
    b = ctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name, 0, 0, 0);
    CHECK(a != b); /* the owner may not search it */
    CHECK_EQ(ctl(KEYCTL_SETPERM, b, 0x3f1b0000, 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name, 0, 0, 0), 0); /* it is already */
    CHECK_EQ(ctl(KEYCTL_GET_KEYRING_ID, SESSION, 0, 0, 0), b);
    k = add("user", "guest-test-key", "v", SESSION);
    fd = open("/proc/keys", O_RDONLY);
    REQUIRE(fd >= 0);
    n = read(fd, text, sizeof(text) - 1);
    REQUIRE(n > 0);
    text[n] = 0;
    snprintf(line, sizeof(line), "%08lx I--", k);
    CHECK(strstr(text, line) != NULL);
    CHECK(strstr(text, " user      guest-test-key: 1\n") != NULL);
    close(fd);
    fd = open("/proc/key-users", O_RDONLY);
    REQUIRE(fd >= 0);
    n = read(fd, text, sizeof(text) - 1);
    REQUIRE(n > 0);
    text[n] = 0;
    snprintf(line, sizeof(line), "%5u: ", getuid());
    CHECK(strstr(text, line) != NULL);
    close(fd);
}

static void fill_quota(void)
{
    char name[16], big[16000];
    long ret = 0;

    if (geteuid() == 0 && setresuid(4711, 4711, 4711))
        return;
    JOIN;
    memset(big, 'b', sizeof(big));
    CHECK(sysp(SYS_add_key, "user", "one", big, 15000UL, SESSION) > 0);
    CHECK_ERR(sysp(SYS_add_key, "user", "two", big, 15000UL, SESSION), EDQUOT);
    for (int i = 0; i < 300 && ret >= 0; i++) {
        snprintf(name, sizeof(name), "%d", i);
        ret = add("user", name, "v", SESSION);
    }
    CHECK_EQ(ret, -EDQUOT);
    CHECK_EQ(ctl(KEYCTL_CLEAR, SESSION, 0, 0, 0), 0);
}

TEST(quota)
{
    if (geteuid())
        SKIP("needs a user of its own");
    CHECK_EQ(test_in_child(fill_quota), 0);
}

GUEST_TEST_MAIN
