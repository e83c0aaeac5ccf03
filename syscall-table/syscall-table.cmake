# SPDX-License-Identifier: Apache-2.0
# The generator, what it generates, and the two libraries made of that:
#   syscall_tables    descriptors for --strace and the data of `runsc-c syscalls`; needs nothing
#   syscall_dispatch  the dispatch array; needs every sys_ function
# Target syscall_gen is what a layer that includes gen/syscall_protos.h depends on.

add_library(syscall_table_tool STATIC syscall-table/table.c syscall-table/flagset.c
    syscall-table/emit_dispatch.c syscall-table/emit_strace.c syscall-table/emit_docs.c)
target_link_libraries(syscall_table_tool PUBLIC runsc_flags)
add_executable(gen_tool syscall-table/gen.c)
target_link_libraries(gen_tool PRIVATE syscall_table_tool)

set(gen_dir ${CMAKE_BINARY_DIR}/gen)
file(MAKE_DIRECTORY ${gen_dir})
file(GLOB flag_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/syscall-table/flags/*.in)
set(gen_outputs ${gen_dir}/syscall_protos.h ${gen_dir}/syscall_dispatch.c
    ${gen_dir}/syscall_strace.c ${gen_dir}/syscall_table_data.c ${gen_dir}/syscall_impl.txt
    ${gen_dir}/SUPPORT.md)
# Outputs keep their time when their text is the same; the stamp carries the rule's own time.
add_custom_command(
    OUTPUT ${gen_dir}/syscall.stamp
    BYPRODUCTS ${gen_outputs}
    COMMAND gen_tool ${CMAKE_SOURCE_DIR}/syscall-table/x86_64.tbl
            ${CMAKE_SOURCE_DIR}/syscall-table/flags ${gen_dir}
    COMMAND ${CMAKE_COMMAND} -E touch ${gen_dir}/syscall.stamp
    DEPENDS gen_tool ${CMAKE_SOURCE_DIR}/syscall-table/x86_64.tbl ${flag_files}
    COMMENT "Generating the system call table"
    VERBATIM)
add_custom_target(syscall_gen DEPENDS ${gen_dir}/syscall.stamp)
set_source_files_properties(${gen_outputs} PROPERTIES GENERATED TRUE)

add_library(syscall_tables STATIC ${gen_dir}/syscall_strace.c ${gen_dir}/syscall_table_data.c)
target_link_libraries(syscall_tables PUBLIC runsc_flags)
add_dependencies(syscall_tables syscall_gen)

add_library(syscall_dispatch STATIC ${gen_dir}/syscall_dispatch.c)
target_link_libraries(syscall_dispatch PUBLIC sentry_syscalls)
# kernel/ calls syscall_dispatch() although it lies below: the archive member is asked for by name,
# so that one pass over the archives finds everything.
target_link_options(syscall_dispatch INTERFACE LINKER:--undefined=syscall_dispatch)
add_dependencies(syscall_dispatch syscall_gen)

foreach(layer sentry_kernel sentry_proc sentry_syscalls)
    add_dependencies(${layer} syscall_gen)
endforeach()
target_link_libraries(sentry_syscalls PUBLIC syscall_tables)
target_link_libraries(sentry_boot PUBLIC syscall_dispatch)
