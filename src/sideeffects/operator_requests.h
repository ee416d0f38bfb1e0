// SPDX-License-Identifier: Apache-2.0
// sideeffects/operator_requests.h - what people ask of open events (operator_api.h), as a shard takes it.
//
// Owns     what waits, as last read: a close that the lane answers while the desk is away is still somebody's.
// Thread   the shard's, for every call.
// Bounded  kRequestsMax requests.
// Fails    the desk cannot be read: counted, asked again later. A request waits in the store until it is done or refused, so nothing
//          that goes wrong here loses one, and what is asked twice of a lane is done once.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "sideeffects/operator_api.h"

namespace watchwheel::sideeffects {

struct RequestStats {
  core::Counter done;
  core::Counter refused;
  core::Counter errors;  // Of the desk.
};

class OperatorRequests : core::Pinned {
 public:
  static constexpr core::Duration kReadEach = std::chrono::seconds{1};
  static constexpr core::Duration kReadAgain = std::chrono::seconds{5};  // After an error.

  explicit OperatorRequests(RequestStats& stats) : stats_(stats) {}

  void attach(OperatorDesk& desk) { desk_ = &desk; }
  [[nodiscard]] bool due(core::SteadyTime now) const { return desk_ != nullptr && now >= read_at_; }
  // Nothing: nobody can ask anything.
  [[nodiscard]] std::optional<core::SteadyTime> next() const {
    return desk_ == nullptr ? std::nullopt : std::optional(read_at_);
  }

  void put_off(core::SteadyTime now) { read_at_ = now + kReadEach; }

  // What waits of sites that are `mine`, oldest first; none while the desk cannot be read. What is of an event that is over is
  // refused here.
  [[nodiscard]] const std::vector<OperatorRequest>& read(
      core::SteadyTime now, const std::function<bool(core::SiteId)>& mine);
  void refuse(RequestId request, const std::string& why);
  void done(std::size_t count) { stats_.done.add(count); }

  // Who asked for this close, as last read. Null: nobody that we know of.
  [[nodiscard]] const OperatorRequest* closing(core::SiteId site, core::WallTime started_at) const;

 private:
  OperatorDesk* desk_ = nullptr;
  core::SteadyTime read_at_ = core::SteadyTime::min();
  std::vector<OperatorRequest> waiting_;
  RequestStats& stats_;
};

}  // namespace watchwheel::sideeffects
