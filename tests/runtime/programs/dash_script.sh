#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dash: pipes, traps, here-documents, subshells, arithmetic, job waiting.
trap 'echo exit trap' EXIT
trap 'echo got USR1' USR1
kill -USR1 $$
cat <<END
here $((1 + 2)) document
END
cat <<'END'
no $expansion
END
f() { local x=$1; [ "$x" -le 0 ] && return; f $((x - 1)); echo "f $x"; }
f 5
(exit 3); echo "status $?"
false | true; echo "pipe $?"
x=$(echo a; echo b); echo "$x"
(sleep 0.2; exit 7) & wait $!; echo "waited $?"
sleep 10 & p=$!; kill $p; wait $p; echo "killed $?"
echo to-stderr 2>&1 >/dev/null | cat
{ echo 1; echo 2; } | while read -r l; do echo "read $l"; done
set -- a "b c" d; for i; do echo "[$i]"; done
command -v ls
type cd
ulimit -c 0; ulimit -c
eval 'echo evaluated'
echo glob: /etc/host*
case abc in a*) echo star;; esac
exec 3>file3; echo three >&3; exec 3>&-; cat file3
