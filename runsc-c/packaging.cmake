# SPDX-License-Identifier: Apache-2.0
# `cpack` makes the Debian package. The binary is static: it depends on nothing.
include(GNUInstallDirs)
set(packaging_dir ${CMAKE_SOURCE_DIR}/runsc-c/packaging)
set(packaging_out ${CMAKE_BINARY_DIR}/packaging)
file(STRINGS ${CMAKE_SOURCE_DIR}/runsc-c/version.h version_line REGEX RUNSC_C_VERSION)
string(REGEX REPLACE ".*\"(.*)\".*" "\\1" package_version "${version_line}")

# Compressed as Debian wants it: best, without name and time.
foreach(pair runsc-c.1=runsc-c.1.gz changelog=changelog.gz)
    string(REPLACE "=" ";" pair ${pair})
    list(GET pair 0 plain)
    list(GET pair 1 packed)
    add_custom_command(OUTPUT ${packaging_out}/${packed}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${packaging_out}
        COMMAND gzip -9nc ${packaging_dir}/${plain} > ${packaging_out}/${packed}
        DEPENDS ${packaging_dir}/${plain} VERBATIM)
    list(APPEND packed_files ${packaging_out}/${packed})
endforeach()
# Notices and versions of what is linked in.
add_custom_command(OUTPUT ${packaging_out}/licenses/versions
    COMMAND sh ${packaging_dir}/licenses ${packaging_out}/licenses
    DEPENDS ${packaging_dir}/licenses VERBATIM)
add_custom_target(packaging ALL DEPENDS ${packed_files} ${packaging_out}/licenses/versions)

set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
install(FILES ${packaging_out}/runsc-c.1.gz DESTINATION share/man/man1)
install(FILES ${packaging_dir}/copyright ${packaging_out}/changelog.gz DESTINATION share/doc/runsc-c)
install(DIRECTORY ${packaging_out}/licenses DESTINATION share/doc/runsc-c)
install(FILES ${packaging_dir}/lintian-overrides DESTINATION share/lintian/overrides RENAME runsc-c)
install(FILES ${packaging_dir}/completion.bash DESTINATION share/bash-completion/completions RENAME runsc-c)
install(FILES ${packaging_dir}/completion.zsh DESTINATION share/zsh/vendor-completions RENAME _runsc-c)
install(FILES ${packaging_dir}/completion.fish DESTINATION share/fish/vendor_completions.d RENAME runsc-c.fish)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME runsc-c)
set(CPACK_PACKAGE_VERSION ${package_version})
set(CPACK_PACKAGE_CONTACT "The runsc-c authors <runsc-c@packages.debian.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "application kernel that runs untrusted Linux programs")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "runsc-c is an OCI runtime for Docker, podman, containerd and Kubernetes,
and a launcher for single programs. A user-space kernel answers the system
calls of a program that nobody trusts, so that it never talks to the host's.")
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${CPACK_PACKAGE_CONTACT})
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "docker.io | podman | containerd, uidmap")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_FILE_NAME runsc-c_${package_version})
include(CPack)
