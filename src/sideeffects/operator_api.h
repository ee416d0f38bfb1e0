// SPDX-License-Identifier: Apache-2.0
// sideeffects/operator_api.h - what people do to an open event: acknowledge it, say something, close it.
//
//   command, API -> ask(): a request in the store -> waiting(): the process that has the site -> its shard: a transition, and the request
//   is done in the transaction that stores it (event_store_api.h)
//
// Only the shard writes to an event: it alone knows what the site's lane is saying at the same moment.
//
// Thread   one at a time. Calls block.
// Bounded  kRequestsMax requests that wait; texts are cut (kWhyBytesMax, kWhoBytesMax). What is done is kept for a week.
// Fails    core::Error. ask(): NotFound: there is no such event; Invalid: it is over; Unavailable also when too many requests wait.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"

namespace watchwheel::sideeffects {

enum class Act : std::uint8_t {
  Ack,  // Somebody is on it: nobody is reminded any more.
  Comment,
  Close,  // For us it is over. What fails from then on is an event of its own.
};
inline constexpr std::array<std::string_view, 3> kActNames{"ack", "comment", "close"};
[[nodiscard]] constexpr std::string_view to_string(Act act) {
  return kActNames.at(static_cast<std::size_t>(act));
}
[[nodiscard]] constexpr std::optional<Act> parse_act(std::string_view name) {
  for (std::size_t i = 0; i < kActNames.size(); ++i) {
    if (kActNames.at(i) == name) return static_cast<Act>(i);
  }
  return std::nullopt;
}

using RequestId = core::Id<struct RequestIdTag, std::uint64_t>;

inline constexpr std::size_t kRequestsMax = 1000;
inline constexpr std::size_t kWhoBytesMax = 128;
inline constexpr std::size_t kWhyBytesMax = 1000;
inline constexpr std::size_t kSourceBytesMax = 32;
inline constexpr std::size_t kRequestKeyBytesMax = 128;

// Who did it, how and why: part of the transition that it made.
struct ByHand {
  RequestId request;
  Act act = Act::Comment;
  std::string who;
  std::string why;
  std::string source;  // One word: "command", "api".
  friend bool operator==(const ByHand&, const ByHand&) = default;
};

struct OperatorRequest {
  ByHand by;  // Its id is given by ask().
  core::EventId event;
  // By which one that is sent twice is known; at most kRequestKeyBytesMax bytes. "": each is one of its own.
  std::string key{};
  // Of those that are read:
  core::SiteId site{};
  core::WallTime event_started_at = core::kNoWallTime;
  bool over = false;  // The event has ended, or is gone, before the request was taken.
  core::WallTime asked_at = core::kNoWallTime;
  friend bool operator==(const OperatorRequest&, const OperatorRequest&) = default;
};

struct RequestOutcome {
  bool waits = true;
  std::string refused;  // Why; "": it was done, or waits.
  core::WallTime done_at = core::kNoWallTime;
  OperatorRequest request{};  // What was asked: by, event, asked_at.
};

class OperatorDesk {
 public:
  virtual ~OperatorDesk() = default;

  // For those who ask. With a key that a request has already nothing is asked: that request is the answer, whatever it asks and
  // however it ended, for as long as it is kept.
  [[nodiscard]] virtual core::Result<RequestId> ask(const OperatorRequest& request) = 0;
  [[nodiscard]] virtual core::Result<RequestOutcome> outcome(RequestId request) = 0;

  // For those who do it. Oldest first, at most kRequestsMax.
  [[nodiscard]] virtual core::Result<std::vector<OperatorRequest>> waiting() = 0;
  // Does nothing to one that is done.
  [[nodiscard]] virtual core::Result<void> refuse(RequestId request, const std::string& why) = 0;
};

}  // namespace watchwheel::sideeffects
