#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A tmux session: bash with job control, vim, less, top and htop on its terminals; panes and sizes.
for tool in tmux vim less top htop; do command -v $tool >/dev/null || { echo "no $tool" >&2; exit 77; }; done
export TERM=xterm LC_ALL=C.UTF-8 HOME=$PWD HISTFILE=
S=$PWD/sock
t() { tmux -S "$S" "$@"; }
screen() { t capture-pane -p | grep -v '^ *$'; }
# until TEXT: waits for a line of the screen that matches.
until_shown() {
    for _ in $(seq 300); do screen | grep -qE -- "$1" && return 0; sleep 0.05; done
    echo "not shown: $1"; screen; return 1
}
fresh() { t send-keys "clear; echo ready''-$1" Enter; until_shown "^ready-$1"; t send-keys clear Enter; sleep 0.1; }
t -f /dev/null new-session -d -x 80 -y 24 'bash --norc -i' || { echo "tmux does not start" >&2; exit 77; }
t send-keys 'PS1="> "' Enter
until_shown '^>'
t send-keys 'stty size; echo done' Enter; until_shown '^done'; screen | grep -E '^[0-9]+ [0-9]+$'
fresh jobs
t send-keys 'sleep 100' Enter; sleep 0.3; t send-keys C-z; until_shown 'Stopped'
t send-keys 'jobs' Enter; sleep 0.2
t send-keys 'fg' Enter; sleep 0.3; t send-keys C-c; sleep 0.2
t send-keys 'echo rc $?' Enter; until_shown '^rc'; screen | grep -E '^rc|^\[1\]'
fresh vim
t send-keys 'vim -u NONE -n file.txt' Enter; until_shown '^~'
t send-keys 'ihello world' Escape 'yyp:wq' Enter; until_shown 'written|^>'
for _ in $(seq 100); do [ -s file.txt ] && break; sleep 0.05; done
cat file.txt
fresh less
t send-keys 'seq 1000 | less' Enter; until_shown '^20'; t send-keys G; until_shown '^1000'; screen | tail -2; t send-keys q
fresh top
t send-keys 'top -d 1' Enter; until_shown '%Cpu'; screen | grep -oE 'PID USER +PR +NI +VIRT +RES +SHR S +%CPU +%MEM +TIME\+ COMMAND'; t send-keys q
fresh htop
t send-keys 'htop' Enter; until_shown 'Load average'; screen | grep -oE 'F1Help|PID USER|Tasks:|Uptime:' | sort -u; t send-keys q
t split-window -h 'bash --norc -i'; sleep 0.2; t list-panes -F '#{pane_index} #{pane_width}x#{pane_height}'
t resize-window -x 60 -y 20; sleep 0.3
t send-keys 'stty size; echo done' Enter; until_shown '^done'; screen | grep -oE '[0-9]+ [0-9]+$'
t kill-server
rm -f sock file.txt .viminfo .bash_history
rm -rf .config .cache .local
