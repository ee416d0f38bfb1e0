// SPDX-License-Identifier: Apache-2.0
// fake_prober.h - a network that answers as a script says, in virtual time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "checker/prober.h"

namespace watchwheel::sim {

struct Answer {
  core::Cause cause = core::Cause::Ok;
  core::Duration after = std::chrono::milliseconds{50};
  std::string address{};  // The one talked to; "": none was reached.
};

// What the site of `url` answers to a probe started at `now`.
using Network = std::function<Answer(std::string_view url, core::SteadyTime now)>;
// Told just before a result is handed to the lane.
using Delivered =
    std::function<void(std::string_view url, core::Cause cause, core::SteadyTime started)>;

class FakeProber final : public checker::Prober {
 public:
  FakeProber(const core::Clock& clock, Network network, Delivered delivered)
      : clock_(clock), network_(std::move(network)), delivered_(std::move(delivered)) {}
  void report_to(checker::ResultHandler& handler) { handler_ = &handler; }

  core::Result<checker::PlanRef> prepare(const core::CheckOptions& options) override;
  checker::Start start(checker::ProbeToken token, std::string_view url,
                       const checker::PlanRef& plan, core::SteadyTime now) override;
  void cancel_all(core::SteadyTime now) override;
  void set_in_flight_limit(std::size_t limit) override { limit_ = limit; }
  [[nodiscard]] std::size_t in_flight() const override { return waiting_.size(); }

  // Delivers what is answered by `now`, in the order of the answers.
  void turn(core::SteadyTime now);
  [[nodiscard]] std::optional<core::SteadyTime> next() const;
  [[nodiscard]] std::size_t most_in_flight() const { return most_in_flight_; }
  [[nodiscard]] std::size_t limit_seen() const { return limit_; }

 private:
  struct Waiting {
    core::SteadyTime at;
    std::uint64_t order = 0;
    checker::ProbeToken token = 0;
    core::Cause cause = core::Cause::Ok;
    core::SteadyTime started;
    core::WallTime started_at;
    std::string url;
    std::string address;
    bool operator<(const Waiting& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  void deliver(const Waiting& one, core::Cause cause, core::SteadyTime now);

  const core::Clock& clock_;
  Network network_;
  Delivered delivered_;
  checker::ResultHandler* handler_ = nullptr;
  std::priority_queue<Waiting> waiting_;
  std::uint64_t orders_ = 0;
  std::size_t limit_ = 0;
  std::size_t most_in_flight_ = 0;
};

}  // namespace watchwheel::sim
