// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-checker: the engine's own checker under the same load as the floor: names, guard,
// dial, exchange, deadline, body rules, certificate facts and a whole result for every check.
//
// The loop is the lane's without its rows and its schedule: wait on the one descriptor, turn, start.
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/load.h"
#include "checker/checker.h"
#include "checker/tls_decode.h"

namespace {

using namespace watchwheel;
using bench::Load;
using bench::now_s;
using bench::Progress;

class Handler final : public checker::ResultHandler {
 public:
  explicit Handler(Progress& progress) : progress_(progress) {}

  void on_result(checker::ProbeToken, core::ProbeResult&& result) noexcept override {
    ++causes_[static_cast<std::size_t>(result.cause)];
    if (result.cause != core::Cause::Ok && first_failure_.empty()) first_failure_ = result.detail;
    progress_.on_result(result.cause == core::Cause::Ok);
  }

  void tell_failures() const {
    for (std::size_t i = 1; i < causes_.size(); ++i) {
      if (causes_[i] == 0) continue;
      std::fprintf(stderr, "watchwheel-bench-checker: %s: %llu\n",
                   std::string(core::to_string(static_cast<core::Cause>(i))).c_str(),
                   static_cast<unsigned long long>(causes_[i]));
    }
    if (!first_failure_.empty())
      std::fprintf(stderr, "watchwheel-bench-checker: the first: %s\n", first_failure_.c_str());
  }

 private:
  Progress& progress_;
  std::array<std::uint64_t, core::kCauseCount> causes_{};
  std::string first_failure_;
};

template <typename T>
T must(core::Result<T>&& result) {
  if (!result) {
    std::fprintf(stderr, "watchwheel-bench-checker: %s\n", result.error().message.c_str());
    std::exit(3);
  }
  return *std::move(result);
}

// Milliseconds, rounded up: waking before the time would make a turn with nothing to do.
int wait_ms(const checker::Checker& checker, const Progress& progress, core::SteadyTime steady,
            double now) {
  double wait_s = 1;
  if (const auto deadline = checker.next_deadline())
    wait_s = std::min(wait_s, core::to_seconds(*deadline - steady));
  if (const double next = progress.next_start(checker.in_flight()); next > 0)
    wait_s = std::min(wait_s, next - now);
  return wait_s <= 0 ? 0 : static_cast<int>(wait_s * 1e3) + 1;
}

int run(const Load& load) {
  const checker::FastDecoding decoding(true);  // As the daemon does.
  const core::SystemClock clock;
  Progress progress(load);
  Handler handler(progress);
  const auto checker = must(checker::Checker::make(
      {.limits = {.in_flight_max = load.in_flight, .dns_cache_entries_max = load.dns_cache},
       .user_agent = "watchwheel-bench",
       .resolvers = {load.resolver},
       .allow = {"127.0.0.0/8"}},
      clock, handler));
  core::CheckOptions options;
  options.ca_file = load.ca_file;
  options.exchange = load.exchange;
  options.timeout = std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>(load.timeout_s));
  options.connect_timeout = options.timeout;
  const checker::PlanRef plan = must(checker->prepare(options));
  std::vector<std::string> urls;  // As the site table has them ready; making them is not the check.
  urls.reserve(load.sites);
  for (std::uint32_t site = 0; site < load.sites; ++site) urls.push_back(load.url(site));

  pollfd ready{.fd = checker->descriptor(), .events = POLLIN, .revents = 0};
  while (!progress.done()) {
    const core::SteadyTime steady = clock.steady();
    const double now = now_s();
    if (progress.overdue(now)) break;
    for (std::uint64_t n = progress.may_start(checker->in_flight(), now); n > 0; --n) {
      const std::uint32_t site = load.site_of(progress.started());
      if (checker->start(site, urls[site], plan, steady) != checker::Start::Started) break;
      progress.on_start();
    }
    ::poll(&ready, 1, wait_ms(*checker, progress, steady, now));
    checker->turn(clock.steady());
  }
  handler.tell_failures();
  return progress.report();
}

}  // namespace

int main(int argc, char** argv) {
  return run(bench::read_load("watchwheel-bench-checker", argc, argv));
}
