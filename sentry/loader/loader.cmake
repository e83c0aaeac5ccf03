# SPDX-License-Identifier: Apache-2.0
# The vDSO: a shared object for the guest, without our usual flags (it must be freestanding, with no
# stack protector, sanitizer or relocation), embedded into sentry_loader as bytes.
set(vdso_dir ${CMAKE_SOURCE_DIR}/sentry/loader/vdso)
set(vdso_so ${CMAKE_BINARY_DIR}/gen/vdso.so)
add_custom_command(
    OUTPUT ${vdso_so}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/gen
    COMMAND ${CMAKE_C_COMPILER} -std=gnu17 -O2 -m64 -fPIC -ffreestanding -fno-stack-protector
        -fno-sanitize=all -fcf-protection=none -mno-red-zone -fno-builtin -fvisibility=default
        -Wall -Wextra -Werror -I${CMAKE_SOURCE_DIR} -shared -nostdlib
        -Wl,-soname=linux-vdso.so.1 -Wl,--hash-style=both -Wl,--build-id=sha1 -Wl,-Bsymbolic
        -Wl,--no-undefined -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--eh-frame-hdr
        -Wl,-T,${vdso_dir}/vdso.lds -o ${vdso_so} ${vdso_dir}/vdso_image.c
    DEPENDS ${vdso_dir}/vdso_image.c ${vdso_dir}/vdso_data.h ${vdso_dir}/vdso.lds
    VERBATIM)
add_custom_target(vdso_so DEPENDS ${vdso_so})
target_sources(sentry_loader PRIVATE ${CMAKE_SOURCE_DIR}/sentry/loader/vdso_image.S)
add_dependencies(sentry_loader vdso_so)
set_source_files_properties(${CMAKE_SOURCE_DIR}/sentry/loader/vdso_image.S PROPERTIES
    COMPILE_DEFINITIONS "VDSO_FILE=\"${vdso_so}\"" OBJECT_DEPENDS ${vdso_so})
