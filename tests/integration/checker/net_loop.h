// SPDX-License-Identifier: Apache-2.0
// A reactor and the loop around it, for tests of what stands on one. Time can be made to run faster than the clock on the wall,
// so that seconds of silence need not be waited for; and it can be skipped.
#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "checker/reactor.h"
#include "core/clock.h"

namespace watchwheel::checker {

class NetLoop {
 public:
  explicit NetLoop(std::int64_t speed = 1, std::size_t events_max = 64)
      : speed_(speed),
        start_(clock_.steady()),
        reactor_(std::move(Reactor::make(events_max)).value()) {}

  [[nodiscard]] Reactor& reactor() { return *reactor_; }
  [[nodiscard]] core::SteadyTime now() const {
    return start_ + (clock_.steady() - start_) * speed_ + skipped_;
  }
  void skip(core::Duration by) { skipped_ += by; }

  // Turns until `done`, for at most `limit` of the loop's time. Returns whether it came to be.
  bool run_until(const std::function<bool()>& done,
                 core::Duration limit = std::chrono::seconds{10}) {
    const auto end = now() + limit;
    while (!done()) {
      if (now() >= end) return false;
      pollfd ready{reactor_->descriptor(), POLLIN, 0};
      auto wake = end;
      if (const auto timer = reactor_->next_timer()) wake = std::min(wake, *timer);
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>((wake - now()) / speed_).count();
      ::poll(&ready, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 20)));
      reactor_->run(now());
    }
    return true;
  }
  void run_for(core::Duration time) {
    run_until([] { return false; }, time);
  }

 private:
  core::SystemClock clock_;
  std::int64_t speed_;
  core::SteadyTime start_;
  core::Duration skipped_{};
  std::unique_ptr<Reactor> reactor_;
};

}  // namespace watchwheel::checker
