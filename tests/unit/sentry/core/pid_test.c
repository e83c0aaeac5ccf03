/* SPDX-License-Identifier: Apache-2.0 */
/* Pid numbers in nested namespaces: allocation, lookup, release, wanted numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "sentry/core/cred.h"
#include "sentry/core/curr.h"
#include "sentry/core/pidns.h"

static struct curr g_test_curr;

static int setup(void **state)
{
    (void)state;
    sleeper_init(&g_test_curr.sleeper);
    g_test_curr.cred = cred_kernel();
    g_curr = &g_test_curr;
    return 0;
}

static struct pidns *make_ns(struct pidns *parent)
{
    struct pidns *ns;

    assert_int_equal(pidns_new(parent, userns_init_get(), &ns), 0);
    return ns;
}

static void release(struct pid *p)
{
    mutex_lock(&g_taskset.lock);
    pid_unhash_locked(p);
    mutex_unlock(&g_taskset.lock);
    pid_put(p);
}

static struct pid *find(struct pidns *ns, lx_pid_t nr)
{
    struct pid *p;

    mutex_lock(&g_taskset.lock);
    p = pidns_find_locked(ns, nr);
    mutex_unlock(&g_taskset.lock);
    return p;
}

static void numbers_go_up_and_are_found(void **state)
{
    struct pidns *ns = make_ns(NULL);
    struct pid *a, *b;

    (void)state;
    assert_int_equal(pid_new(ns, NULL, 0, &a), 0);
    assert_int_equal(pid_new(ns, NULL, 0, &b), 0);
    assert_int_equal(pid_nr_in(a, ns), 1);
    assert_int_equal(pid_nr_in(b, ns), 2);
    assert_ptr_equal(find(ns, 2), b);
    release(a);
    assert_null(find(ns, 1));
    mutex_lock(&g_taskset.lock);
    assert_ptr_equal(pidns_find_from_locked(ns, 1), b);
    assert_null(pidns_find_from_locked(ns, 3));
    mutex_unlock(&g_taskset.lock);
    release(b);
    pidns_put(ns);
}

static void a_pid_has_a_number_per_level(void **state)
{
    struct pidns *outer = make_ns(NULL), *inner = make_ns(outer), *other = make_ns(outer);
    struct pid *root, *p;

    (void)state;
    assert_int_equal(pid_new(outer, NULL, 0, &root), 0);
    assert_int_equal(pid_new(inner, NULL, 0, &p), 0);
    assert_int_equal(pid_nr_in(p, inner), 1);
    assert_int_equal(pid_nr_in(p, outer), 2);
    assert_int_equal(pid_nr_in(p, other), 0);
    assert_int_equal(pid_nr_in(root, inner), 0);
    assert_ptr_equal(find(outer, 2), p);
    assert_ptr_equal(find(inner, 1), p);
    release(p);
    release(root);
    pidns_put(other);
    pidns_put(inner);
    pidns_put(outer);
}

static void wanted_numbers(void **state)
{
    struct pidns *ns = make_ns(NULL);
    lx_pid_t want = 1, later = 77;
    struct pid *a, *b, *c;

    (void)state;
    assert_int_equal(pid_new(ns, &later, 1, &a), -EINVAL); /* no init yet: only 1 will do */
    assert_int_equal(pid_new(ns, &want, 1, &a), 0);
    assert_int_equal(pid_new(ns, &want, 1, &b), -EEXIST);
    assert_int_equal(pid_new(ns, NULL, 0, &b), 0);
    assert_int_equal(pid_new(ns, &later, 1, &c), 0);
    assert_int_equal(pid_nr_in(c, ns), 77);
    assert_int_equal(pid_new(ns, (lx_pid_t[]){1, 2}, 2, &c), -EINVAL);
    release(find(ns, 77));
    release(b);
    release(a);
    pidns_put(ns);
}

static void a_dying_namespace_takes_nobody(void **state)
{
    struct pidns *ns = make_ns(NULL);
    struct pid *p;

    (void)state;
    ns->dying = true;
    assert_int_equal(pid_new(ns, NULL, 0, &p), -ENOMEM);
    pidns_put(ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_go_up_and_are_found),
        cmocka_unit_test(a_pid_has_a_number_per_level),
        cmocka_unit_test(wanted_numbers),
        cmocka_unit_test(a_dying_namespace_takes_nobody),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
