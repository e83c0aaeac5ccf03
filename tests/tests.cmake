# SPDX-License-Identifier: Apache-2.0
# All tests. Adding one is adding a file; see tests/README.md.

find_package(PkgConfig REQUIRED)
pkg_check_modules(cmocka IMPORTED_TARGET cmocka)
option(RUNSC_TESTS "build the tests" ON)
set(platforms ptrace seccomp)
execute_process(COMMAND test -w /dev/kvm RESULT_VARIABLE no_kvm)
if(no_kvm)
    message(STATUS "/dev/kvm is not there, or not for this user: no guest tests on platform kvm")
else()
    list(APPEND platforms kvm)
endif()
set(RUNSC_TEST_PLATFORMS "${platforms}" CACHE STRING "back ends that guest tests run on")
list(GET RUNSC_TEST_PLATFORMS 0 first_platform)
set(RUNSC_TEST_PREFIX "" CACHE STRING "put in front of every test name")
option(RUNSC_TEST_REPEAT "only tests whose result depends on the preset" OFF)
set(tests_dir ${CMAKE_SOURCE_DIR}/tests)

# Every ctest runs with these: where the sources and this build are.
set(test_environment RUNSC_SOURCE_DIR=${CMAKE_SOURCE_DIR} RUNSC_BUILD_DIR=${CMAKE_BINARY_DIR}
    RUNSC=${CMAKE_BINARY_DIR}/bin/runsc-c ASAN_OPTIONS=detect_leaks=0)

# add_our_test(NAME TIMEOUT LABEL COMMAND...)
function(add_our_test name timeout label)
    if(RUNSC_TEST_REPEAT AND label MATCHES "^(native|lint|programs)$")
        return()
    endif()
    # Under ThreadSanitizer, which is slow, the unit tests run and the guest tests of families in which threads meet.
    # The back ends' unit tests let a process of the test's own, with the runtime in it, become a guest.
    if(RUNSC_SANITIZE MATCHES thread)
        if(NOT (label STREQUAL unit OR name MATCHES "^(ptrace|seccomp|lanes)/(process|signal|futex|ptrace|mm|security|epoll|unix|pipe|event|io_uring|aio)/[a-z_0-9]+$")
           OR name MATCHES "^unit/platform/(ptrace|seccomp|kvm)/")
            return()
        endif()
        math(EXPR timeout "${timeout} * 5")
        list(APPEND test_environment TSAN_OPTIONS=suppressions=${tests_dir}/support/tsan.supp)
    endif()
    set(name ${RUNSC_TEST_PREFIX}${name})
    add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} LABELS ${label}
        SKIP_RETURN_CODE 77 ENVIRONMENT "${test_environment}")
endfunction()

if(NOT RUNSC_TESTS)
    return()
endif()

# ---- unit tests: tests/unit/<path>/<file>_test.c, linked with the library of <path> -------------

# Longest path first.
set(unit_libraries
    platform/base=runsc_base platform/host=runsc_host platform/stub=platform_stub platform/ptrace=platform_ptrace platform/seccomp=platform_seccomp platform/kvm=platform_kvm
    platform/fake=platform_fake platform=runsc_platform
    sentry/core=sentry_core sentry/mm=sentry_mm sentry/fs=sentry_fs sentry/net=sentry_net
    sentry/loader=sentry_loader sentry/kernel=sentry_kernel sentry/proc=sentry_proc
    sentry/syscalls=sentry_syscalls sentry/boot=sentry_boot
    gofer/proto=gofer_proto gofer=gofer syscall-table=syscall_table_tool runsc-c=runsc_cli)

function(unit_library path out)
    foreach(pair ${unit_libraries})
        string(REPLACE "=" ";" pair ${pair})
        list(GET pair 0 prefix)
        list(GET pair 1 library)
        if(path MATCHES "^${prefix}/" AND TARGET ${library})
            set(${out} ${library} PARENT_SCOPE)
            return()
        endif()
    endforeach()
    set(${out} "" PARENT_SCOPE)
endfunction()

if(cmocka_FOUND)
    add_library(unit_support STATIC ${tests_dir}/support/unit_support.c)
    target_link_libraries(unit_support PUBLIC runsc_flags)
    file(GLOB_RECURSE unit_sources CONFIGURE_DEPENDS RELATIVE ${tests_dir}/unit
         ${tests_dir}/unit/*_test.c)
    foreach(source ${unit_sources})
        unit_library(${source} library)
        if(NOT library)
            message(WARNING "tests/unit/${source}: no library for this path")
            continue()
        endif()
        string(REGEX REPLACE "_test\\.c$" "" name ${source})
        string(REPLACE "/" "_" target unit_${name})
        add_executable(${target} ${tests_dir}/unit/${source})
        set_target_properties(${target} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unit)
        target_link_libraries(${target} PRIVATE ${library} platform_fake PkgConfig::cmocka
            unit_support)
        if(name MATCHES "^sentry/fs/(gofer|overlay)/" AND TARGET gofer) # client and server together
            target_link_libraries(${target} PRIVATE gofer)
        endif()
        add_our_test(unit/${name} 600 unit $<TARGET_FILE:${target}>)
    endforeach()
else()
    message(STATUS "cmocka is missing: no unit tests")
endif()

# ---- guest tests: tests/syscalls/<family>/<name>.c, static, run natively and in the sandbox ------

set(run_guest ${tests_dir}/support/run_guest)
if(RUNSC_SANITIZE MATCHES thread)
    set(run_guest ${tests_dir}/support/run_guest_tsan)
endif()

file(GLOB guest_sources CONFIGURE_DEPENDS RELATIVE ${tests_dir}/syscalls
     ${tests_dir}/syscalls/*/*.c)
add_custom_target(guest_tests)
foreach(source ${guest_sources})
    string(REGEX REPLACE "\\.c$" "" name ${source})
    get_filename_component(family ${name} DIRECTORY)
    get_filename_component(base ${name} NAME)
    string(REPLACE "/" "_" target guest_${name})
    add_executable(${target} ${tests_dir}/syscalls/${source})
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ${base}
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/guest/${family})
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE=)
    target_compile_options(${target} PRIVATE -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter
        -Wno-missing-field-initializers -Wno-infinite-recursion)
    target_link_options(${target} PRIVATE -static -pthread)
    add_dependencies(guest_tests ${target})
    add_our_test(native/${name} 60 native $<TARGET_FILE:${target}>)
    foreach(platform ${RUNSC_TEST_PLATFORMS})
        add_our_test(${platform}/${name} 120 ${platform} ${run_guest} ${platform}
            ${name} $<TARGET_FILE:${target}>)
    endforeach()
    # Every call that can goes another way than calls usually do.
    if(family MATCHES "^(process|signal|futex|ptrace|mm|security|time)$" AND "seccomp" IN_LIST RUNSC_TEST_PLATFORMS)
        add_our_test(lanes/${name} 120 lanes ${CMAKE_COMMAND} -E env RUN_GUEST_OPTIONS=--lanes=eager
            ${run_guest} seccomp ${name} $<TARGET_FILE:${target}>)
    endif()
    if(family MATCHES "^(socket|inet|netlink)$") # the same on host sockets
        add_our_test(hostnet/${name} 120 hostnet ${tests_dir}/support/run_guest_hostnet
            ${first_platform} ${name} $<TARGET_FILE:${target}>)
    endif()
endforeach()

# ---- repeat: all of them 50 times over, beside a load ------------------------------------------------

option(RUNSC_TEST_FULL "also the heavy tests: servers, whole suites, fuzzing; takes hours" OFF)
if(RUNSC_TEST_FULL)
    foreach(platform ${RUNSC_TEST_PLATFORMS})
        add_our_test(${platform}/repeat 28800 full ${tests_dir}/support/repeat_guest ${platform} 50)
    endforeach()
endif()

# Runs a command on a host that refuses some system calls.
add_executable(deny_syscall ${tests_dir}/support/deny_syscall.c)
target_link_libraries(deny_syscall PRIVATE runsc_flags PkgConfig::libseccomp)

# The guest program of runtime/fuzz.
add_executable(syscall_fuzz ${tests_dir}/support/syscall_fuzz.c)
target_compile_definitions(syscall_fuzz PRIVATE _GNU_SOURCE)
target_link_options(syscall_fuzz PRIVATE -static -pthread)

# ---- runtime tests: tests/runtime/<group>/<name>.sh -----------------------------------------------
# programs/: the script runs natively and in the sandbox, and everything it leaves is compared.
# Other groups: the script is the test; $RUNSC is the binary.

file(GLOB runtime_sources CONFIGURE_DEPENDS RELATIVE ${tests_dir}/runtime
     ${tests_dir}/runtime/*/*.sh)
foreach(source ${runtime_sources})
    string(REGEX REPLACE "\\.sh$" "" name ${source})
    if(name MATCHES "^programs/")
        foreach(platform ${RUNSC_TEST_PLATFORMS})
            add_our_test(${platform}/${name} 600 programs ${tests_dir}/support/compare_program
                ${platform} ${tests_dir}/runtime/${source})
            if(TEST ${RUNSC_TEST_PREFIX}${platform}/${name}) # its native runs would see each other
                set_tests_properties(${RUNSC_TEST_PREFIX}${platform}/${name} PROPERTIES
                    RESOURCE_LOCK ${name})
            endif()
        endforeach()
    else()
        add_our_test(runtime/${name} 300 runtime ${tests_dir}/runtime/${source})
    endif()
endforeach()

# The long versions of two of them: 50 kills, 1,000 lives.
option(RUNSC_TEST_FULL "also the heavy tests: servers, whole suites, fuzzing; takes hours" OFF)
if(RUNSC_TEST_FULL)
    add_our_test(runtime/lifecycle/random_kills_50 1800 full ${tests_dir}/runtime/lifecycle/random_kills.sh 50)
    add_our_test(runtime/lifecycle/cycles_1000 3600 full ${tests_dir}/runtime/lifecycle/cycles.sh 1000)
endif()

# ---- servers: tests/servers/<name>.sh, as programs/ but heavier: real servers under their own load tools --

if(RUNSC_TEST_FULL)
    file(GLOB server_sources CONFIGURE_DEPENDS RELATIVE ${tests_dir}/servers ${tests_dir}/servers/*.sh)
    foreach(source ${server_sources})
        string(REGEX REPLACE "\\.sh$" "" name ${source})
        foreach(platform ${RUNSC_TEST_PLATFORMS})
            add_our_test(${platform}/servers/${name} 1800 programs ${tests_dir}/support/compare_program
                ${platform} ${tests_dir}/servers/${source})
            if(TEST ${RUNSC_TEST_PREFIX}${platform}/servers/${name}) # the native run has fixed ports
                set_tests_properties(${RUNSC_TEST_PREFIX}${platform}/servers/${name} PROPERTIES
                    RESOURCE_LOCK servers/${name} LABELS "full;programs")
            endif()
        endforeach()
    endforeach()
endif()

# ---- oci: tests/oci/<name>.sh, real engines and other people's suites; one at a time --------------

if(RUNSC_TEST_FULL)
    file(GLOB oci_sources CONFIGURE_DEPENDS RELATIVE ${tests_dir}/oci ${tests_dir}/oci/*.sh)
    list(REMOVE_ITEM oci_sources lib.sh)
    foreach(source ${oci_sources})
        string(REGEX REPLACE "\\.sh$" "" name ${source})
        add_our_test(oci/${name} 3600 full ${tests_dir}/oci/${source})
        if(TEST ${RUNSC_TEST_PREFIX}oci/${name})
            set_tests_properties(${RUNSC_TEST_PREFIX}oci/${name} PROPERTIES RESOURCE_LOCK oci)
        endif()
    endforeach()
endif()

# ---- compat: suites that others wrote, test by test against Linux (tests/compat/README.md) --------

file(GLOB compat_suites CONFIGURE_DEPENDS RELATIVE ${tests_dir}/compat ${tests_dir}/compat/*/unit)
if(NOT RUNSC_TEST_REPEAT)
    foreach(unit ${compat_suites})
        get_filename_component(suite ${unit} DIRECTORY)
        file(STRINGS ${tests_dir}/compat/${unit} quick REGEX "quick") # suites without have to be fetched
        foreach(platform ${RUNSC_TEST_PLATFORMS})
            if(quick)
                add_our_test(${platform}/compat/${suite} 300 compat ${tests_dir}/compat/compare ${suite}
                    --platform ${platform} --tier quick)
            endif()
            if(RUNSC_TEST_FULL)
                add_our_test(${platform}/compat-full/${suite} 14400 compat
                    ${tests_dir}/compat/compare ${suite} --platform ${platform} --tier full)
            endif()
        endforeach()
    endforeach()
endif()

# ---- lint: tests/lint/*, executable files -----------------------------------------------------------

file(GLOB lint_scripts CONFIGURE_DEPENDS RELATIVE ${tests_dir}/lint ${tests_dir}/lint/*)
list(FILTER lint_scripts EXCLUDE REGEX "\\.(md|txt|awk|py)$")
foreach(script ${lint_scripts})
    add_our_test(lint/${script} 300 lint ${tests_dir}/lint/${script})
endforeach()
add_our_test(syscall-table/up-to-date 60 lint ${CMAKE_SOURCE_DIR}/syscall-table/update --check)

# ---- fuzz targets: tests/fuzz/*.c, corpus replay and a minute each -----------------------------------

if(RUNSC_TEST_FULL)
    file(GLOB fuzz_sources CONFIGURE_DEPENDS RELATIVE ${tests_dir}/fuzz ${tests_dir}/fuzz/*.c)
    foreach(source ${fuzz_sources})
        string(REGEX REPLACE "\\.c$" "" target ${source})
        add_our_test(fuzz/${target} 1200 full ${tests_dir}/fuzz/run ${target} 60)
    endforeach()
endif()
