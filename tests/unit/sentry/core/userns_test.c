/* SPDX-License-Identifier: Apache-2.0 */
/* Id maps: parsing, who may write them, nesting, what readers see; capabilities across namespaces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sentry/core/curr.h"
#include "sentry/core/userns.h"

static struct curr g_test_curr;

static int setup(void **state)
{
    (void)state;
    sleeper_init(&g_test_curr.sleeper);
    g_test_curr.cred = cred_kernel();
    g_curr = &g_test_curr;
    return 0;
}

static ssize_t map(struct userns *ns, bool gid, const char *text)
{
    return userns_map_write(ns, gid, text, strlen(text), curr()->cred);
}

static void root_maps_ranges(void **state)
{
    struct userns *ns, *nested;
    struct cred *inside;
    char buf[128];

    (void)state;
    assert_int_equal(userns_new(cred_kernel(), &ns), 0);
    assert_int_equal(userns_to_kuid(ns, 0), LX_ID_INVALID);
    assert_int_equal(userns_from_kuid(ns, 5), 65534);
    assert_int_equal(map(ns, false, "0 100000 65536\n"), 15);
    assert_int_equal(map(ns, false, "0 100000 65536\n"), -EPERM); /* once */
    assert_int_equal(map(ns, true, "0 100000 10\n100 200000 5\n"), 25);
    assert_int_equal(userns_to_kuid(ns, 7), 100007);
    assert_int_equal(userns_to_kuid(ns, 65536), LX_ID_INVALID);
    assert_int_equal(userns_to_kgid(ns, 104), 200004);
    assert_int_equal(userns_from_kuid(ns, 100009), 9);
    userns_map_format(ns, false, userns_init_get(), buf, sizeof(buf));
    assert_string_equal(buf, "         0     100000      65536\n");
    /* A nested map goes through the parent's. */
    assert_int_equal(cred_copy(cred_kernel(), &inside), 0);
    userns_put(inside->userns);
    inside->userns = userns_get(ns);
    inside->euid = inside->ruid = 100000;
    inside->egid = inside->rgid = 100000;
    g_test_curr.cred = inside;
    assert_int_equal(userns_new(inside, &nested), 0);
    assert_int_equal(map(nested, false, "0 10 2\n"), 7);
    assert_int_equal(userns_to_kuid(nested, 1), 100011);
    assert_true(cred_ns_capable(inside, nested, LX_CAP_SYS_ADMIN));
    assert_false(cred_capable(inside, LX_CAP_SYS_ADMIN));
    g_test_curr.cred = cred_kernel();
    assert_true(cred_ns_capable(cred_kernel(), nested, LX_CAP_SYS_ADMIN));
    cred_put(inside);
    userns_put(nested);
    userns_put(ns);
}

static void bad_maps_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "\n",
        "0\n",
        "0 0\n",
        "0 0 0\n",
        "a 0 1\n",
        "0 0 1 x\n",
        "-1 0 1\n",
        "0 0 4294967296\n",
        "4294967295 0 1\n",
        "0 0 10\n5 100 1\n",
        "0 0 10\n50 5 1\n",
    };
    struct userns *ns;

    (void)state;
    assert_int_equal(userns_new(cred_kernel(), &ns), 0);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(map(ns, false, bad[i]), -EINVAL);
    userns_put(ns);
}

static void an_ordinary_user_maps_itself_only(void **state)
{
    struct userns *ns;
    struct cred *user;

    (void)state;
    assert_int_equal(cred_copy(cred_kernel(), &user), 0);
    user->ruid = user->euid = user->suid = user->fsuid = 1000;
    user->rgid = user->egid = user->sgid = user->fsgid = 1000;
    user->cap_effective = user->cap_permitted = 0;
    g_test_curr.cred = user;
    assert_int_equal(userns_new(user, &ns), 0);
    assert_int_equal(map(ns, false, "0 0 1\n"), -EPERM);
    assert_int_equal(map(ns, false, "0 1000 2\n"), -EPERM);
    assert_int_equal(map(ns, false, "0 1000 1\n"), 9);
    assert_int_equal(map(ns, true, "0 1000 1\n"), -EPERM); /* setgroups must be denied first */
    assert_false(userns_may_setgroups(ns));
    assert_int_equal(userns_setgroups_write(ns, false), 0);
    assert_int_equal(map(ns, true, "0 1000 1\n"), 9);
    assert_int_equal(userns_setgroups_write(ns, true), -EPERM);
    assert_false(userns_may_setgroups(ns));
    g_test_curr.cred = cred_kernel();
    cred_put(user);
    userns_put(ns);
}

static void groups_are_sorted_and_found(void **state)
{
    const lx_gid_t groups[] = {30, 10, 20};
    struct cred *c;

    (void)state;
    assert_int_equal(cred_copy_groups(cred_kernel(), groups, 3, &c), 0);
    assert_true(cred_in_group(c, 10) && cred_in_group(c, 20) && cred_in_group(c, 30));
    assert_false(cred_in_group(c, 15));
    assert_true(cred_in_group(c, 0)); /* fsgid */
    cred_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_maps_ranges),
        cmocka_unit_test(bad_maps_are_refused),
        cmocka_unit_test(an_ordinary_user_maps_itself_only),
        cmocka_unit_test(groups_are_sorted_and_found),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
