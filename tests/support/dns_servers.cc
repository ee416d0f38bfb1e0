// SPDX-License-Identifier: Apache-2.0
#include "support/dns_servers.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sstream>
#include <stdexcept>

namespace watchwheel::testing {
namespace {

// The SOA of `zone` asked over UDP: the response code; -1 when nothing came within 200 ms.
int asked_for_soa(int port, const std::string& zone) {
  std::string query("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
  std::istringstream labels(zone);
  for (std::string label; std::getline(labels, label, '.');)
    query += static_cast<char>(label.size()) + label;
  query += std::string("\x00\x00\x06\x00\x01", 5);

  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  sendto(fd, query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
  pollfd answer{.fd = fd, .events = POLLIN, .revents = 0};
  unsigned char bytes[512];
  const bool came = poll(&answer, 1, 200) == 1 && recv(fd, bytes, sizeof bytes, 0) >= 12;
  close(fd);
  return came ? bytes[3] & 15 : -1;
}

}  // namespace

Knot::Knot(const std::vector<Zone>& zones)
    : RealServer({.name = "knotd",
                  .ports = 1,
                  .prepare =
                      [&](const TempDir& dir, const Ports& got) {
                        std::string conf =
                            "server:\n  rundir: \"" + dir.path() + "\"\n  listen: 127.0.0.1@" +
                            std::to_string(got[0]) +
                            "\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
                            "log:\n  - target: stderr\n    any: warning\n"
                            "database:\n  storage: \"" +
                            dir.path() +
                            "\"\npolicy:\n  - id: sign\n    algorithm: ecdsap256sha256\n"
                            "    single-type-signing: on\n"
                            "template:\n  - id: default\n    storage: \"" +
                            dir.path() +
                            "\"\n    file: \"%s.zone\"\n    zonefile-load: whole\n"
                            "    zonefile-sync: -1\nzone:\n";
                        for (const Zone& zone : zones) {
                          conf += "  - domain: " + zone.name + "\n";
                          if (zone.is_signed)
                            conf += "    dnssec-signing: on\n    dnssec-policy: sign\n";
                          dir.write(zone.name + ".zone",
                                    "$ORIGIN " + zone.name +
                                        ".\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n"
                                        "@ NS ns\nns A 127.0.0.1\n" +
                                        zone.records);
                        }
                        dir.write("knot.conf", conf);
                        return std::vector<std::string>{server_program("knotd"), "-c",
                                                        dir.file("knot.conf")};
                      },
                  .answers =
                      [&](const Ports& got) {
                        for (const Zone& zone : zones)
                          if (asked_for_soa(got[0], zone.name) != 0) return false;
                        return true;
                      }}) {}

std::string Knot::ds(const std::string& zone) const {
  const Finished done =
      run_program({server_program("keymgr"), "-c", dir().file("knot.conf"), zone + ".", "ds"});
  // Of several digests the first: "shop.test. DS 18210 13 2 297c35…".
  const std::string first = done.out.substr(0, done.out.find('\n'));
  if (done.status != 0 || first.find(" DS ") == std::string::npos)
    throw std::runtime_error("keymgr gives no DS of " + zone + ": " + done.out + done.err);
  return first;
}

Unbound::Unbound(const std::string& server, const std::string& rest)
    : RealServer(
          {.name = "unbound",
           .ports = 1,
           .prepare =
               [&](const TempDir& dir, const Ports& got) {
                 const std::string port = std::to_string(got[0]);
                 dir.write("unbound.conf",
                           "server:\ninterface: 127.0.0.1@" + port + "\nport: " + port +
                               "\ndo-daemonize: no\nusername: \"\"\nchroot: \"\"\ndirectory: \"" +
                               dir.path() + "\"\npidfile: \"" + dir.file("unbound.pid") +
                               "\"\nuse-syslog: no\nlogfile: \"\"\noutgoing-interface: 127.0.0.1\n"
                               "do-not-query-localhost: no\ndo-ip6: no\n"
                               "module-config: \"validator iterator\"\nlocal-zone: \".\" static\n" +
                               server + "remote-control:\ncontrol-enable: no\n" + rest);
                 return std::vector<std::string>{server_program("unbound"), "-d", "-c",
                                                 dir.file("unbound.conf")};
               },
           .answers = [](const Ports& got) { return asked_for_soa(got[0], "ready.test") >= 0; }}) {}

}  // namespace watchwheel::testing
