#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Process supervisors and daemons: tini as PID 1 of a pid namespace, runit, s6, cron-like timers (at once), daemons that double fork, setsid, nohup, flock.
. "$(dirname "$0")/lib"
PATH=$PATH:/usr/sbin:/sbin
need tini runsvdir sv s6-svscan s6-svc setsid flock unshare
echo "== tini"
tini -s -- sh -c 'exit 7'; echo "exit $?"
tini -s -- sh -c '(sleep 0.1; exit 3) & exec sleep 0.3'; echo "exit $?"
unshare -rpf --mount-proc tini -- sh -c 'echo "child of $(cat /proc/1/comm)"; (sh -c "sleep 0.1; exit 0" &); sleep 0.3; ps -e -o stat= | grep -c Z; exit 0'
tini -s -- sleep 100 & p=$!; sleep 0.3; kill -TERM $p; wait $p; echo "exit $?"
echo "== runit"
mkdir -p sv/a sv/b/log logs
printf '#!/bin/sh\necho start >>%s/a.log\nexec sleep 1000\n' "$PWD" >sv/a/run
printf '#!/bin/sh\nexec 2>&1\necho one line\nexec sleep 1000\n' >sv/b/run
printf '#!/bin/sh\nexec svlogd %s/logs\n' "$PWD" >sv/b/log/run
chmod +x sv/*/run sv/b/log/run
runsvdir "$PWD/sv" & supervisor=$!
wait_until sv check "$PWD/sv/a" && wait_until grep -q 'one line' logs/current && cat logs/current
kill -9 "$(cat sv/a/supervise/pid)"
wait_until sh -c '[ $(wc -l <a.log) = 2 ]' && echo "restarted"
sv -w 20 down "$PWD/sv/a" | sed 's/: [0-9]*s.*//; s,: /.*/sv/,: ,'
kill -HUP $supervisor; wait $supervisor; echo "runsvdir: $?"
wait_until sh -c '! pgrep -f "runsv [ab]$"' && echo "services gone"
echo "== s6"
mkdir -p scan/x && printf '#!/bin/sh\necho up >>%s/x.log\nexec sleep 1000\n' "$PWD" >scan/x/run && chmod +x scan/x/run
printf '#!/bin/sh\necho "finish $1 $2" >>%s/x.log\n' "$PWD" >scan/x/finish && chmod +x scan/x/finish
s6-svscan scan 2>/dev/null & scanner=$!
wait_until test -s x.log
wait_until s6-svok scan/x && s6-svc -wr -r scan/x && wait_until sh -c '[ $(grep -c up x.log) = 2 ]'
s6-svc -wd -T 20000 -d scan/x; s6-svstat scan/x | cut -d' ' -f1
s6-svscanctl -t scan; wait $scanner; echo "s6-svscan: $?"
cat x.log
echo "== daemons"
python3 - <<'END'
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/proc/self/cwd"); os.umask(0o22)
        open("daemon.out", "w").write("ppid changed %s, leader %s\n" % (os.getppid() >= 1, os.getsid(0) == os.getpid())); os._exit(0)
    os._exit(0)
os.wait()
END
wait_until test -s daemon.out && cat daemon.out
setsid -w sh -c 'ps -o sid= -p $$ | tr -d " " | grep -c "^$$\$"'
(flock -x 9; sleep 0.3; echo first) 9>lock & sleep 0.1; flock -x lock echo second; wait
nohup sh -c 'kill -HUP $$; echo survived' 2>/dev/null
timeout -s INT 0.2 sleep 10; echo "timeout $?"
timeout -k 0.2 0.2 sh -c 'trap "" TERM; sleep 1; sleep 1'; echo "timeout -k $?"
if command -v busybox >/dev/null && busybox crond --help 2>&1 | grep -q 'crond -'; then
    mkdir -p tabs
fi
rm -rf sv scan logs tabs a.log x.log lock nohup.out
