# How a test is declared, and what the variants of a build tree (KV_SANITIZE, KV_VALGRIND) do to all tests
# below the root. A variant that was asked for and cannot run is an error; nothing is skipped.
#
#   kv_add_test(<name> SOURCES <file>... [STATIC | PLANTED | NO_KV] [STANDARD <n>] [LIBRARIES <lib>...]
#               [DEFINITIONS <A=1>...] [OPTIONS <flag>...] [ARGS <argument>...] [LABELS <label>...] [TIMEOUT <seconds>])
#
# makes a program that links kv::kv (kv::static, kv::planted, or none), with warnings as errors and without
# extensions of the compiler, and a ctest of that name which passes when the program exits with 0.

set(KV_CONFORMANCE_DIR "${PROJECT_SOURCE_DIR}/tests/conformance")

if(KV_SANITIZE STREQUAL "address")
  # -fno-sanitize-recover: undefined behaviour fails the test rather than printing a line.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=address,undefined)
  add_compile_definitions(KV_TEST_ASAN=1)
endif()

if(KV_VALGRIND)
  find_program(KV_VALGRIND_PROGRAM valgrind)
  if(NOT KV_VALGRIND_PROGRAM)
    message(FATAL_ERROR "KV_VALGRIND=ON needs valgrind, which was not found. Install it (`apt-get install valgrind`), "
      "name it with -DKV_VALGRIND_PROGRAM=/path/to/valgrind, or configure with -DKV_VALGRIND=OFF.")
  endif()
  set(kv_valgrind "${KV_VALGRIND_PROGRAM}" --quiet --error-exitcode=97 --leak-check=full
    --errors-for-leak-kinds=definite,indirect --show-leak-kinds=definite,indirect --trace-children=no --fair-sched=yes)
  # The same thing under two names: before 3.29 the emulator was CMake's only way to start a test through a program.
  if(CMAKE_VERSION VERSION_LESS 3.29)
    set(CMAKE_CROSSCOMPILING_EMULATOR "${kv_valgrind}")
  else()
    set(CMAKE_TEST_LAUNCHER "${kv_valgrind}")
  endif()
  add_compile_definitions(KV_TEST_VALGRIND=1)
endif()

# kv::planted is a libkv without remote stores in which a test can make any function panic. Only tests ever link it. It
# is the same for every variant of a build tree, and made where the libkv of the memory checkers is, with which it shares
# all but one crate. Cargo gives both the same name, so it is copied away at once, and the two are never built at the
# same time.
set(kv_planted_file "${CMAKE_CURRENT_BINARY_DIR}/stage/planted/${kv_static_name}")
add_custom_target(kv_cargo_planted
  COMMAND ${kv_cargo_build} --profile=dev --target-dir "${kv_checked_dir}"
    --no-default-features --features planted-panics
  COMMAND "${CMAKE_COMMAND}" -E make_directory "${CMAKE_CURRENT_BINARY_DIR}/stage/planted"
  COMMAND "${CMAKE_COMMAND}" -E copy_if_different
    "${kv_checked_dir}/${KV_RUST_TARGET}/debug/${kv_static_name}" "${kv_planted_file}"
  BYPRODUCTS "${kv_planted_file}"
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
  COMMENT "libkv with planted panics: cargo build"
  USES_TERMINAL VERBATIM)
add_dependencies(kv_cargo_planted kv_cargo)
add_library(kv::planted STATIC IMPORTED GLOBAL)
set_target_properties(kv::planted PROPERTIES IMPORTED_LOCATION "${kv_planted_file}")
target_include_directories(kv::planted INTERFACE "${PROJECT_SOURCE_DIR}/include")
target_link_libraries(kv::planted INTERFACE ${kv_system_libs})
add_dependencies(kv::planted kv_cargo_planted)

set(kv_warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)

function(kv_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 test "STATIC;PLANTED;NO_KV" "STANDARD;TIMEOUT"
    "SOURCES;LIBRARIES;DEFINITIONS;OPTIONS;ARGS;LABELS")
  if(test_UNPARSED_ARGUMENTS OR test_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "kv_add_test(${name}): not understood: ${test_UNPARSED_ARGUMENTS} ${test_KEYWORDS_MISSING_VALUES}")
  endif()

  string(REPLACE "." "_" program "${name}")
  set(program "test_${program}")
  add_executable(${program} ${test_SOURCES})
  if(test_STATIC)
    target_link_libraries(${program} PRIVATE kv::static)
  elseif(test_PLANTED)
    target_link_libraries(${program} PRIVATE kv::planted)
  elseif(NOT test_NO_KV)
    target_link_libraries(${program} PRIVATE kv::kv)
  else()
    # It may still open the library at run time.
    target_include_directories(${program} PRIVATE "${PROJECT_SOURCE_DIR}/include")
    add_dependencies(${program} kv_cargo)
  endif()
  find_package(Threads REQUIRED)
  target_link_libraries(${program} PRIVATE ${test_LIBRARIES} Threads::Threads)
  target_compile_options(${program} PRIVATE ${kv_warnings} ${test_OPTIONS})
  target_compile_definitions(${program} PRIVATE ${test_DEFINITIONS})

  # STANDARD is of the language of the first source.
  list(GET test_SOURCES 0 first)
  if(first MATCHES "\\.c$")
    set(language C)
    set(standard 99)
  else()
    set(language CXX)
    set(standard 17)
  endif()
  if(test_STANDARD)
    set(standard "${test_STANDARD}")
  endif()
  set_target_properties(${program} PROPERTIES
    ${language}_STANDARD ${standard} ${language}_STANDARD_REQUIRED ON ${language}_EXTENSIONS OFF)

  add_test(NAME ${name} COMMAND ${program} ${test_ARGS})
  kv_limit_test(${name} "${test_TIMEOUT}" ${test_LABELS})
endfunction()

# Labels, and a time limit that only a hang can reach: the checkers slow a program down by 3 to 30 times.
function(kv_limit_test name timeout)
  if(NOT timeout)
    set(timeout 300)
  endif()
  if(KV_VALGRIND)
    math(EXPR timeout "${timeout} * 6")
  elseif(KV_SANITIZE)
    math(EXPR timeout "${timeout} * 2")
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} LABELS "${ARGN}")
endfunction()
