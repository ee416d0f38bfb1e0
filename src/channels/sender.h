// SPDX-License-Identifier: Apache-2.0
// channels/sender.h - sends attempts over their channels, on a thread of its own, "channels".
//
// Owns     the thread, libcurl's multi handle, the attempts under way with their transfers and programs.
// Thread   send(): any, also from a `done`. start(), stop(), destructor: the one who made it. `done` runs on the thread
//          "channels".
// Bounded  attempts_max attempts; at most kRequestsAtOnce requests of one (PagerDuty takes a request for each site); how far a
//          message of many requests has come is remembered for kRemembered messages.
// Time     one deadline an attempt, its target's timeout from send() on. Looking up a name happens on threads of libcurl's,
//          and is not waited for when its time is up.
// Fails    as SendResult. make(): Unavailable without memory or descriptors.
//
// Nobody waits for a receiver: transfers and programs are all on one poll. A receiver that hangs holds a place among
// attempts_max until its timeout; who gives work has to see that it does not hold all of them (NotifyTarget::in_flight_max).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"
#include "sideeffects/channel_api.h"

namespace watchwheel::channels {

class Sender final : public sideeffects::Channels, core::Pinned {
 public:
  static constexpr std::size_t kRequestsAtOnce = 8;
  static constexpr std::size_t kRemembered = 64;

  struct Settings {
    std::size_t attempts_max = 64;  // 1 to 10,000.
    std::string user_agent = "Watchwheel";
  };

  [[nodiscard]] static core::Result<std::unique_ptr<Sender>> make(const Settings& settings,
                                                                  const core::Clock& clock);
  // stop() with no time left, if it was not stopped.
  ~Sender() override;

  void start();
  // Lets what is under way end until `deadline`; what is not done then is NotSent, its transfer or program ended. Joins. From
  // then on send() answers NotSent, on the caller's thread.
  void stop(core::SteadyTime deadline);

  void send(sideeffects::Attempt attempt, Done done) override;
  [[nodiscard]] std::size_t attempts_max() const override;
  // Attempts that were given and not answered. Thread: any.
  [[nodiscard]] std::size_t in_flight() const;

 private:
  struct Parts;
  explicit Sender(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::channels
