// SPDX-License-Identifier: Apache-2.0
// app/command.h - what all commands share: their streams, their exit statuses, the configuration and the store they work on.
//
// A command is a function from its arguments and an Io to an exit status: results go to `out`, everything else to `err`.
#pragma once

#include <cstddef>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "app/config.h"
#include "app/problem.h"
#include "core/result.h"
#include "db/store.h"

namespace watchwheel::app {

struct Io {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

inline constexpr int kExitOk = 0;
inline constexpr int kExitBad =
    1;  // The thing asked about is bad: site down, configuration invalid, rows rejected.
inline constexpr int kExitUsage = 2;
inline constexpr int kExitTrouble = 3;  // We could not tell, or not do it.

// Says "watchwheel: message" on `err` and returns `status`.
int fail(Io& io, int status, std::string_view message);
// The same for a failed means: Invalid and NotFound are kExitBad, all others kExitTrouble.
int fail(Io& io, const core::Error& error);

// The configuration a command works with: the file named; else kConfigPath where it exists; else the defaults. Nothing, after
// saying why, when the file has errors; the status is then kExitTrouble, for kExitBad would accuse the site asked about.
[[nodiscard]] std::optional<Config> config_for_command(const std::string& path, Io& io);

// The configured store with its schema brought to this version: the embedded store needs no step of its own.
[[nodiscard]] core::Result<std::unique_ptr<db::Store>> open_migrated_store(const Config& config);

// Prints problems as they come: the first `printed_max`, and how many more there were.
class ProblemPrinter {
 public:
  explicit ProblemPrinter(std::ostream& err, std::size_t printed_max = 100)
      : err_(err), printed_max_(printed_max) {}
  void print(const Problem& problem);
  void finish();

 private:
  std::ostream& err_;
  std::size_t printed_max_;
  std::size_t seen_ = 0;
};

}  // namespace watchwheel::app
