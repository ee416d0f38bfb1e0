// SPDX-License-Identifier: Apache-2.0
// support/child_process.h - other programs in tests: run to their end, or kept as a server and
// stopped by pid.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {

struct Finished {
  int status = -1;  // Exit status; 128 + signal when killed; 127 when the program is not there.
  std::string out;  // Standard output.
  std::string err;  // Standard error.
};

// Runs `argv` (found through PATH) with `input` on standard input. After `timeout` it is killed.
[[nodiscard]] Finished run_program(const std::vector<std::string>& argv,
                                   std::string_view input = {},
                                   core::Duration timeout = std::chrono::seconds{120});

// A program that runs beside the test. Its output is kept, for when the test fails.
class ChildProcess : core::Pinned {
 public:
  explicit ChildProcess(const std::vector<std::string>& argv, std::string_view input = {});
  ~ChildProcess();  // As stop().

  // False when it ended within `patience`; true when it still runs after it.
  [[nodiscard]] bool runs_for(core::Duration patience);
  // SIGTERM, and SIGKILL when that did not end it within `patience`. Returns as Finished::status.
  int stop(core::Duration patience = std::chrono::seconds{20});

  // Does nothing once it has ended.
  void signal(int number) const;
  // As Finished::status; nothing when it still runs after `patience`.
  [[nodiscard]] std::optional<int> wait(core::Duration patience);

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::string out() const;
  [[nodiscard]] std::string err() const;

 private:
  int wait_status();

  pid_t pid_ = -1;
  int pid_fd_ = -1;
  int out_fd_ = -1;
  int err_fd_ = -1;
  int status_ = -1;
};

// A port, of TCP and of UDP, that nobody has at any address, for programs that cannot choose one themselves. It is not given
// again, to no test program of this machine, while this process lives; and the kernel gives it to nobody.
[[nodiscard]] int free_port();

}  // namespace watchwheel::testing
