#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What config.json says of the process, as the process sees it: umask, groups, score for the OOM killer, limits, directory, personality.
# Passes with RUNTIME=runc (which knows no personality before 1.2).
. "$(dirname "$0")/../lib.sh"
b=$work/b
make_bundle "$b" '.process.user={uid:7,gid:8,additionalGids:[9,10],umask:23} | .process.oomScoreAdj=321 | .process.cwd="/tmp" | .process.env+=["MARK=here it is"]
    | .process.rlimits=[{type:"RLIMIT_NOFILE",soft:99,hard:101},{type:"RLIMIT_CORE",soft:0,hard:4096}]
    | .process.args=["sh","-c","umask; id -u; id -g; id -G; cat /proc/self/oom_score_adj; pwd; echo \"$MARK\"; ulimit -Sn; ulimit -Hn; ulimit -Sc"]'
runsc run --bundle "$b" process-$$ >"$work/out" 2>"$work/err" </dev/null || fail "run: $(cat "$work/err")"
cat >"$work/want" <<'WANT'
0027
7
8
8 9 10
321
/tmp
here it is
99
101
0
WANT
diff "$work/want" "$work/out" || fail "differs (< wanted)"
# exec has the container's, or its own.
jq '.process.args=["sleep","1000"]' "$b/config.json" >"$work/c" && mv "$work/c" "$b/config.json"
runsc run --detach --bundle "$b" process2-$$ >"$work/out" 2>&1 </dev/null || fail "detach: $(cat "$work/out")"
[ "$(runsc exec process2-$$ cat /proc/self/oom_score_adj)" = 321 ] || fail "oom_score_adj of exec: $(runsc exec process2-$$ cat /proc/self/oom_score_adj)"
got=$(runsc exec --user 1:2 --additional-gids 3 --cwd / --env MARK=new process2-$$ sh -c 'id -u; id -G; pwd; echo $MARK' 2>&1 | tr '\n' ' ')
[ "$got" = "1 2 3 9 10 / new " ] || fail "exec with flags: $got"
got=$(runsc exec --user 3 process2-$$ sh -c 'umask; id -u; id -g; id -G' 2>&1 | tr '\n' ' ')
[ "$got" = "0022 3 8 8 9 10 " ] || fail "exec with another uid: $got"
runsc delete --force process2-$$
if [ -z "${RUNTIME:-}" ]; then
    jq '.linux.personality={domain:"LINUX32"} | .process.args=["busybox","uname","-m"]' "$b/config.json" >"$work/c" && mv "$work/c" "$b/config.json"
    [ "$(runsc run --bundle "$b" process3-$$ </dev/null)" = i686 ] || fail "personality LINUX32"
fi
echo ok
