#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# spec: the example that runc writes, but for the host's name.
. "$(dirname "$0")/../lib.sh"
command -v runc >/dev/null || { echo "skipped: runc is not installed"; exit 77; }
mkdir "$work/ours" "$work/theirs"
runsc spec --bundle "$work/ours" || fail "spec"
runc spec --bundle "$work/theirs" || fail "runc spec"
for d in ours theirs; do jq -S 'del(.hostname)' "$work/$d/config.json" >"$work/$d.json" || fail "no JSON"; done
diff "$work/theirs.json" "$work/ours.json" || fail "differs from runc's"
expect 1 'exists' runsc spec --bundle "$work/ours"
echo ok
