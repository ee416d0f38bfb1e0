// SPDX-License-Identifier: Apache-2.0
// support/nginx.h - nginx with the server blocks that a test writes.
#pragma once

#include <functional>
#include <string>

#include "support/real_server.h"

namespace watchwheel::testing {

class Nginx : public RealServer {
 public:
  // `http`: what stands within http { }, from the ports it got and its directory, which may be filled with pages first. One
  // process, no log; temporary files stay in the directory.
  Nginx(std::size_t ports,
        const std::function<std::string(const TempDir& dir, const Ports& ports)>& http);
};

}  // namespace watchwheel::testing
