# SPDX-License-Identifier: Apache-2.0
# How a room, a tool and a test suite are built.
add_library(watchwheel_warnings INTERFACE)
target_compile_options(watchwheel_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Werror)

# _FORTIFY_SOURCE needs an optimised build and does not mix with the sanitizers' own interceptors.
if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT WATCHWHEEL_SANITIZE)
  add_compile_options(-D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection)
endif()

if(WATCHWHEEL_SANITIZE)
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)  # False alarms of g++ 12 in instrumented library code.
  add_compile_options(-fsanitize=${WATCHWHEEL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WATCHWHEEL_SANITIZE})
  if(WATCHWHEEL_SANITIZE MATCHES "thread")
    add_compile_options(-Wno-tsan)  # Asio's fences, which the sanitizer does not follow; its mutexes it does.
  endif()
endif()

if(WATCHWHEEL_FUZZ)
  # Warnings are g++'s work: those that clang alone has must not stop the fuzzing.
  set_property(TARGET watchwheel_warnings PROPERTY INTERFACE_COMPILE_OPTIONS "")
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# watchwheel_room(NAME [LINKS ...] [PRIVATE ...]): the library of src/NAME, named watchwheel_NAME.
# Headers are included as "room/header.h"; only what LINKS names can be included from a header.
function(watchwheel_room name)
  cmake_parse_arguments(room "" "" "LINKS;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  add_library(watchwheel_${name} STATIC ${sources})
  target_include_directories(watchwheel_${name} PUBLIC "${CMAKE_SOURCE_DIR}/src")
  target_link_libraries(watchwheel_${name} PUBLIC ${room_LINKS} PRIVATE ${room_PRIVATE} watchwheel_warnings)
endfunction()
