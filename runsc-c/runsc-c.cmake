# SPDX-License-Identifier: Apache-2.0
# The product: one binary with three roles.
file(GLOB_RECURSE cli_sources CONFIGURE_DEPENDS runsc-c/*.c)
add_executable(runsc-c ${cli_sources})
target_link_libraries(runsc-c PRIVATE runsc_flags
    -Wl,--start-group sentry_boot sentry_syscalls sentry_proc sentry_kernel sentry_loader sentry_net
    sentry_fs sentry_mm sentry_core gofer gofer_proto runsc_platform platform_ptrace runsc_host
    runsc_base syscall_dispatch -Wl,--end-group
    PkgConfig::jansson PkgConfig::liburing PkgConfig::libcap_ng Threads::Threads)
target_link_options(runsc-c PRIVATE -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
    -Wl,-z,separate-code)
if(RUNSC_STATIC)
    target_link_options(runsc-c PRIVATE -static)
endif()
install(TARGETS runsc-c RUNTIME DESTINATION bin)
