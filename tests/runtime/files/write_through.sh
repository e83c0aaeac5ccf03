#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --overlay=none: the same script leaves the same tree on the host.
. "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/tree_make"

make_tree "$work/direct"
cp -a "$work/direct" "$work/plain"
cp "$here/tree_script" "$work/script"
(cd "$work/plain" && bash "$work/script" && bash "$here/tree_dump") >"$work/native" 2>&1 ||
    fail "natively: $(cat "$work/native")"
(cd "$work/direct" && "$RUNSC" --overlay=none do -- bash -c "bash $work/script && bash $here/tree_dump") \
    >"$work/sandbox" 2>&1 || fail "in the sandbox: $(cat "$work/sandbox")"
diff "$work/native" "$work/sandbox" || fail "the tree looks different inside"
(cd "$work/direct" && bash "$here/tree_dump") >"$work/host" 2>&1
diff "$work/native" "$work/host" || fail "the tree on the host differs"
