#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A tree changed through the overlay looks like a plain copy changed by the same script, and the host's tree
# stays as it was.
. "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/tree_make"

make_tree "$work/lower"
cp -a "$work/lower" "$work/plain"
before=$(cd "$work/lower" && find . -printf '%P %y %m %n %s %l %T@\n' | sort)
(cd "$work/plain" && bash "$here/tree_script" && bash "$here/tree_dump") >"$work/native" 2>&1 ||
    fail "natively: $(cat "$work/native")"
(cd "$work/lower" && "$RUNSC" do -- bash -c "bash $here/tree_script && bash $here/tree_dump") \
    >"$work/sandbox" 2>&1 || fail "in the sandbox: $(cat "$work/sandbox")"
diff "$work/native" "$work/sandbox" || fail "the overlay's tree differs"
after=$(cd "$work/lower" && find . -printf '%P %y %m %n %s %l %T@\n' | sort)
[ "$before" = "$after" ] || fail "the host's tree changed"
