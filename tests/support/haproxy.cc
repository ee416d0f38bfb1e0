// SPDX-License-Identifier: Apache-2.0
#include "support/haproxy.h"

namespace watchwheel::testing {

Haproxy::Haproxy(std::size_t ports,
                 const std::function<std::string(const TempDir& dir, const Ports& ports)>& proxies)
    : RealServer(
          {.name = "haproxy", .ports = ports, .prepare = [&](const TempDir& dir, const Ports& got) {
             dir.write("haproxy.cfg",
                       "global\n maxconn 500\n nbthread 1\n"
                       "defaults\n mode http\n timeout client 5s\n timeout server 5s\n"
                       " timeout connect 2s\n" +
                           proxies(dir, got));
             return std::vector<std::string>{server_program("haproxy"), "-db", "-f",
                                             dir.file("haproxy.cfg")};
           }}) {}

}  // namespace watchwheel::testing
