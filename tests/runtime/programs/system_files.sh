#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What programs look up about users, hosts, time zones and themselves.
id; id -u nobody
getent passwd root; getent group tty; getent hosts localhost | awk '{ print $2 }'
whoami; groups
date -u -d @0; TZ=America/New_York date -d @1700000000
readlink /proc/self/fd/0 | grep -c null
cat /proc/self/comm; tr '\0' ' ' </proc/self/cmdline; echo
head -1 /proc/self/status; grep -c . /proc/self/maps | awk '{ print ($1 > 5) }'
[ -d /proc/$$ ] && echo proc
df / | awk 'NR == 2 { print NF }'
nproc | grep -c .
uptime >/dev/null && echo uptime
ls -l /dev/null /dev/zero /dev/full /dev/tty /dev/urandom | awk '{ print $1, $5, $6, $NF }'
dd if=/dev/full bs=1 count=3 2>/dev/null | od -c; echo x 2>/dev/null >/dev/full || echo full
head -c 4 /dev/urandom | wc -c
mktemp -u XXXX | wc -c
printenv | sort | grep -v ^_=
tty; stty size 2>/dev/null || echo "no tty"
locale 2>/dev/null | head -1
# Is this a container? The same answer as outside: `do` shows the host's files.
for what in -c -v -r -q ''; do systemd-detect-virt $what; echo "virt $what: $?"; done | sed 's/^\(kvm\|none\|qemu\|microsoft\|amazon\)$/vm/'
# A terminal of its own, and bash with job control on it.
printf 'echo flags $-\nsleep 100 &\nkill %%1; wait %%1; echo rc $?\ntty | cut -c1-9\nexit 7\n' | script -qec 'bash --norc -i' /dev/null | tr -d '\r' | sed 's,\x1b\[[?0-9]*[a-z],,g' | grep -E '^(flags|rc|/dev/)'
