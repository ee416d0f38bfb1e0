// SPDX-License-Identifier: Apache-2.0
// support/mariadb.h - a MariaDB server of a test's own, durable as a real one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/real_server.h"

namespace watchwheel::testing {

// The files of a server that has never run, to be copied. Made once a process: it takes two seconds. Throws when it cannot.
[[nodiscard]] const std::string& empty_mariadb_data();

// Root may come in without a password, from this machine. What `options` gives comes last on the command line; files that it
// writes into the server's directory can be read by the server.
class MariaDb : public RealServer {
 public:
  using Options = std::function<std::vector<std::string>(const TempDir& dir)>;
  explicit MariaDb(const Options& options = {});

  // "mysql://root@127.0.0.1:PORT/database".
  [[nodiscard]] std::string url(const std::string& database) const;
};

}  // namespace watchwheel::testing
