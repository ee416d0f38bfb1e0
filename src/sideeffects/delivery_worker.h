// SPDX-License-Identifier: Apache-2.0
// sideeffects/delivery_worker.h - hands what is due to its channel, and says what became of it: delivered, again later, or given up.
//
// What is sent is a lease, taken by claim() and answered by finish(). So many go to one target at once as its settings say, fewer
// while it fails (one), none while its circuit is open or its rate is used up: such a delivery is not even claimed, and what was
// claimed too early is given back with its attempt. A receiver that is slow or dead holds its own places and nobody else's.
//
//   Delivered   delivered
//   Retry       again after what the receiver asks, else after what the retry policy says; the last attempt buries it
//   Permanent   the same, but buried at the third attempt: some say so by mistake
//   of both: when the receiver has taken some of a message of several requests, it counts as delivered instead of being buried, and is
//               logged: whoever was told of some sites has to hear of their end. Of a mail that some recipients have there are at most
//               kPartMailAttempts. A place that takes something is well: its circuit says so.
//   Gone        buried, with all that waits for the target; nothing is sent to it until its configuration is read again
//   NotSent     given back, with its attempt
//
// What a place says that a reload has replaced meanwhile says nothing about the new one: unless it took the message, that is sent to
// the new place at once.
//
// Owns     what is under way, and of each target its circuit, its rate and its places.
// Thread   turn(), next_turn(), idle(): its own; abandon(): whoever has joined it. set_targets(), note_new(), drain(), targets(): any, one mutex,
//          held to copy. The answers of Channels come on their thread: the same mutex, held to append.
// Bounded  kUnderWayMax attempts, and what Channels takes; all that is due stays in the store.
// Time     steady, for leases, circuits and rates; when something is due is the store's business.
// Fails    store away: no new attempts; what is under way is finished once the store is back, and what was claimed by somebody else
//          meanwhile is counted as stale.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "sideeffects/channel_api.h"
#include "sideeffects/chore.h"
#include "sideeffects/circuit_breaker.h"
#include "sideeffects/delivery_queue_api.h"
#include "sideeffects/rate_limit.h"
#include "sideeffects/routing.h"

namespace watchwheel::sideeffects {

struct DeliveryStats {
  // By channel type, then by outcome.
  std::array<std::array<core::Counter, kSendOutcomes>, kChannelTypes> attempts;
  core::Counter dead;     // Buried by us.
  core::Counter snoozed;  // Given back before anything was sent.
  core::Counter stale;    // Finished after somebody else had claimed it.
  core::Counter errors;   // Of the store.
  core::Counter removed;  // Rows of what is over, older than is kept.
  core::Gauge under_way;
  core::Gauge waiting, dead_letters, oldest_s;  // Of all targets, at the last look.
};

// One target, for whoever looks.
struct TargetReading {
  std::string name;
  ChannelType type = ChannelType::Webhook;
  CircuitState circuit = CircuitState::Closed;
  bool gone = false;
  std::uint32_t under_way = 0;
  std::uint64_t delivered = 0;  // Since the start.
  std::uint64_t failed = 0;     // Attempts.
  std::uint64_t waiting = 0, dead = 0;
  core::Duration oldest{};
  std::string
      last_failure;  // Its detail; "" when the newest attempt was delivered, or there was none.
  core::WallTime last_at = core::kNoWallTime;
};

class DeliveryWorker final : public Chore, core::Pinned {
 public:
  static constexpr std::size_t kUnderWayMax = 256;
  static constexpr std::uint32_t kPermanentAttempts = 3;
  // Of a mail that some recipients have: those that have it do not wait longer for the rest to hear what comes next.
  static constexpr std::uint32_t kPartMailAttempts = 4;

  struct Settings {
    Claimer claimer{};
    core::Duration lease_min = std::chrono::seconds{60};
    core::Duration poll = std::chrono::seconds{1};
    core::Duration level_each = std::chrono::seconds{30};
    // A target that no process has had configured for so long is not coming back: what waits for it is buried. A moment's mistake
    // in the configuration costs nothing.
    core::Duration no_target_after = std::chrono::minutes{10};
    CircuitPolicy circuit{};
    DeliveryRetention retention{};
    std::function<void()> wake = [] {};  // Its thread; called by the channels' thread.
    std::function<void(const std::string&)> warn = [](const std::string&) {};
  };

  DeliveryWorker(Settings settings, DeliveryQueue& queue, Channels& channels,
                 std::shared_ptr<const NotifyTargets> targets, const core::Clock& clock,
                 std::uint64_t seed);
  ~DeliveryWorker() override;

  // From the next turn on. What is under way goes on as it began.
  void set_targets(std::shared_ptr<const NotifyTargets> targets);
  // There is something new to send: the next turn looks. Any thread; the worker's own is to be woken besides.
  void note_new() { new_.store(true); }
  // Nothing new is begun.
  void drain() { draining_.store(true); }
  // Nothing is under way, and all that ended is stored.
  [[nodiscard]] bool idle() const { return under_way_.empty() && finishing_.empty(); }
  // Gives back what is still under way, with its attempts but the first one: the receiver may have it. An answer that comes later is not heard.
  void abandon();

  void turn(core::SteadyTime now) override;
  [[nodiscard]] std::optional<core::SteadyTime> next_turn() const override { return next_; }

  [[nodiscard]] const DeliveryStats& stats() const { return stats_; }
  [[nodiscard]] std::vector<TargetReading> targets() const;

 private:
  struct Target {
    explicit Target(const CircuitPolicy& policy) : circuit(policy) {}
    NotifyTarget settings;
    std::shared_ptr<const ChannelTarget> channel;
    bool configured = true;
    bool gone = false;
    bool failing = false;  // The newest answer was Retry.
    CircuitBreaker circuit;
    TokenBucket rate;
    core::SteadyTime not_before =
        core::kNoSteadyTime;  // We could not send, for a reason of our own.
    std::uint32_t not_sent_row = 0;
    TargetReading reading;
  };
  struct UnderWay {
    std::uint64_t number = 0;  // Of our attempts: which answer is its own.
    std::uint64_t token = 0;
    std::uint32_t attempt = 0;
    std::string target;
    std::shared_ptr<const ChannelTarget> channel;  // As it was configured when the attempt began.
    CircuitBreaker::Pass pass;
    core::SteadyTime begun_at = core::kNoSteadyTime;
  };
  struct Answer {
    DeliveryId id;
    std::uint64_t number = 0;
    SendResult result;
  };
  // Outlives the worker while a channel holds on to a callback.
  struct Inbox {
    std::mutex mutex;
    std::vector<Answer> answers;  // Guarded by mutex.
    std::function<void()> wake;   // Guarded by mutex; empty: nobody listens any more.
  };

  void take_over_targets();
  void take_answers(core::SteadyTime now);
  void answer(const UnderWay& flight, DeliveryId id, const SendResult& result,
              core::SteadyTime now);
  [[nodiscard]] std::variant<Delivered, Retry, Snooze, Bury> verdict(Target& target,
                                                                     const UnderWay& flight,
                                                                     const SendResult& result,
                                                                     core::SteadyTime now);
  [[nodiscard]] std::variant<Delivered, Retry, Snooze, Bury> verdict_of_former(
      const SendResult& result, core::SteadyTime now);
  [[nodiscard]] bool finish();
  [[nodiscard]] bool extend(core::SteadyTime now);
  [[nodiscard]] bool look_at_levels(core::SteadyTime now);
  void purge(core::SteadyTime now);
  [[nodiscard]] bool bury(const std::string& target, DeathReason reason,
                          core::Duration older_than = {});
  [[nodiscard]] bool look_for_new(core::SteadyTime now);
  [[nodiscard]] std::size_t want_from(std::span<const std::string> names, std::vector<Want>& wants,
                                      core::SteadyTime now);
  [[nodiscard]] bool claim(const std::vector<Want>& wants, core::SteadyTime now);
  [[nodiscard]] std::uint32_t room_of(Target& target, core::SteadyTime now);
  void begin(Delivery delivery, core::SteadyTime claimed_at, core::SteadyTime now);
  void give_back(const Delivery& delivery, core::Duration after, core::SteadyTime now);
  void look_again(core::SteadyTime at);
  void plan_next(core::SteadyTime now);
  void publish();
  [[nodiscard]] core::Duration lease() const;
  [[nodiscard]] std::uint64_t random();

  const Settings settings_;
  DeliveryQueue& queue_;
  Channels& channels_;
  const core::Clock& clock_;
  std::uint64_t random_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> new_{false};
  mutable std::mutex mutex_;
  std::shared_ptr<const NotifyTargets> wanted_;  // Guarded by mutex_.
  std::vector<TargetReading> readings_;          // Guarded by mutex_.
  std::shared_ptr<const NotifyTargets> taken_;
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::map<std::string, Target, std::less<>> targets_;
  std::map<DeliveryId, UnderWay> under_way_;
  std::uint64_t begun_ = 0;  // Attempts.
  std::vector<Finish> finishing_;
  std::set<core::SteadyTime> looks_;  // When something known of will be due.
  std::map<std::string, core::SteadyTime> unknown_since_;
  std::size_t first_ = 0;  // Who is looked at first next time.
  bool released_ = false;
  bool again_ = false;  // There is more to do at once.
  core::SteadyTime claim_at_ = core::SteadyTime::min();
  core::SteadyTime extend_at_ = core::SteadyTime::min();
  core::SteadyTime level_at_ = core::SteadyTime::min();
  core::SteadyTime purge_at_ = core::SteadyTime::min();
  core::SteadyTime next_ = core::SteadyTime::min();
  std::uint32_t failures_ = 0;
  DeliveryStats stats_;
};

}  // namespace watchwheel::sideeffects
