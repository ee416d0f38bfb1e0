# SPDX-License-Identifier: Apache-2.0
# Every library we stand on, each as one target. All come from Debian 12.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(CURL 7.88 REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(ZLIB 1.2.12 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(tomlplusplus 3.3 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)

# Connector/C++ 1.1 brings neither a CMake nor a pkg-config file. It is built on libmariadb.
find_library(WATCHWHEEL_CPPCONN mysqlcppconn REQUIRED)
find_path(WATCHWHEEL_CPPCONN_INCLUDE cppconn/driver.h REQUIRED)
add_library(watchwheel_mysqlcppconn INTERFACE)
target_link_libraries(watchwheel_mysqlcppconn INTERFACE ${WATCHWHEEL_CPPCONN})
target_include_directories(watchwheel_mysqlcppconn SYSTEM INTERFACE ${WATCHWHEEL_CPPCONN_INCLUDE})

# Asio 1.74 needs std::exchange before it is included; without this it does not compile as C++20.
add_library(watchwheel_asio INTERFACE)
target_link_libraries(watchwheel_asio INTERFACE Boost::headers Threads::Threads)
target_compile_options(watchwheel_asio INTERFACE "SHELL:-include utility")
target_compile_definitions(watchwheel_asio INTERFACE BOOST_ASIO_NO_DEPRECATED)

# cctz brings neither of them either.
find_library(WATCHWHEEL_CCTZ cctz REQUIRED)
find_path(WATCHWHEEL_CCTZ_INCLUDE cctz/time_zone.h REQUIRED)
add_library(watchwheel_cctz INTERFACE)
target_link_libraries(watchwheel_cctz INTERFACE ${WATCHWHEEL_CCTZ})
target_include_directories(watchwheel_cctz SYSTEM INTERFACE ${WATCHWHEEL_CCTZ_INCLUDE})

if(WATCHWHEEL_TESTS)
  find_package(GTest 1.12 REQUIRED)
endif()
if(WATCHWHEEL_TOOLS)
  find_package(benchmark 1.7 REQUIRED)
endif()
