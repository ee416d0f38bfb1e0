// SPDX-License-Identifier: Apache-2.0
#include "support/apache.h"

#include <array>

namespace watchwheel::testing {
namespace {

constexpr std::array kModules{
    "mpm_event", "authz_core", "authn_core", "authn_file", "authz_user",   "auth_basic",
    "alias",     "dir",        "mime",       "autoindex",  "deflate",      "filter",
    "headers",   "rewrite",    "setenvif",   "ssl",        "socache_shmcb"};

}  // namespace

Apache::Apache(std::size_t ports,
               const std::function<std::string(const TempDir& dir, const Ports& ports)>& conf)
    : RealServer({.name = "apache2",
                  .ports = ports,
                  .prepare =
                      [&](const TempDir& dir, const Ports& got) {
                        std::string text = "ServerRoot \"" + dir.path() + "\"\nPidFile \"" +
                                           dir.file("apache.pid") + "\"\nErrorLog \"" +
                                           dir.file("error.log") +
                                           "\"\nServerName localhost\nDefaultRuntimeDir \"" +
                                           dir.path() + "\"\nTypesConfig /etc/mime.types\n";
                        for (const char* module : kModules)
                          text += "LoadModule " + std::string(module) +
                                  "_module /usr/lib/apache2/modules/mod_" + module + ".so\n";
                        for (const int port : got)
                          text += "Listen 127.0.0.1:" + std::to_string(port) + "\n";
                        dir.write("apache.conf", text + conf(dir, got));
                        return std::vector<std::string>{server_program("apache2"), "-X", "-f",
                                                        dir.file("apache.conf")};
                      },
                  .as_nobody = true}) {}

}  // namespace watchwheel::testing
