// SPDX-License-Identifier: Apache-2.0
#include "support/checker_driver.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <utility>

namespace watchwheel::testing {

checker::Settings loopback_settings(std::vector<std::string> resolvers) {
  checker::Settings settings;
  settings.limits.in_flight_max = 2000;
  settings.user_agent = "watchwheel-test";
  settings.allow = {"127.0.0.0/8", "::1"};
  settings.resolvers = std::move(resolvers);
  // Nobody there: a test that asks a name must say who answers.
  if (settings.resolvers.empty()) settings.resolvers = {"127.0.0.1:1"};
  return settings;
}

CheckerDriver::CheckerDriver(const checker::Settings& settings) {
  auto made = checker::Checker::make(settings, clock_, *this);
  if (!made) throw std::runtime_error("Checker::make: " + made.error().message);
  checker_ = std::move(*made);
}

CheckerDriver::~CheckerDriver() = default;

core::ProbeResult CheckerDriver::check(std::string_view url, const core::CheckOptions& options) {
  const checker::ProbeToken token = next_token_++;
  const std::size_t before = count_;
  if (start(token, url, options) != checker::Start::Started) {
    ADD_FAILURE() << "not started: " << url;
    return {};
  }
  if (!run(before + 1, options.timeout < std::chrono::seconds{20} ? std::chrono::seconds{30}
                                                                  : std::chrono::seconds{300}) ||
      results_[token].empty()) {
    ADD_FAILURE() << "no result for " << url;
    return {};
  }
  return results_[token].back();
}

checker::Start CheckerDriver::start(checker::ProbeToken token, std::string_view url,
                                    const core::CheckOptions& options) {
  checker::PlanRef& plan = plans_[core::fingerprint(options)];
  if (!plan) {
    auto prepared = checker_->prepare(options);
    if (!prepared) {
      ADD_FAILURE() << "prepare: " << prepared.error().message;
      return checker::Start::Full;
    }
    plan = *prepared;
  }
  return checker_->start(token, url, plan, now());
}

bool CheckerDriver::run(std::size_t count, std::chrono::milliseconds deadline) {
  const core::SteadyTime end = now() + deadline;
  while (count_ < count && now() < end) turn_once(std::chrono::milliseconds{100});
  return count_ >= count;
}

void CheckerDriver::turn_once(std::chrono::milliseconds wait) {
  if (const auto next = checker_->next_deadline()) {
    // Rounded up: a turn a moment before the deadline would do nothing and come again.
    const auto until = std::chrono::ceil<std::chrono::milliseconds>(*next - now());
    wait = std::clamp(until, std::chrono::milliseconds{0}, wait);
  }
  pollfd ready{.fd = checker_->descriptor(), .events = POLLIN, .revents = 0};
  ::poll(&ready, 1, static_cast<int>(wait.count()));
  checker_->turn(now());
}

void CheckerDriver::on_result(checker::ProbeToken token, core::ProbeResult&& result) noexcept {
  ++count_;
  if (hook) hook(token, result);
  results_[token].push_back(std::move(result));
}

}  // namespace watchwheel::testing
