// SPDX-License-Identifier: Apache-2.0
// support/sender_process.h - what a process has to do with deliveries, for tests and benches that need several: some that may be killed
// or stopped at any moment, on one store.
//
//   tell    what the daemon has of it: router, worker and webhooks, with one target "ops" at a loopback port. Commits outages besides,
//           when it is given any
//   refuse  the worker, and instead of channels somebody who refuses everything at once: each delivery fails once, as it comes
//   drain   claims and finishes, and sends nothing
//
// Thread   run(): the main one, before any other was made.
// Time     until SIGTERM.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace watchwheel::testing {

struct SenderTask {
  enum class What { Tell, Refuse, Drain };
  What what = What::Tell;
  std::string store;
  std::string node = "one";  // The user agent too.
  int port = 0;
  std::uint32_t in_flight = 4;
  std::uint32_t per_minute = 0;  // 0: as fast as they are taken.
  std::uint32_t burst = 10;
  // What it commits, by what rate: "40:5,130:10": 40 a second for 5 s, then 130 for 10 s. "40:0": 40 at once.
  std::string outages;
  std::string record;        // A file: a line "time count" for each commit. See record_of() too.
  std::uint32_t room = 200;  // Drain: of each target, a claim.
  std::uint32_t targets =
      1;  // Refuse, Drain: "t0", "t1" … instead of "ops" when there are several.
};

// The words of a command line. Here, so that who only starts such a process need not link what it is made of.
[[nodiscard]] inline std::vector<std::string> words_of(const SenderTask& task) {
  return {std::to_string(static_cast<int>(task.what)),
          task.store,
          task.node,
          std::to_string(task.port),
          std::to_string(task.in_flight),
          std::to_string(task.per_minute),
          std::to_string(task.burst),
          task.outages,
          task.record,
          std::to_string(task.room),
          std::to_string(task.targets)};
}
[[nodiscard]] SenderTask task_of(const std::vector<std::string>& words);

// There once the process is ready; what it finishes by Drain stands there, an id a line.
[[nodiscard]] inline std::string record_of(const SenderTask& task) {
  return task.record + "." + task.node;
}

// How many outages there are in all.
[[nodiscard]] std::uint64_t outages_of(const std::string& phases);

// Says, as JSON on standard output, what it did. Its exit status: 0, or 3 and why on standard error.
[[nodiscard]] int run(const SenderTask& task);

}  // namespace watchwheel::testing
