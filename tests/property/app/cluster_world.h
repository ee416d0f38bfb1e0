// SPDX-License-Identifier: Apache-2.0
// cluster_world.h - several nodes on one database in virtual time: they join, leave, die, are paused, lose the database, and their
// clocks differ by minutes. The laws: no two write under one epoch; no bucket stays without somebody who checks it; what is planned moves without a
// gap, without a check made twice, and only what has to move.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "app/cluster_member.h"
#include "support/fake_leases.h"

namespace watchwheel::app::sim {

using core::BucketNo;
using core::Duration;
using core::SiteId;
using core::SteadyTime;
using testing::FakeLeases;
using testing::FakeLeaseStore;
using namespace std::chrono_literals;

inline constexpr std::uint32_t kBuckets = 64;
inline constexpr Duration kStep = 50ms;
inline constexpr Duration kInterval = 10s;
inline constexpr Duration kLease = 15s;

class NoLog final : public Log {
 public:
  void write(LogLevel, std::string_view) noexcept override {}
  [[nodiscard]] bool enabled(LogLevel) const noexcept override { return false; }
};

// One site a bucket.
inline const std::vector<SiteId>& sites() {
  static const std::vector<SiteId> all = [] {
    std::vector<SiteId> found(kBuckets);
    for (std::uint64_t id = 1, left = kBuckets; left > 0; ++id) {
      SiteId& seat = found[core::bucket_of(SiteId{id}, kBuckets).value];
      if (seat.value == 0) {
        seat = SiteId{id};
        --left;
      }
    }
    return found;
  }();
  return all;
}

inline int runs = 0;  // Of any host.

// A host: its process may be there or not, run or stand still. The feeder and the lanes are as simple as can be.
class Host : public BucketCare {
 public:
  Host(std::string name, std::uint32_t weight, Duration skew, FakeLeases& database,
       const core::ManualClock& world, const std::set<BucketNo>& events)
      : name_(std::move(name)), weight_(weight), world_(world), events_(events), store(database) {
    machine_.step_wall(skew);
    machine_.advance(world.steady() - machine_.steady());
  }

  void start() {
    table = std::make_unique<core::BucketTable>(kBuckets, machine_);
    clock_ = std::make_unique<ClusterClock>(machine_);
    member = std::make_unique<ClusterMember>(
        MemberSettings{.node = name_,
                       .instance = name_ + "#" + std::to_string(++runs),
                       .version = "test",
                       .weight = weight_,
                       .lease = lease,
                       .surely_dead = [](const std::string&) { return true; },
                       .writes_wait = [this] { return writes_wait; },
                       .leave_within = 15s},
        store, *table, *clock_, log_);
    member->set_care(*this);
    rows.clear();
    known_events.clear();
    at_hand_.clear();
    loading_.clear();
    prepared_.clear();
    ASSERT_TRUE(member->join());
    member->turn();
  }
  void crash() { member.reset(); }
  void begin_stop() { (void)member->begin_leaving(machine_.steady()); }
  void stop() {
    begin_stop();
    member->leave();
    member.reset();
  }
  void step_clock(Duration by) { machine_.step_wall(by); }
  // Each call of the database takes so long; the world does not stand still meanwhile.
  void set_latency(Duration latency) {
    store.on_the_way([this, latency] {
      world_.advance(latency / 2);
      machine_.advance(world_.steady() - machine_.steady());
    });
  }

  [[nodiscard]] bool is_running() const { return member != nullptr && !paused; }
  [[nodiscard]] const std::string& name() const { return name_; }

  // The machine's time goes on whatever the process does.
  void tick() {
    machine_.advance(world_.steady() - machine_.steady());
    if (!is_running()) return;
    const SteadyTime now = machine_.steady();
    if (now >= member->next_turn()) member->turn();
    while (!loading_.empty() && loading_.front().done_at <= now) {
      const Loading one = loading_.front();
      loading_.pop_front();
      if (one.order == Order::Forget) {
        at_hand_.erase(one.bucket);
        continue;
      }
      if (one.order == Order::Prepare) {
        at_hand_[one.bucket] = events_.contains(one.bucket);
        prepared_.push_back(one.bucket);
        continue;
      }
      const auto read = at_hand_.find(one.bucket);
      const bool event = read == at_hand_.end() ? events_.contains(one.bucket) : read->second;
      if (read != at_hand_.end()) at_hand_.erase(read);
      if (!table->watched(one.bucket)) continue;
      if (event) known_events.insert(one.bucket);
      if (!rows.contains(one.bucket)) {
        rows[one.bucket] = next_due(one.bucket, one.from);
        table->row_added(sites()[one.bucket.value]);
      }
    }
    for (auto row = rows.begin(); row != rows.end();) {
      const SiteId site = sites()[row->first.value];
      if (table->starts(site, row->second)) {
        ++row;
        continue;
      }
      table->row_dropped(site);
      known_events.erase(row->first);
      row = rows.erase(row);
    }
  }

  // Those that start now, with the due time.
  template <typename Started>
  void start_due(Started started) {
    if (!is_running() || starts_nothing || table->unsure()) return;
    for (auto& [bucket, due] : rows) {
      if (due > machine_.steady() || !table->starts(sites()[bucket.value], due)) continue;
      started(bucket, due);
      due += kInterval;
    }
  }

  void prepare(BucketNo bucket) override { load(bucket, Order::Prepare, {}); }
  std::vector<BucketNo> take_prepared() override { return std::exchange(prepared_, {}); }
  void forget(BucketNo bucket) override { load(bucket, Order::Forget, {}); }
  void begin(BucketNo bucket, SteadyTime from) override { load(bucket, Order::Begin, from); }

  std::unique_ptr<core::BucketTable> table;
  std::unique_ptr<ClusterMember> member;
  std::map<BucketNo, SteadyTime> rows;  // When each is due next.
  std::set<BucketNo> known_events;     // Of sites here: the store has one open, we have read.
  bool paused = false;
  bool starts_nothing = false;
  bool writes_wait = false;
  Duration lease = kLease;

 private:
  enum class Order { Prepare, Forget, Begin };
  struct Loading {  // One after the other, as the feeder does.
    BucketNo bucket;
    Order order;
    SteadyTime from;
    SteadyTime done_at;
  };
  void load(BucketNo bucket, Order order, SteadyTime from) {
    loading_.push_back({bucket, order, from, machine_.steady() + 100ms});
  }
  // On a grid that is the same for all. Strictly after `from`, less a hair, or after now.
  SteadyTime next_due(BucketNo bucket, SteadyTime from) const {
    const SteadyTime now = machine_.steady();
    const Duration phase = kInterval * bucket.value / kBuckets + 7ms;
    const auto after = [&](SteadyTime t) {
      const Duration past = (t.time_since_epoch() - phase) % kInterval;
      return t - past + kInterval;
    };
    if (from == core::kNoSteadyTime) return after(now);
    return std::max(after(from - 1ms), after(now) - kInterval);
  }

  const std::string name_;
  const std::uint32_t weight_;
  const core::ManualClock& world_;
  core::ManualClock machine_;
  std::unique_ptr<ClusterClock> clock_;
  NoLog log_;
  const std::set<BucketNo>& events_;
  std::map<BucketNo, bool> at_hand_;  // And whether there was an event.
  std::deque<Loading> loading_;
  std::vector<BucketNo> prepared_;

 public:
  FakeLeaseStore store;
};

class World {
 public:
  World() : database(kBuckets, [this] { return core::to_unix_ms(clock.wall()); }) {}

  Host& add(const std::string& name, Duration skew = 0s, std::uint32_t weight = 1) {
    hosts.push_back(std::make_unique<Host>(name, weight, skew, database, clock, events));
    hosts.back()->start();
    return *hosts.back();
  }

  void run_for(Duration time) {
    for (const SteadyTime end = clock.steady() + time; clock.steady() < end;) {
      clock.advance(kStep);
      for (auto& host : hosts) host->tick();
      for (auto& host : hosts) {
        host->start_due([&](BucketNo bucket, SteadyTime due) {
          ++started[{bucket, due}];
          newest[bucket.value] = std::max(newest[bucket.value], clock.steady());
        });
      }
      for (std::uint32_t i = 0; i < kBuckets; ++i) {
        longest_gap = std::max(longest_gap, clock.steady() - newest[i]);
        for (auto& host : hosts) {
          if (host->is_running() && host->table->epoch(BucketNo{i}) != 0) owned_at[i] = clock.steady();
        }
        longest_unowned = std::max(longest_unowned, clock.steady() - owned_at[i]);
      }
    }
  }

  // What is looked at begins here.
  void begin_watch() {
    started.clear();
    std::fill(newest.begin(), newest.end(), clock.steady());
    std::fill(owned_at.begin(), owned_at.end(), clock.steady());
    longest_gap = longest_unowned = Duration::zero();
    watch_from = clock.steady();
  }
  [[nodiscard]] std::size_t doubled() const {
    return static_cast<std::size_t>(std::count_if(started.begin(), started.end(),
                                                  [](const auto& one) { return one.second > 1; }));
  }
  // Due times of the watch, but for its ends, at which nobody started.
  [[nodiscard]] std::size_t missed() const {
    std::size_t n = 0;
    for (std::uint32_t i = 0; i < kBuckets; ++i) {
      SteadyTime before = core::kNoSteadyTime;
      for (const auto& [check, times] : started) {
        if (check.first != BucketNo{i}) continue;
        if (before != core::kNoSteadyTime)
          n += static_cast<std::size_t>((check.second - before + 100ms) / kInterval - 1);
        before = check.second;
      }
    }
    return n;
  }
  [[nodiscard]] std::map<std::string, int> owned() const {
    std::map<std::string, int> count;
    for (const db::LeaseRow& lease : database.leases()) ++count[lease.owner];
    return count;
  }

  core::ManualClock clock;
  FakeLeases database;
  std::set<BucketNo> events;  // Buckets whose site has an event open in the store.
  std::vector<std::unique_ptr<Host>> hosts;
  std::map<std::pair<BucketNo, SteadyTime>, int> started;
  std::vector<SteadyTime> newest = std::vector<SteadyTime>(kBuckets);
  std::vector<SteadyTime> owned_at = std::vector<SteadyTime>(kBuckets);
  Duration longest_gap{};
  Duration longest_unowned{};
  SteadyTime watch_from;
};

}  // namespace watchwheel::app::sim
