#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tmux: a session driven by send-keys; panes, resize, vi, less, top and job control on its terminals; script(1) around a shell.
. "$(dirname "$0")/../../servers/lib"
need tmux script
# tmux tells a pane its new size a moment later: ask until it is there.
has_size() {
    t send-keys -t "$1" 'clear; stty size' Enter
    sleep 0.3
    screen "$1" | grep -qE "$2"
}
export TERM=xterm SHELL=/bin/sh PS1='$ ' ENV=
t() { tmux -S "$PWD/sock" -f /dev/null "$@"; }
screen() { t capture-pane -p -t "$1"; }
shows() { wait_until sh -c "tmux -S '$PWD/sock' capture-pane -p -t '$1' | grep -qE -- '$2'" && echo "$1 shows $2"; }
t new-session -d -s s -x 80 -y 24 'PS1="$ " exec sh -i'
wait_until sh -c "tmux -S '$PWD/sock' capture-pane -p -t s:0.0 | grep -q '^\\$'" # typed ahead, it would be echoed twice
t send-keys -t s:0.0 'stty size; echo $((6 * 7))' Enter
shows s:0.0 '^24 80'
shows s:0.0 '^42'
t split-window -h -t s:0 'PS1="$ " exec sh -i'
wait_until sh -c "tmux -S '$PWD/sock' capture-pane -p -t s:0.1 | grep -q '^\\$'"
t send-keys -t s:0.1 'stty size; tty | sed s,[0-9]*$,N,' Enter
shows s:0.1 '^24 [34][0-9]'
shows s:0.1 '^/dev/pts/N'
t send-keys -t s:0.0 'sleep 1000' Enter
sleep 0.3
t send-keys -t s:0.0 C-z
shows s:0.0 'Stopped'
t send-keys -t s:0.0 'kill -KILL %1; (trap "echo caught; exit" INT; echo read$((1)); while :; do sleep 1; done)' Enter
shows s:0.0 'read1'
t send-keys -t s:0.0 C-c
shows s:0.0 'caught'
t send-keys -t s:0.1 'seq 1000 | less' Enter
shows s:0.1 '^:'
t send-keys -t s:0.1 G
shows s:0.1 '^1000'
t send-keys -t s:0.1 '?^500' Enter
shows s:0.1 '^500'
t send-keys -t s:0.1 q
if command -v vi >/dev/null; then
    t send-keys -t s:0.1 'clear; vi file.txt' Enter
    sleep 0.5
    t send-keys -t s:0.1 'ihello from vi' Escape ':wq' Enter
    wait_until grep -q 'hello from vi' file.txt && cat file.txt
fi
t send-keys -t s:0.1 'clear; top -b -n 1 | head -1 | cut -c1-3' Enter
shows s:0.1 '^top'
t resize-window -t s -x 100 -y 30
wait_until has_size s:0.1 '^30 [45][0-9]' && echo resized
t kill-pane -t s:0.1
wait_until has_size s:0.0 '^30 100' && echo "one pane again"

t new-window -t s: 'printf one; read x; printf two; sleep 100'
shows s:1 'one'
t send-keys -t s:1 Enter
shows s:1 'two'
t list-windows -t s -F '#{window_index} #{window_panes}'
t kill-server
wait_until sh -c "! tmux -S '$PWD/sock' ls" && echo "server gone"
script -qec 'tty >/dev/null && echo on a terminal; stty -a | grep -c isig' out.txt </dev/null | tr -d '\r'
rm -f out.txt sock .viminfo
