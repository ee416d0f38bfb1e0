// SPDX-License-Identifier: Apache-2.0
// support/fake_delivery_queue.h - an Outbox and DeliveryQueue in memory, on a clock that the test moves.
//
// Keeps what delivery_queue_api.h promises, as far as router and worker can tell; the store itself is held to it by its own tests.
// Thread   any: one mutex.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "sideeffects/delivery_queue_api.h"
#include "sideeffects/message.h"

namespace watchwheel::testing {

namespace se = sideeffects;

class FakeDeliveryQueue final : public se::Outbox, public se::DeliveryQueue {
 public:
  struct Row {
    se::DeliveryId id;
    se::NewDelivery what;
    enum class State : std::uint8_t {
      Waiting,
      Leased,
      Done,
      Dead,
      Cancelled
    } state = State::Waiting;
    core::SteadyTime visible_at{};
    core::SteadyTime made_at{};
    std::uint64_t token = 0;
    std::uint32_t attempts = 0;
    std::uint32_t rescues = 0;
    std::uint32_t tries_told = 0;  // Retry verdicts.
    std::optional<se::DeathReason> reason{};
    std::uint64_t run = 0;
  };

  explicit FakeDeliveryQueue(const core::Clock& clock) : clock_(clock) {}

  // A committed transition. The event's row becomes what `notice` says; its site's name, url and tags too.
  se::NoticeId commit(se::Notice notice) {
    const std::lock_guard lock(mutex_);
    notice.id = se::NoticeId{++ids_};
    notice.at = clock_.wall();
    notice.event_known = true;
    events_[notice.event] = notice;
    notices_.push_back({.notice = notice, .due_at = clock_.steady()});
    return notice.id;
  }
  void set_away(bool away) {
    const std::lock_guard lock(mutex_);
    away_ = away;
  }
  void refuse_bodies_with(std::string text) {
    const std::lock_guard lock(mutex_);
    poison_ = std::move(text);
  }
  // So many rows are older than they are kept.
  void set_old_rows(std::uint64_t rows) {
    const std::lock_guard lock(mutex_);
    old_rows_ = rows;
  }
  [[nodiscard]] std::uint64_t old_rows() const {
    const std::lock_guard lock(mutex_);
    return old_rows_;
  }
  [[nodiscard]] int levels_read() const {
    const std::lock_guard lock(mutex_);
    return levels_read_;
  }
  // The next settle() is done and its answer lost.
  void lose_answer() {
    const std::lock_guard lock(mutex_);
    lose_ = true;
  }
  // As when the clock of the store is set forward: every lease has run out.
  void expire_leases() {
    const std::lock_guard lock(mutex_);
    for (Row& row : rows_) {
      if (row.state == Row::State::Leased) row.visible_at = clock_.steady();
    }
  }
  void insert(const se::NewDelivery& delivery) {
    const std::lock_guard lock(mutex_);
    put(delivery);
  }

  [[nodiscard]] std::vector<Row> rows() const {
    const std::lock_guard lock(mutex_);
    return rows_;
  }
  [[nodiscard]] std::vector<Row> rows_of(std::string_view target) const {
    std::vector<Row> of = rows();
    std::erase_if(of, [&](const Row& row) { return row.what.target != target; });
    return of;
  }
  [[nodiscard]] std::size_t notices() const {
    const std::lock_guard lock(mutex_);
    return notices_.size();
  }

  // Those that wait, due or not.
  [[nodiscard]] std::vector<se::Notice> wakes() const {
    const std::lock_guard lock(mutex_);
    std::vector<se::Notice> all;
    for (const Waiting& waiting : notices_) {
      if (waiting.notice.wake) all.push_back(waiting.notice);
    }
    return all;
  }

  // ---- Outbox

  core::Result<std::vector<se::Notice>> take(
      std::size_t limit, const std::function<bool(core::SiteId)>& mine) override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    std::vector<se::Notice> out;
    for (const Waiting& waiting : notices_) {
      if (waiting.due_at > clock_.steady() || !mine(waiting.notice.site)) continue;
      const auto same = [&](const se::Notice& n) { return n.site == waiting.notice.site; };
      if (std::any_of(out.begin(), out.end(), same)) continue;
      out.push_back(now_of(waiting.notice));
      if (out.size() == limit) break;
    }
    return out;
  }

  core::Result<se::Settling> settle(std::span<const se::NoticeId> settled,
                                    std::span<const se::NewDelivery> deliveries,
                                    std::span<const se::NewWake> wakes) override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    for (const se::NoticeId id : settled) {
      if (std::none_of(notices_.begin(), notices_.end(),
                       [&](const Waiting& w) { return w.notice.id == id; }))
        return se::Settling::Stale;
    }
    for (const se::NewDelivery& delivery : deliveries) {
      if (!poison_.empty() && delivery.body.find(poison_) != std::string::npos)
        return core::Error{core::ErrorKind::Invalid, "refused"};
    }
    std::erase_if(notices_, [&](const Waiting& w) {
      return std::find(settled.begin(), settled.end(), w.notice.id) != settled.end();
    });
    for (const se::NewDelivery& delivery : deliveries) {
      if (!delivery.instead_of.empty() && all_untouched(delivery)) {
        for (const se::DeliveryId id : delivery.instead_of) row(id).state = Row::State::Cancelled;
      } else {
        put(delivery);
      }
    }
    for (const se::NewWake& wake : wakes) {
      se::Notice notice;
      notice.id = se::NoticeId{++ids_};
      notice.at = clock_.wall() + wake.delay;
      notice.site = wake.site;
      notice.event = wake.event;
      notice.wake = true;
      notice.memo = wake.memo;
      notices_.push_back({.notice = notice, .due_at = clock_.steady() + wake.delay});
    }
    if (std::exchange(lose_, false))
      return core::Error{core::ErrorKind::Unknown, "the answer is lost"};
    return se::Settling::Done;
  }

  core::Result<Level> level() override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    return Level{.waiting = notices_.size(), .oldest = {}};
  }

  // ---- DeliveryQueue

  core::Result<se::Claimed> claim(std::span<const se::Want> wants, core::Duration lease,
                                  const se::Claimer& claimer) override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    se::Claimed claimed;
    for (const se::Want& want : wants) {
      std::uint32_t room = want.room;
      for (Row& row : rows_) {
        if (row.what.target != want.target || !due(row)) continue;
        if (room == 0) {
          claimed.more = true;
          break;
        }
        --room;
        if (row.state == Row::State::Leased) ++row.rescues;
        row.state = Row::State::Leased;
        row.visible_at = clock_.steady() + lease;
        row.token = ++tokens_;
        row.run = claimer.run;
        ++row.attempts;
        claimed.deliveries.push_back({.id = row.id,
                                      .token = row.token,
                                      .target = row.what.target,
                                      .kind = row.what.kind,
                                      .message_id = row.what.message_id,
                                      .line = row.what.line,
                                      .site = row.what.site,
                                      .body = row.what.body,
                                      .attempt = row.attempts,
                                      .rescues = row.rescues,
                                      .requeues = 0,
                                      .made_at = clock_.wall(),
                                      .waited = {}});
      }
    }
    return claimed;
  }

  core::Result<std::vector<se::DeliveryId>> finish(std::span<const se::Finish> finished) override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    std::vector<se::DeliveryId> lost;
    for (const se::Finish& one : finished) {
      Row& row = this->row(one.id);
      if (row.token != one.token || row.state != Row::State::Leased) {
        lost.push_back(one.id);
        continue;
      }
      if (std::holds_alternative<se::Delivered>(one.verdict)) row.state = Row::State::Done;
      if (const auto* bury = std::get_if<se::Bury>(&one.verdict)) {
        row.state = Row::State::Dead;
        row.reason = bury->reason;
      }
      if (const auto* retry = std::get_if<se::Retry>(&one.verdict)) {
        row.state = Row::State::Waiting;
        row.visible_at = clock_.steady() + retry->after;
        ++row.tries_told;
      }
      if (const auto* snooze = std::get_if<se::Snooze>(&one.verdict)) {
        row.state = Row::State::Waiting;
        row.visible_at = clock_.steady() + snooze->after;
        row.attempts = std::max<std::uint32_t>(row.attempts - 1, snooze->begun ? 1 : 0);
      }
    }
    return lost;
  }

  core::Result<std::vector<se::DeliveryId>> extend(std::span<const se::Held> held,
                                                   core::Duration lease) override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    std::vector<se::DeliveryId> lost;
    for (const se::Held& one : held) {
      Row& row = this->row(one.id);
      if (row.token != one.token || row.state != Row::State::Leased) {
        lost.push_back(one.id);
      } else {
        row.visible_at = clock_.steady() + lease;
      }
    }
    return lost;
  }

  core::Result<std::uint64_t> release_former(const se::Claimer& claimer) override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    std::uint64_t released = 0;
    for (Row& row : rows_) {
      if (row.state != Row::State::Leased || row.run == claimer.run) continue;
      row.visible_at = clock_.steady();
      ++released;
    }
    return released;
  }

  core::Result<std::uint64_t> bury_waiting(std::string_view target, se::DeathReason reason,
                                           std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    std::uint64_t buried = 0;
    for (Row& row : rows_) {
      if (buried == limit) break;
      if (row.what.target != target || row.state != Row::State::Waiting) continue;
      row.state = Row::State::Dead;
      row.reason = reason;
      ++buried;
    }
    return buried;
  }

  core::Result<std::uint64_t> bury_older(std::string_view target, se::DeathReason reason,
                                         core::Duration age, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    std::uint64_t buried = 0;
    for (Row& row : rows_) {
      if (buried == limit) break;
      if (row.what.target != target || row.state != Row::State::Waiting) continue;
      if (clock_.steady() - row.made_at <= age || se::is_end_kind(row.what.kind)) continue;
      row.state = Row::State::Dead;
      row.reason = reason;
      ++buried;
    }
    return buried;
  }

  core::Result<void> note_targets(std::span<const std::string> targets) override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    for (const std::string& target : targets) seen_[target] = clock_.steady();
    return {};
  }

  core::Result<std::vector<se::TargetLevel>> levels() override {
    const std::lock_guard lock(mutex_);
    ++levels_read_;
    if (away_) return unavailable();
    std::map<std::string, se::TargetLevel> by_target;
    for (const Row& row : rows_) {
      se::TargetLevel& level = by_target[row.what.target];
      level.target = row.what.target;
      level.waiting += row.state == Row::State::Waiting ? 1 : 0;
      level.leased += row.state == Row::State::Leased ? 1 : 0;
      level.dead += row.state == Row::State::Dead ? 1 : 0;
      if (row.state == Row::State::Waiting || row.state == Row::State::Leased)
        level.oldest = std::max(level.oldest, clock_.steady() - row.made_at);
    }
    std::vector<se::TargetLevel> all;
    for (auto& [name, level] : by_target) {
      if (const auto seen = seen_.find(name); seen != seen_.end())
        level.seen = clock_.steady() - seen->second;
      all.push_back(level);
    }
    return all;
  }

  core::Result<std::uint64_t> purge(const se::DeliveryRetention&, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    if (away_) return unavailable();
    const std::uint64_t now = std::min<std::uint64_t>(limit, old_rows_);
    old_rows_ -= now;
    return now;
  }

 private:
  struct Waiting {
    se::Notice notice;
    core::SteadyTime due_at{};
  };

  static core::Error unavailable() { return {core::ErrorKind::Unavailable, "the store is away"}; }

  Row& row(se::DeliveryId id) {
    return *std::find_if(rows_.begin(), rows_.end(), [&](const Row& r) { return r.id == id; });
  }
  // The same message twice is the same delivery.
  void put(const se::NewDelivery& delivery) {
    if (std::any_of(rows_.begin(), rows_.end(), [&](const Row& r) {
          return r.what.message_id == delivery.message_id && r.what.target == delivery.target;
        }))
      return;
    rows_.push_back({.id = se::DeliveryId{++ids_},
                     .what = delivery,
                     .visible_at = clock_.steady() + delivery.delay,
                     .made_at = clock_.steady()});
  }
  bool all_untouched(const se::NewDelivery& delivery) {
    return std::all_of(delivery.instead_of.begin(), delivery.instead_of.end(),
                       [&](se::DeliveryId id) {
                         return row(id).state == Row::State::Waiting && row(id).attempts == 0;
                       });
  }
  bool due(const Row& row) const {
    if (row.state != Row::State::Waiting && row.state != Row::State::Leased) return false;
    if (row.visible_at > clock_.steady()) return false;
    for (const Row& before : rows_) {
      if (before.id == row.id) return true;
      if (before.what.target == row.what.target && before.what.line == row.what.line &&
          (before.state == Row::State::Waiting || before.state == Row::State::Leased))
        return false;
    }
    return true;
  }
  // As its event stands now.
  se::Notice now_of(const se::Notice& given) const {
    se::Notice notice = given;
    const auto event = events_.find(given.event);
    if (event == events_.end()) return notice;
    const se::Notice& row = event->second;
    notice.event_known = true;
    notice.kind = row.kind;
    notice.step = row.step;
    notice.state = row.state;
    notice.started_at = row.started_at;
    notice.confirmed_at = row.confirmed_at;
    notice.ended_at = row.ended_at;
    notice.failures = row.failures;
    notice.evidence = row.evidence;
    notice.group = row.group;
    notice.group_started_at = row.group_started_at;
    notice.url = row.url;
    notice.name = row.name;
    notice.tags = row.tags;
    for (const Waiting& other : notices_) {
      const bool of_it = other.notice.wake && other.notice.event == notice.event;
      const bool is_end = !notice.wake && row.state == core::SiteState::Up;
      if (is_end && of_it && other.notice.memo == "digest") notice.memo = "digest";
    }
    for (const Row& told : rows_) {
      const auto& events = told.what.events;
      if (std::find(events.begin(), events.end(), notice.event) == events.end()) continue;
      using State = se::Telling::State;
      const State state = told.state == Row::State::Done        ? State::Told
                          : told.state == Row::State::Dead      ? State::Dead
                          : told.state == Row::State::Cancelled ? State::Cancelled
                                                                : State::Queued;
      notice.tellings.push_back({.delivery = told.id,
                                 .target = told.what.target,
                                 .kind = told.what.kind,
                                 .state = state,
                                 .attempted = told.attempts > 0,
                                 .at = core::kNoWallTime});
    }
    return notice;
  }

  const core::Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<Waiting> notices_;
  std::map<core::EventId, se::Notice> events_;
  std::vector<Row> rows_;
  std::uint64_t ids_ = 0;
  std::uint64_t tokens_ = 0;
  std::map<std::string, core::SteadyTime> seen_;  // Targets, by whatever process.
  bool away_ = false;
  bool lose_ = false;
  std::uint64_t old_rows_ = 0;
  int levels_read_ = 0;
  std::string poison_;
};

}  // namespace watchwheel::testing
