# What an install holds, and nothing else:
#
#   include/kv.h  include/kv.hpp  include/kv/{files,many,options,result,value}.hpp
#   lib/libkv.so -> libkv.so.0 -> libkv.so.0.1.0    lib/libkv.a    lib/libkv-static.a -> libkv.a
#   lib/cmake/kv/kv-config.cmake  kv-config-version.cmake
#   lib/pkgconfig/libkv.pc  libkv-static.pc
#
# libkv-static.a is there for pkg-config: -lkv takes the shared library, and an archive by its path is put before
# the objects that need it by CMake's pkg-config module. -lkv-static works everywhere.
#
# Every path in the last four is relative to the file itself, so an install can be moved. A prefix holds one
# configuration of the library; it serves consumers of any configuration.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(FILES include/kv.h include/kv.hpp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT kv)
install(FILES include/kv/batch.hpp include/kv/files.hpp include/kv/many.hpp include/kv/options.hpp include/kv/result.hpp
  include/kv/scan.hpp include/kv/value.hpp include/kv/watch.hpp
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/kv" COMPONENT kv)
install(PROGRAMS "${kv_stage}/${kv_shared_name}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT kv)
install(FILES "${kv_stage}/${kv_soname}" "${kv_stage}/${kv_shared_built}" "${kv_stage}/${kv_static_name}" "${kv_stage}/${kv_static_link}"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT kv)

set(kv_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/kv")
set(KV_INCLUDE_DIR "${CMAKE_INSTALL_INCLUDEDIR}")
set(KV_LIB_DIR "${CMAKE_INSTALL_LIBDIR}")
configure_package_config_file(cmake/kv-config.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/kv-config.cmake"
  INSTALL_DESTINATION "${kv_cmake_dir}" PATH_VARS KV_INCLUDE_DIR KV_LIB_DIR)
# Before 1.0 a minor version may break, as Cargo has it.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(kv_compatibility SameMinorVersion)
else()
  set(kv_compatibility SameMajorVersion)
endif()
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/kv-config-version.cmake"
  COMPATIBILITY ${kv_compatibility})
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/kv-config.cmake" "${CMAKE_CURRENT_BINARY_DIR}/kv-config-version.cmake"
  DESTINATION "${kv_cmake_dir}" COMPONENT kv)

# pkg-config: ${pcfiledir} is the folder of the .pc file; the way from there to the prefix is worked out here.
# Absolute CMAKE_INSTALL_LIBDIR or _INCLUDEDIR, as some distributions set, are kept as they are.
file(RELATIVE_PATH kv_pc_to_prefix "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/+$" "" kv_pc_to_prefix "${kv_pc_to_prefix}")
foreach(dir IN ITEMS LIB INCLUDE)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}DIR}")
    set(kv_pc_${dir}dir "${CMAKE_INSTALL_${dir}DIR}")
  else()
    set(kv_pc_${dir}dir "\${prefix}/${CMAKE_INSTALL_${dir}DIR}")
  endif()
endforeach()
list(TRANSFORM kv_system_libs PREPEND "-l" OUTPUT_VARIABLE kv_pc_system_libs)
list(JOIN kv_pc_system_libs " " kv_pc_system_libs)
foreach(pc IN ITEMS libkv libkv-static)
  configure_file(cmake/${pc}.pc.in "${CMAKE_CURRENT_BINARY_DIR}/${pc}.pc" @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${pc}.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT kv)
endforeach()
