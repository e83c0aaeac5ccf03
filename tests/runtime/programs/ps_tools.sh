#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tools that read /proc and /sys about a known family of processes: ps, pgrep, pstree, pmap, lsof, free, vmstat, lscpu, ip, ss, lsns.
for tool in ps pgrep pidof pstree pmap lsof free vmstat uptime w lscpu ip ss lsns; do
    command -v $tool >/dev/null || { echo "no $tool" >&2; exit 77; }
done
export LC_ALL=C TERM=xterm
blanks() { sed -E 's/ +/ /g; s/^ //; s/ $//'; }
cp "$(command -v sleep)" ./napper
bash -c './napper 100 & ./napper 200 & wait' 3<"$0" &
top=$!
for _ in $(seq 200); do [ "$(pgrep -P $top | wc -l)" = 2 ] && break; sleep 0.02; done
kids=$(pgrep -d, -P $top)
echo "== ps"
ps -o comm=,args= -p "$kids" | blanks
ps -o ppid= -p "$kids" | blanks | sed "s/^$top$/parent/"
ps -o s=,cls=,nlwp=,tty=,user= -p "$kids" | blanks | sed -E 's/ (\?|pts[^ ]*|tty[^ ]*) / TTY /'
for format in u l j s v X -f -F -l -j -ly; do ps $format -p $$ | head -1 | blanks; done
ps -o pid,tid,ppid,pgid,sid,tty,stat,pri,ni,rtprio,cls,wchan,nlwp,pcpu,pmem,vsz,rss,sz,etime,etimes,time,lstart,user,ruser,group,uid,gid,f,s,comm,args -p $$ | wc -l
ps -o blocked,caught,ignored,pending,cgroup,ipcns,netns,pidns,mntns,userns,utsns,drs,trs,majflt,minflt -p $$ | wc -l
ps --forest -o args= -p "$top,$kids" | sed 's/  *$//'
[ "$(ps -o vsz= -p ${kids%%,*})" -gt 1000 ] && echo vsz
[ "$(ps -o rss= -p ${kids%%,*})" -gt 100 ] && echo rss
echo "== pgrep"
# Of these only: others, or what is left of them, may be about.
pgrep -c -P $top -x napper; pgrep -a -P $top -x napper | sed 's/^[0-9]* //' | sort
pidof ./napper | wc -w
echo "== pstree"
pstree -A $top
pstree -Aa $top
echo "== pmap"
[ "$(pmap ${kids%%,*} | grep -c napper)" -ge 5 ] && echo segments
pmap -x ${kids%%,*} | head -2 | tail -1 | blanks
pmap -q ${kids%%,*} | grep -oE 'libc\.so|stack' | sort -u
echo "== lsof"
lsof -a -p $top -d 3 -Fn 2>/dev/null | grep '^n' | sed 's,.*/,,'
lsof -a -p ${kids%%,*} -d txt -Fn 2>/dev/null | grep '^n' | sed 's,.*/,,'
lsof -a -p ${kids%%,*} -d cwd -Fn 2>/dev/null | grep -c '^n'
echo "== memory and load"
free | blanks | cut -d' ' -f1; free | head -1 | blanks
vmstat | sed -n 2p | blanks; vmstat -s | sed 's/^ *[0-9]* //' | head -9
uptime | grep -cE 'up .*load average: [0-9.]+, [0-9.]+, [0-9.]+'
w -h >/dev/null; echo "w $?"
top -bn1 | sed -n 7p | blanks
top -bn1 -p $top | grep -c bash
echo "== machine"
lscpu | grep -E '^(Architecture|CPU op|Byte|CPU\(s\)|Vendor|Model name|CPU family|Socket|Thread|L1d|L2 cache|L3)' | blanks
lscpu -e=CPU,ONLINE | blanks
[ "$(nproc)" = "$(grep -c ^processor /proc/cpuinfo)" ] && echo nproc
echo "== net"
ip -o addr show lo | grep -oE 'inet6? [^ ]+'
ip -o link show lo | grep -oE '<LOOPBACK,UP'
ss -H -x -l -n >/dev/null; echo "ss $?"
ss -s | grep -oE '^Transport|^TCP:'
echo "== namespaces"
# It gives up without a word when a process of the machine ends while it reads /proc.
for _ in $(seq 50); do types=$(lsns -n -o TYPE -p $$ | sort | tr '\n' ' '); [ -n "$types" ] && break; done
echo "$types"
kill $top ${kids/,/ }
wait 2>/dev/null
rm -f napper
