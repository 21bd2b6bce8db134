# Builds kvffi with cargo and describes the result as kv::shared, kv::static and kv::kv.
#
# Cargo writes `libkv.so`; a program that links it looks for its soname at run time. So the result is staged
# in this build tree under the names an install has: libkv.so -> libkv.so.0 -> libkv.so.0.1.0. Cargo decides
# what is stale, therefore it is asked on every build, and staging copies only what changed.
#
# One folder per configuration, so a multi-configuration generator can keep Debug beside Release.

set(KV_CARGO_TARGET_DIR "$ENV{CARGO_TARGET_DIR}" CACHE PATH "cargo's target folder; empty: one inside this build tree")
set(KV_CARGO_FLAGS "" CACHE STRING "more arguments for `cargo build`, as a list; for example --offline")
set(KV_RUST_TARGET "" CACHE STRING "target triple for a cross build; empty: this machine")

find_program(KV_CARGO cargo HINTS ENV CARGO_HOME PATHS "$ENV{HOME}/.cargo" PATH_SUFFIXES bin
  DOC "the cargo that builds libkv")
if(NOT KV_CARGO)
  message(FATAL_ERROR "libkv is built by cargo, which was not found. Install Rust (https://rustup.rs), "
    "or name it with -DKV_CARGO=/path/to/cargo.")
endif()

if(NOT KV_SANITIZE MATCHES "^(address)?$")
  message(FATAL_ERROR "KV_SANITIZE=${KV_SANITIZE} is not known; it may be `address` or empty.")
endif()
if(KV_SANITIZE AND KV_VALGRIND)
  message(FATAL_ERROR "KV_SANITIZE and KV_VALGRIND exclude each other; use one build tree for each.")
endif()

# Memory checkers see only what goes through malloc, so they get a libkv without mimalloc, and with debug
# assertions. It has a target folder of its own, so that it never takes turns with the usual one. KvTest.cmake
# builds there too.
if(KV_CARGO_TARGET_DIR)
  get_filename_component(kv_target_dir "${KV_CARGO_TARGET_DIR}" ABSOLUTE BASE_DIR "${CMAKE_BINARY_DIR}")
else()
  set(kv_target_dir "${CMAKE_CURRENT_BINARY_DIR}/cargo")
endif()
set(kv_checked_dir "${kv_target_dir}/system-alloc")
set(kv_features "")
if(KV_REMOTE)
  list(APPEND kv_features remote)
endif()
if(KV_SANITIZE OR KV_VALGRIND)
  set(kv_target_dir "${kv_checked_dir}")
  set(kv_debug_when "1")
else()
  list(APPEND kv_features mimalloc)
  set(kv_debug_when "$<CONFIG:Debug>")
endif()
list(JOIN kv_features "," kv_features)
set(kv_cargo_features --no-default-features "--features=${kv_features}")

set(kv_cargo_out "${kv_target_dir}")
set(kv_cargo_triple "")
if(KV_RUST_TARGET)
  string(APPEND kv_cargo_out "/${KV_RUST_TARGET}")
  set(kv_cargo_triple "--target=${KV_RUST_TARGET}")
endif()
string(APPEND kv_cargo_out "/$<IF:${kv_debug_when},debug,release>")

# The names on disk.
set(kv_static_name libkv.a)
set(kv_static_link libkv-static.a)
if(APPLE)
  set(kv_shared_built libkv.dylib)
  set(kv_soname libkv.${PROJECT_VERSION_MAJOR}.dylib)
  set(kv_shared_name libkv.${PROJECT_VERSION}.dylib)
  set(kv_soname_property "@rpath/${kv_soname}")
else()
  set(kv_shared_built libkv.so)
  set(kv_soname libkv.so.${PROJECT_VERSION_MAJOR})
  set(kv_shared_name libkv.so.${PROJECT_VERSION})
  set(kv_soname_property "${kv_soname}")
endif()

# The system libraries of a Rust static library: what `rustc --print native-static-libs` says, which
# tests/cmake/native_libs.cmake compares. The C library itself is the linker's business.
if(APPLE)
  set(kv_system_libs iconv m)
else()
  set(kv_system_libs gcc_s util rt pthread m dl)
endif()

# Everything below is per configuration; `kv_stage` is where the current one lands.
if(CMAKE_CONFIGURATION_TYPES)
  set(kv_stage "${CMAKE_CURRENT_BINARY_DIR}/stage/$<CONFIG>")
else()
  set(kv_stage "${CMAKE_CURRENT_BINARY_DIR}/stage")
endif()

# An inherited CARGO_BUILD_TARGET would move cargo's output away from where it is expected.
set(kv_cargo_build "${CMAKE_COMMAND}" -E env --unset=CARGO_BUILD_TARGET
  "${KV_CARGO}" build --locked --package kvffi --lib ${kv_cargo_triple} ${KV_CARGO_FLAGS})

add_custom_target(kv_cargo ALL
  COMMAND ${kv_cargo_build} "$<IF:${kv_debug_when},--profile=dev,--profile=release>"
    --target-dir "${kv_target_dir}" ${kv_cargo_features}
  COMMAND "${CMAKE_COMMAND}" -E make_directory "${kv_stage}"
  COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${kv_cargo_out}/${kv_shared_built}" "${kv_stage}/${kv_shared_name}"
  COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${kv_cargo_out}/${kv_static_name}" "${kv_stage}/${kv_static_name}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "${kv_shared_name}" "${kv_stage}/${kv_soname}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "${kv_soname}" "${kv_stage}/${kv_shared_built}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "${kv_static_name}" "${kv_stage}/${kv_static_link}"
  BYPRODUCTS "${kv_stage}/${kv_shared_name}" "${kv_stage}/${kv_static_name}"
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
  COMMENT "libkv: cargo build"
  COMMAND_EXPAND_LISTS USES_TERMINAL VERBATIM)

# Sets where an imported target's file is: one place, or one for each configuration.
function(kv_set_location target file)
  if(CMAKE_CONFIGURATION_TYPES)
    foreach(config IN LISTS CMAKE_CONFIGURATION_TYPES)
      string(TOUPPER "${config}" upper)
      set_target_properties(${target} PROPERTIES
        IMPORTED_LOCATION_${upper} "${CMAKE_CURRENT_BINARY_DIR}/stage/${config}/${file}")
      if(target STREQUAL "kv::shared")
        set_target_properties(${target} PROPERTIES IMPORTED_SONAME_${upper} "${kv_soname_property}")
      endif()
    endforeach()
    set_property(TARGET ${target} PROPERTY IMPORTED_CONFIGURATIONS ${CMAKE_CONFIGURATION_TYPES})
  else()
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${kv_stage}/${file}")
    if(target STREQUAL "kv::shared")
      set_target_properties(${target} PROPERTIES IMPORTED_SONAME "${kv_soname_property}")
    endif()
  endif()
  target_include_directories(${target} INTERFACE "${PROJECT_SOURCE_DIR}/include")
  add_dependencies(${target} kv_cargo)
endfunction()

add_library(kv::shared SHARED IMPORTED GLOBAL)
kv_set_location(kv::shared "${kv_shared_name}")

add_library(kv::static STATIC IMPORTED GLOBAL)
kv_set_location(kv::static "${kv_static_name}")
target_link_libraries(kv::static INTERFACE ${kv_system_libs})

if(KV_SHARED)
  add_library(kv::kv ALIAS kv::shared)
else()
  add_library(kv::kv ALIAS kv::static)
endif()
