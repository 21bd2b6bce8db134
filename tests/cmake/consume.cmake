# One step of the packaging tests: `cmake -DSTEP=... -P consume.cmake`; CMakeLists.txt lists the arguments.
#
# An install is moved before anybody uses it, and its first place no longer exists then, so whatever still points
# there fails. Programs are checked for what they really link: the wrong one of two libraries runs as well.

cmake_minimum_required(VERSION 3.22...3.30)

set(prefix "${WORK}/moved ${CONFIG}/some where")
set(build "${WORK}/build/${NAME}")
set(common -G "${GENERATOR}" "-DCMAKE_MAKE_PROGRAM=${MAKE_PROGRAM}"
  "-DCMAKE_C_COMPILER=${CC}" "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_BUILD_TYPE=${CONFIG}")
set(library "-DKV_CARGO=${CARGO}" "-DKV_CARGO_FLAGS=${CARGO_FLAGS}" "-DKV_CARGO_TARGET_DIR=${TARGET_DIR}")

# Runs a command, shows it, and ends the test if it fails.
function(run)
  list(JOIN ARGV " " shown)
  message("$ ${shown}")
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed (${result}): ${shown}")
  endif()
endfunction()

function(configure_and_build source)
  file(REMOVE_RECURSE "${build}")
  run("${CMAKE_COMMAND}" -S "${source}" -B "${build}" ${common} ${ARGN})
  run("${CMAKE_COMMAND}" --build "${build}" --config "${CONFIG}")
endfunction()

# Runs a consumer, and proves that it uses libkv.so.N, or none.
function(check_program program)
  run("${program}")
  execute_process(COMMAND readelf --dynamic "${program}" OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCH "^[0-9]+" major "${VERSION}")
  if(LINK STREQUAL shared AND NOT dynamic MATCHES "NEEDED[^\n]*\\[libkv\\.so\\.${major}\\]")
    message(FATAL_ERROR "${program} was to need libkv.so.${major}:\n${dynamic}")
  endif()
  if(LINK STREQUAL static AND dynamic MATCHES "NEEDED[^\n]*libkv")
    message(FATAL_ERROR "${program} was to hold libkv, but needs it at run time:\n${dynamic}")
  endif()
endfunction()

# The names that c-abi.md and README.md promise, and not one byte in the text files about where it was before.
function(check_prefix)
  set(shared "${prefix}/lib/libkv.so")
  string(REGEX MATCH "^[0-9]+" major "${VERSION}")
  foreach(link IN ITEMS "${shared}=libkv.so.${major}" "${shared}.${major}=libkv.so.${VERSION}"
                        "${prefix}/lib/libkv-static.a=libkv.a")
    string(REPLACE "=" ";" link "${link}")
    list(GET link 0 from)
    list(GET link 1 to)
    file(READ_SYMLINK "${from}" points_to)
    if(NOT points_to STREQUAL to)
      message(FATAL_ERROR "${from} points to ${points_to}, not to ${to}")
    endif()
  endforeach()
  file(GLOB_RECURSE text "${prefix}/lib/cmake/*" "${prefix}/lib/pkgconfig/*" "${prefix}/include/*")
  list(LENGTH text count)
  if(NOT count EQUAL 6)
    message(FATAL_ERROR "6 text files belong into an install, there are ${count}: ${text}")
  endif()
  foreach(file IN LISTS text)
    file(READ "${file}" content)
    foreach(place IN ITEMS "${WORK}" "${SOURCE}" "${TARGET_DIR}")
      string(FIND "${content}" "${place}" at)
      if(NOT at EQUAL -1)
        message(FATAL_ERROR "${file} names ${place}: it cannot be moved")
      endif()
    endforeach()
  endforeach()
endfunction()

if(STEP STREQUAL install)
  set(first "${WORK}/first ${CONFIG}")
  file(REMOVE_RECURSE "${first}" "${prefix}")
  configure_and_build("${SOURCE}" ${library} -DKV_TESTS=OFF "-DCMAKE_INSTALL_PREFIX=${first}" -DCMAKE_INSTALL_LIBDIR=lib)
  run("${CMAKE_COMMAND}" --install "${build}" --config "${CONFIG}")
  get_filename_component(parent "${prefix}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  file(RENAME "${first}" "${prefix}")
  check_prefix()

elseif(STEP STREQUAL find_package)
  if(LINK STREQUAL static)
    set(shared OFF)
  else()
    set(shared ON)
  endif()
  string(REGEX MATCH "^[0-9]+\\.[0-9]+" wanted "${VERSION}")
  foreach(language IN ITEMS C CXX)
    configure_and_build("${CMAKE_CURRENT_LIST_DIR}/find_package" "-DCMAKE_PREFIX_PATH=${prefix}"
      -DBUILD_SHARED_LIBS=${shared} -DCONSUMER_EXPECTS=kv::${LINK} -DCONSUMER_LANGUAGE=${language}
      "-DCONSUMER_VERSION=${wanted}" "-DCONSUMER_COMPONENTS=COMPONENTS;${LINK}")
    string(REPLACE "CXX" "cpp" program "${language}")
    string(TOLOWER "${program}" program)
    check_program("${build}/consumer_${program}")
  endforeach()

elseif(STEP STREQUAL pkg_config)
  set(module libkv)
  if(LINK STREQUAL static)
    set(module libkv-static)
  endif()
  set(ENV{PKG_CONFIG_PATH} "${prefix}/lib/pkgconfig")
  configure_and_build("${CMAKE_CURRENT_LIST_DIR}/pkg_config" -DCONSUMER_MODULE=${module})
  check_program("${build}/consumer_c")
  check_program("${build}/consumer_cpp")

elseif(STEP STREQUAL command_line)
  # What a person types. A run path, because the prefix is none of the system's.
  set(ENV{PKG_CONFIG_PATH} "${prefix}/lib/pkgconfig")
  file(REMOVE_RECURSE "${build}")
  file(MAKE_DIRECTORY "${build}")
  if(LINK STREQUAL static)
    set(flags "$(pkg-config --cflags --libs libkv-static)")
  else()
    set(flags "$(pkg-config --cflags --libs libkv)")
    set(ENV{LD_LIBRARY_PATH} "${prefix}/lib")
  endif()
  set(strict "-Wall -Wextra -pedantic -Werror")
  # `eval` undoes the quoting that pkg-config puts around the space in the prefix.
  run(sh -c "eval '${CC}' -std=c99 ${strict} '${CMAKE_CURRENT_LIST_DIR}/consumer.c' ${flags} -o '\"${build}/c\"'")
  run(sh -c "eval '${CXX}' -std=c++17 ${strict} '${CMAKE_CURRENT_LIST_DIR}/consumer.cpp' ${flags} -o '\"${build}/cpp\"'")
  check_program("${build}/c")
  check_program("${build}/cpp")

elseif(STEP MATCHES "^(add_subdirectory|fetch_content)$")
  set(fetch OFF)
  if(STEP STREQUAL fetch_content)
    set(fetch ON)
  endif()
  if(LINK STREQUAL static)
    set(shared OFF)
  else()
    set(shared ON)
  endif()
  configure_and_build("${CMAKE_CURRENT_LIST_DIR}/add_subdirectory" ${library} "-DKV_SOURCE=${SOURCE}"
    -DCONSUMER_FETCH=${fetch} -DBUILD_SHARED_LIBS=${shared} -DCONSUMER_EXPECTS=kv::${LINK})
  check_program("${build}/consumer_c")

elseif(STEP STREQUAL multi_config)
  # Debug and Release side by side in one build tree.
  set(GENERATOR "Ninja Multi-Config")
  list(POP_FRONT common)
  list(POP_FRONT common)
  list(PREPEND common -G "${GENERATOR}")
  configure_and_build("${CMAKE_CURRENT_LIST_DIR}/add_subdirectory" ${library} "-DKV_SOURCE=${SOURCE}"
    -DBUILD_SHARED_LIBS=ON -DCONSUMER_EXPECTS=kv::shared)
  run("${CMAKE_COMMAND}" --build "${build}" --config Release)
  check_program("${build}/Debug/consumer_c")
  check_program("${build}/Release/consumer_c")

elseif(STEP STREQUAL clang)
  list(APPEND common "-DCMAKE_C_COMPILER=${CLANG}" "-DCMAKE_CXX_COMPILER=${CLANGXX}")
  configure_and_build("${SOURCE}" ${library} -DKV_TESTS=ON)
  get_filename_component(bin "${CMAKE_COMMAND}" DIRECTORY)
  run("${bin}/ctest" --test-dir "${build}" --output-on-failure --no-tests=error -LE package)

elseif(STEP STREQUAL refusals)
  # What must fail does, and says why.
  foreach(case IN ITEMS "CONSUMER_VERSION=99.0|compatible with requested version"
                        "CONSUMER_COMPONENTS=COMPONENTS+turbo|libkv has no component")
    string(REGEX MATCH "^([^|]*)\\|(.*)$" _ "${case}")
    set(message "${CMAKE_MATCH_2}")
    string(REPLACE "+" ";" define "${CMAKE_MATCH_1}")
    file(REMOVE_RECURSE "${build}")
    execute_process(COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/find_package" -B "${build}" ${common}
        "-DCMAKE_PREFIX_PATH=${prefix}" -DCONSUMER_EXPECTS=kv::shared -DCONSUMER_LANGUAGE=C "-D${define}"
      RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    string(REGEX REPLACE "[ \n]+" " " output "${output}")
    if(result EQUAL 0 OR NOT output MATCHES "${message}")
      message(FATAL_ERROR "with ${define} it was to fail and say `${message}`; it said: ${output}")
    endif()
  endforeach()

else()
  message(FATAL_ERROR "unknown STEP `${STEP}`")
endif()
