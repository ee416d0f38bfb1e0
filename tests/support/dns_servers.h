// SPDX-License-Identifier: Apache-2.0
// support/dns_servers.h - Knot DNS with the zones that a test writes, and Unbound with its local data and stubs.
#pragma once

#include <string>
#include <vector>

#include "support/real_server.h"

namespace watchwheel::testing {

struct Zone {
  std::string name;     // "shop.test", without the last dot.
  std::string records;  // In zone file form; SOA and NS are there already. TTL 60.
  bool is_signed = false;
};

class Knot : public RealServer {
 public:
  explicit Knot(const std::vector<Zone>& zones);

  [[nodiscard]] std::string endpoint() const { return "127.0.0.1:" + std::to_string(port()); }
  // The DS record of a signed zone, for who has to trust it.
  [[nodiscard]] std::string ds(const std::string& zone) const;
};

class Unbound : public RealServer {
 public:
  // `server`: lines within "server:", `rest`: what comes after it. It validates. What no line is about does not exist, and it
  // can ask only loopback.
  Unbound(const std::string& server, const std::string& rest);

  [[nodiscard]] std::string endpoint() const { return "127.0.0.1:" + std::to_string(port()); }
};

}  // namespace watchwheel::testing
