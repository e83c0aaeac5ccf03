# SPDX-License-Identifier: Apache-2.0
# Completion of runsc-c for fish. Commands and options are asked from the program.
function __runsc_c_commands
    runsc-c help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\)  *\(.*\)/\1\t\2/p'
end
function __runsc_c_options
    runsc-c $argv 2>/dev/null | string match -ra -- '--[a-z][a-z-]*' | sort -u
end
complete -c runsc-c -f
complete -c runsc-c -n __fish_use_subcommand -a '(__runsc_c_commands)'
complete -c runsc-c -n __fish_use_subcommand -a '(__runsc_c_options help)'
complete -c runsc-c -n 'not __fish_use_subcommand; and not __fish_seen_subcommand_from do' \
    -a '(runsc-c list -q 2>/dev/null)'
complete -c runsc-c -n '__fish_seen_subcommand_from do' -a '(__fish_complete_subcommand)'
complete -c runsc-c -l root -r -a '(__fish_complete_directories)'
complete -c runsc-c -l lanes -x -a 'auto off eager'
complete -c runsc-c -l platform -x -a 'auto ptrace seccomp kvm'
complete -c runsc-c -l network -x -a 'none host'
complete -c runsc-c -l overlay -x -a 'root:memory none'
