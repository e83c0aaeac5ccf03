#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# runsc-c syscalls: three formats of one table, and its errors.
. "$(dirname "$0")/../lib.sh"

runsc syscalls >"$work/table" || fail "table"
grep -qE '^ +0  read +impl +fs ' "$work/table" || fail "no row for read"
grep -qE '^ 323  userfaultfd +stub \(-ENOSYS\)' "$work/table" || fail "no row for userfaultfd"
runsc syscalls --format json >"$work/json" || fail "json"
jq -e '.arch == "x86_64" and (.syscalls | length) == .totals.total and .totals.total >= 360' "$work/json" >/dev/null ||
    fail "totals of the JSON"
jq -e '[.syscalls[].nr] as $n | ([range(0; 335)] + [range(424; 451)]) - $n == []' "$work/json" >/dev/null ||
    fail "a number of Linux 6.1 is missing"
runsc syscalls --format markdown | grep -qF '| 1 | write | impl | fs |' || fail "markdown"
runsc syscalls --family futex --status impl | grep -q 'futex' || fail "selection"
expect 1 "is not table, json or markdown" runsc syscalls --format xml
expect 1 "no row" runsc syscalls --family nothing
expect 1 "unexpected argument" runsc syscalls extra
