// SPDX-License-Identifier: Apache-2.0
// support/checker_driver.h - runs a real Checker on the test's thread until its results are there.
//
// CheckerDriver driver;                                  // loopback allowed core::CheckOptions
// options; const core::ProbeResult result = driver.check(server.url("/"), options);
//
// Owns     a checker, its clock and the results that came.
// Thread   the test's.
// Bounded  run() ends at its deadline of real time, which is far beyond what a test needs: it fails
//          there, it does not hang.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checker/checker.h"
#include "core/check_options.h"
#include "core/clock.h"
#include "core/probe.h"

namespace watchwheel::testing {

// Settings under which servers on 127.0.0.1 and ::1 may be asked. `resolvers` as FakeDns::endpoint() gives them.
[[nodiscard]] checker::Settings loopback_settings(std::vector<std::string> resolvers = {});

class CheckerDriver final : public checker::ResultHandler {
 public:
  explicit CheckerDriver(const checker::Settings& settings = loopback_settings());
  ~CheckerDriver() override;

  [[nodiscard]] checker::Checker& checker() { return *checker_; }
  [[nodiscard]] core::SteadyTime now() const { return clock_.steady(); }
  // Moves the checker's two clocks on, between checks.
  void move_on(core::Duration by) {
    clock_.steady_by += by;
    clock_.wall_by += by;
  }
  // Sets its wall clock, forward or back.
  void step_wall(core::Duration by) { clock_.wall_by += by; }

  // One probe from start to result. Fails the test when the options cannot be prepared or no result comes.
  [[nodiscard]] core::ProbeResult check(std::string_view url,
                                        const core::CheckOptions& options = {});

  // Starts without waiting; results collect under the token.
  checker::Start start(checker::ProbeToken token, std::string_view url,
                       const core::CheckOptions& options = {});
  // Turns the checker until `count` results have come in all, or the deadline has passed. True when they came.
  bool run(std::size_t count, std::chrono::milliseconds deadline = std::chrono::seconds{30});
  // One turn, waiting at most `wait` for something to do.
  void turn_once(std::chrono::milliseconds wait);

  [[nodiscard]] std::size_t results() const { return count_; }
  // The results of a token, in the order they came.
  [[nodiscard]] const std::vector<core::ProbeResult>& results_of(checker::ProbeToken token) {
    return results_[token];
  }
  // Called at each result, before it is kept. For tests that start from there.
  std::function<void(checker::ProbeToken, const core::ProbeResult&)> hook;

  void on_result(checker::ProbeToken token, core::ProbeResult&& result) noexcept override;

 private:
  // The machine's, moved by what the test says. On one thread.
  struct Clock final : core::Clock {
    core::SystemClock machine;
    core::Duration steady_by{}, wall_by{};
    [[nodiscard]] core::SteadyTime steady() const override { return machine.steady() + steady_by; }
    [[nodiscard]] core::WallTime wall() const override { return machine.wall() + wall_by; }
    void sleep_for(core::Duration d) const override { machine.sleep_for(d); }
  };
  Clock clock_;
  std::unique_ptr<checker::Checker> checker_;
  std::map<std::string, checker::PlanRef> plans_;
  std::map<checker::ProbeToken, std::vector<core::ProbeResult>> results_;
  std::size_t count_ = 0;
  checker::ProbeToken next_token_ = 1'000'000'000;
};

}  // namespace watchwheel::testing
