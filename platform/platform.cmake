# SPDX-License-Identifier: Apache-2.0
# Host filters: BPF generated from syscall-table/host.tbl by a build tool, linked into runsc_host.
add_executable(host_filter_gen ${CMAKE_SOURCE_DIR}/syscall-table/host_filter_gen.c)
target_link_libraries(host_filter_gen PRIVATE runsc_flags PkgConfig::libseccomp)
set(host_filters ${CMAKE_BINARY_DIR}/gen/host_filters.c)
set(host_tables ${CMAKE_SOURCE_DIR}/syscall-table/host.tbl)
if(RUNSC_SANITIZE) # its runtime makes calls of its own
    list(APPEND host_tables ${CMAKE_SOURCE_DIR}/syscall-table/host_sanitizer.tbl)
endif()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/gen)
add_custom_command(
    OUTPUT ${host_filters}
    COMMAND host_filter_gen ${host_filters} ${host_tables}
    DEPENDS host_filter_gen ${host_tables}
    COMMENT "Generating host system call filters"
    VERBATIM)
target_sources(runsc_host PRIVATE ${host_filters})
