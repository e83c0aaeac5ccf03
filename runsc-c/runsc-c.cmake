# SPDX-License-Identifier: Apache-2.0
# The product: one binary with three roles.
file(GLOB_RECURSE cli_sources CONFIGURE_DEPENDS runsc-c/*.c)
# The style and script of compat's page are embedded as bytes.
set(page_dir ${CMAKE_SOURCE_DIR}/runsc-c/compat)
set_source_files_properties(${page_dir}/page_assets.S PROPERTIES
    COMPILE_DEFINITIONS "PAGE_CSS=\"${page_dir}/page.css\";PAGE_JS=\"${page_dir}/page.js\""
    OBJECT_DEPENDS "${page_dir}/page.css;${page_dir}/page.js")
# A library, so that unit tests can link parts of it.
list(FILTER cli_sources EXCLUDE REGEX "runsc-c/main\\.c$")
add_library(runsc_cli STATIC ${cli_sources} ${page_dir}/page_assets.S)
target_link_libraries(runsc_cli PUBLIC runsc_flags runsc_base PkgConfig::jansson)
add_executable(runsc-c runsc-c/main.c)
target_link_libraries(runsc-c PRIVATE runsc_flags
    -Wl,--start-group runsc_cli sentry_boot sentry_syscalls sentry_proc sentry_kernel sentry_loader sentry_net
    sentry_fs sentry_mm sentry_core gofer gofer_proto runsc_platform platform_ptrace
    platform_seccomp platform_stub runsc_host
    runsc_base syscall_dispatch -Wl,--end-group
    PkgConfig::jansson PkgConfig::liburing PkgConfig::libcap_ng PkgConfig::libseccomp Threads::Threads)
target_link_options(runsc-c PRIVATE -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
    -Wl,-z,separate-code)
if(RUNSC_STATIC)
    target_link_options(runsc-c PRIVATE -static)
endif()
install(TARGETS runsc-c RUNTIME DESTINATION bin)
include(runsc-c/packaging.cmake)
