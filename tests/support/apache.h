// SPDX-License-Identifier: Apache-2.0
// support/apache.h - Apache httpd with what a test writes into its configuration.
#pragma once

#include <functional>
#include <string>

#include "support/real_server.h"

namespace watchwheel::testing {

class Apache : public RealServer {
 public:
  // `conf`: what comes after the modules and "Listen" lines, from the ports it got and its directory, which may be filled with
  // pages first. As root it runs as nobody, so pages and keys have to be readable by all.
  Apache(std::size_t ports,
         const std::function<std::string(const TempDir& dir, const Ports& ports)>& conf);
};

}  // namespace watchwheel::testing
