// SPDX-License-Identifier: Apache-2.0
// support/haproxy.h - HAProxy with the frontends and backends that a test writes.
#pragma once

#include <functional>
#include <string>

#include "support/real_server.h"

namespace watchwheel::testing {

class Haproxy : public RealServer {
 public:
  // `proxies`: the sections after "defaults", from the ports it got and its directory. In defaults: mode http, timeouts of 5 s.
  Haproxy(std::size_t ports,
          const std::function<std::string(const TempDir& dir, const Ports& ports)>& proxies);
};

}  // namespace watchwheel::testing
