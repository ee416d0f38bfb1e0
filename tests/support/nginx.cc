// SPDX-License-Identifier: Apache-2.0
#include "support/nginx.h"

namespace watchwheel::testing {

Nginx::Nginx(std::size_t ports,
             const std::function<std::string(const TempDir& dir, const Ports& ports)>& http)
    : RealServer(
          {.name = "nginx", .ports = ports, .prepare = [&](const TempDir& dir, const Ports& got) {
             std::string conf = "daemon off;\nmaster_process off;\nerror_log stderr warn;\npid " +
                                dir.file("nginx.pid") +
                                ";\nevents { worker_connections 1024; }\nhttp {\n" +
                                "access_log off;\ndefault_type text/html;\n";
             for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
               conf += std::string(kind) + "_temp_path " + dir.file(kind) + ";\n";
             dir.write("nginx.conf", conf + http(dir, got) + "}\n");
             return std::vector<std::string>{
                 server_program("nginx"), "-p", dir.path(), "-e", "stderr", "-c",
                 dir.file("nginx.conf")};
           }}) {}

}  // namespace watchwheel::testing
