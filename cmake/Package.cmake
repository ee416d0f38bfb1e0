# SPDX-License-Identifier: Apache-2.0
# What is installed beside the binary, and the Debian package: `cpack -G DEB` in a build directory.
#
# The package neither enables nor starts the service: there is nothing to watch before the first site.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # Only what is installed has to be built: no tests, no tools.

install(FILES config/watchwheel.service config/watchwheel-verifier.service DESTINATION lib/systemd/system)
install(FILES config/watchwheel.toml DESTINATION /etc/watchwheel)
install(FILES config/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
install(DIRECTORY docs/reference DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")

# Debian wants it compressed, without name and time, so that two builds give the same bytes.
set(changelog "${CMAKE_CURRENT_BINARY_DIR}/changelog.gz")
execute_process(COMMAND gzip -9nc "${CMAKE_CURRENT_SOURCE_DIR}/config/debian/changelog"
                OUTPUT_FILE "${changelog}" COMMAND_ERROR_IS_FATAL ANY)
install(FILES "${changelog}" DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME watchwheel)
set(CPACK_PACKAGE_VENDOR "The Watchwheel authors")
set(CPACK_PACKAGE_CONTACT "The Watchwheel authors <maintainers@watchwheel.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "streaming uptime monitor for large fleets of web sites")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, tzdata")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "prometheus")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Watchwheel checks up to millions of HTTP and HTTPS sites, each on its own
interval, confirms what it saw before it calls a site down, and keeps every
change of state as an event. It runs as one systemd service with one
configuration file and an embedded store, and is scraped by Prometheus.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${CMAKE_CURRENT_SOURCE_DIR}/config/debian/conffiles"
  "${CMAKE_CURRENT_SOURCE_DIR}/config/debian/postinst"
  "${CMAKE_CURRENT_SOURCE_DIR}/config/debian/prerm"
  "${CMAKE_CURRENT_SOURCE_DIR}/config/debian/postrm")
include(CPack)
