#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# systemd as the first process of a container: the host's files below an overlay in memory, own /run, /tmp and /var, and of the host's units
# those of the package systemd only. It boots whole, services are jailed, limited, restarted and timed, the journal has
# what they say, and the ways to end are what the runtime's caller sees as exit codes.
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
[ -x /lib/systemd/systemd ] || { echo "systemd is not installed"; exit 77; }
units=$work/units
id=boot-$$ # a cgroup of its own
mkdir -p "$units" "$work/b"
unit() { cat >"$units/$1"; }

# Everything that a service can give up, at once.
unit jail.service <<'END'
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'ls -A /tmp; for f in /usr/x /etc/x /run/x; do touch $$f 2>&1; done; touch /tmp/mine && echo own /tmp'
ExecStart=/bin/sh -c 'grep -E "^(CapBnd|CapEff|NoNewPrivs|Seccomp):" /proc/self/status; [ $$(id -u) -ge 61184 ] && echo dynamic user; cat /proc/self/cgroup'
ExecStart=/bin/sh -c 'ls /dev/null; ls -d /var/lib/jail; hostname x 2>/dev/null || echo no hostname; unshare -r true 2>&1; ls -d /proc/1 2>&1; grep -c : /proc/net/dev'
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectClock=yes
ProtectProc=invisible
PrivateNetwork=yes
PrivateIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
SystemCallArchitectures=native
DynamicUser=yes
StateDirectory=jail
CapabilityBoundingSet=
END
unit limits.service <<'END'
[Service]
ExecStart=/bin/sleep 1000
MemoryMax=64M
TasksMax=20
CPUQuota=50%
PrivateUsers=yes
TemporaryFileSystem=/var:ro
BindPaths=/etc:/mnt
InaccessiblePaths=/root
Restart=on-failure
RestartSec=0
Nice=5
OOMScoreAdjust=300
END
unit oom.service <<'END'
[Service]
MemoryMax=30M
ExecStart=/usr/bin/perl -e 'push @a, "x" x 1000000 while 1'
END
unit tick.service <<'END'
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo tick >>/var/ticks'
END
unit tick.timer <<'END'
[Timer]
OnActiveSec=100ms
OnUnitActiveSec=100ms
AccuracySec=1ms
END
unit echo.socket <<'END'
[Socket]
ListenStream=/run/echo.sock
Accept=yes
END
unit echo@.service <<'END'
[Service]
ExecStart=/bin/cat
StandardInput=socket
END
unit flag.path <<'END'
[Path]
PathExists=/var/flag
END
unit flag.service <<'END'
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'rm /var/flag; echo seen'
END
ln -s /lib/systemd/system/multi-user.target "$units/default.target"
ln -s /dev/null "$units/systemd-firstboot.service"

tmpfs() { printf '{"destination":"%s","type":"tmpfs","source":"tmpfs","options":["nosuid","nodev","mode=%s"]}' "$1" "$2"; }
runsc spec --bundle "$work/b" || fail "spec"
jq --arg units "$units" --argjson extra "[$(tmpfs /run 755), $(tmpfs /tmp 1777), $(tmpfs /var 755)]" '
    .root = {path: "/"} | .hostname = "booted" | .process.terminal = false | .process.args = ["/lib/systemd/systemd"] |
    .process.env += ["container=test"] |
    ["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_CHOWN", "CAP_FOWNER", "CAP_FSETID", "CAP_DAC_OVERRIDE",
     "CAP_DAC_READ_SEARCH", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
     "CAP_SYS_BOOT", "CAP_MKNOD", "CAP_NET_RAW", "CAP_IPC_OWNER", "CAP_SETFCAP", "CAP_AUDIT_WRITE"] as $caps |
    .process.capabilities = {bounding: $caps, effective: $caps, permitted: $caps} | .process.noNewPrivileges = false |
    .mounts |= map(if .type == "cgroup" then .options = ["rw", "nosuid", "nodev", "noexec"] else . end) |
    .mounts += $extra + [{destination: "/etc/systemd/system", type: "bind", source: $units, options: ["bind", "ro"]}]
    ' "$work/b/config.json" >"$work/c" && mv "$work/c" "$work/b/config.json" || fail "jq"

in_c() { timeout 60 "$RUNSC" --root "$state" exec $id "$@"; }
is() { [ "$1" = "$2" ] || fail "$3: \"$1\", wanted \"$2\"; $(in_c journalctl --no-pager -n 20 2>/dev/null)"; }
show() { in_c systemctl show -P "$2" "$1"; }
says() { in_c journalctl --no-pager -o cat -u "$1"; }

boot() {
    "$RUNSC" --root "$state" --platform="$1" --overlay=root:memory --network=none run --bundle "$work/b" $id </dev/null >"$work/log" 2>&1 & init=$!
    started+=("$init")
    wait_until in_c test -S /run/systemd/private || fail "no systemd: $(cat "$work/log")"
    is "$(in_c systemctl is-system-running --wait)" running "state ($(in_c systemctl --failed --plain --no-legend --no-pager))"
}

# end CODE HOW...: the container ends so
end() {
    local want=$1 rc
    shift
    "$@" >/dev/null 2>&1
    wait "$init"
    rc=$?
    [ "$rc" = "$want" ] || fail "$*: exit code $rc, wanted $want"
}

boot "${PLATFORM:-seccomp}"
in_c systemctl start jail || fail "jail.service: $(says jail)"
says jail >"$work/jail"
cat >"$work/want" <<'END'
touch: cannot touch '/usr/x': Read-only file system
touch: cannot touch '/etc/x': Read-only file system
touch: cannot touch '/run/x': Permission denied
own /tmp
CapEff:	0000000000000000
CapBnd:	0000000000000000
NoNewPrivs:	1
Seccomp:	2
dynamic user
0::/system.slice/jail.service
/dev/null
/var/lib/jail
no hostname
unshare: unshare failed: Operation not permitted
ls: cannot access '/proc/1': No such file or directory
1
END
grep -v -E '^(Starting|Finished|jail.service)' "$work/jail" | diff "$work/want" - || fail "the jailed service said so"

in_c systemctl start limits || fail "limits.service"
pid=$(show limits MainPID)
dir=/sys/fs/cgroup/system.slice/limits.service
is "$(in_c cat $dir/memory.max $dir/pids.max $dir/cpu.max $dir/cgroup.procs | tr '\n' ' ')" "67108864 20 50000 100000 $pid " "limits"
is "$(in_c cat "/proc/$pid/oom_score_adj")" 300 "oom_score_adj"
is "$(in_c ps -o ni= -p "$pid" | tr -d ' ')" 5 "nice"
is "$(in_c nsenter -t "$pid" -m sh -c 'cmp /etc/passwd /mnt/passwd && stat -c %a /root && ls /var' | tr '\n' ' ')" "0 " "its mounts"
in_c kill -SEGV "$pid"
wait_until sh -c "[ \"\$('$RUNSC' --root '$state' exec $id systemctl show -P NRestarts limits)\" = 1 ]" || fail "no restart"
in_c systemctl stop limits || fail "stop"
in_c systemctl start oom
wait_until sh -c "[ \"\$('$RUNSC' --root '$state' exec $id systemctl show -P Result oom)\" = oom-kill ]" || fail "no OOM kill: $(show oom Result)"
in_c systemctl start tick.timer
wait_until in_c sh -c '[ $(wc -l </var/ticks) -ge 3 ]' || fail "timer"
in_c systemctl start echo.socket flag.path
is "$(in_c perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new("/run/echo.sock") or die $!; syswrite $s, "hi\n"; print scalar <$s>')" hi "socket"
in_c touch /var/flag
wait_until sh -c "'$RUNSC' --root '$state' exec $id journalctl --no-pager -o cat -u flag | grep -qx seen" || fail "path unit"
in_c systemd-run --quiet --wait --pipe sh -c 'cat; exit 3' <<<piped >"$work/out"
is "$? $(cat "$work/out")" "3 piped" "systemd-run"
# An exec is no obstacle: it joins the first process, and the group that hands on controllers stays without processes.
is "$(in_c sh -c 'cat /proc/self/cgroup /sys/fs/cgroup/cgroup.procs')" "0::/init.scope" "group of an exec"
is "$(in_c journalctl --no-pager -o cat | grep -c 'Failed to get cgroup ID')" 0 "IDs of groups"
in_c journalctl --verify >"$work/out" 2>&1 || fail "journal: $(cat "$work/out")"
end 130 in_c systemctl poweroff

boot ptrace
end 7 in_c systemctl exit 7
boot "${PLATFORM:-seccomp}"
end 130 runsc kill $id 37 # SIGRTMIN+3, podman's stop signal
exit 0
