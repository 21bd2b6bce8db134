# Compares the system libraries of kv::static (KvCargo.cmake) with what rustc says a static library needs.

execute_process(
  COMMAND "${CMAKE_COMMAND}" -E env --unset=CARGO_BUILD_TARGET
    "${CARGO}" rustc --locked --package kvffi --lib --crate-type staticlib --target-dir "${TARGET_DIR}" ${CARGO_FLAGS}
    -- --print native-static-libs
  WORKING_DIRECTORY "${SOURCE}" RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "cargo rustc failed:\n${output}")
endif()
if(NOT output MATCHES "native-static-libs: ([^\n]*)")
  message(FATAL_ERROR "rustc named no native-static-libs:\n${output}")
endif()

string(REGEX MATCHALL "-l[^ ]+" wanted "${CMAKE_MATCH_1}")
list(TRANSFORM wanted REPLACE "^-l" "")
list(REMOVE_ITEM wanted c System) # the linker adds the C library by itself
list(REMOVE_DUPLICATES wanted)
list(SORT wanted)
list(SORT LIBS)
if(NOT wanted STREQUAL LIBS)
  message(FATAL_ERROR "kv_system_libs in cmake/KvCargo.cmake is `${LIBS}`; rustc needs `${wanted}`")
endif()
