// SPDX-License-Identifier: Apache-2.0
// support/fake_store.h - an honest EventStore and FreshnessSink in memory, with failures on demand.
//
// Keeps the contract of sideeffects/event_store_api.h to the letter, so that what passes here
// passes on a real store: transactions are whole or nothing, replays are absorbed, ended events are
// frozen, gaps and second open events are Invalid.
// Thread   any: one mutex. Several shards may share one.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/site.h"
#include "core/site_facts.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/freshness_api.h"

namespace watchwheel::testing {

struct FakeEvent {
  core::EventId id;
  sideeffects::EventWrite row;  // Its `transitions` are all that were ever stored, in order.

  [[nodiscard]] bool ended() const { return row.ended_at != core::kNoWallTime; }
};

// What the next calls do instead of succeeding; then things are well again.
enum class FakeFailure : std::uint8_t {
  Unavailable,
  UnknownBefore,  // The answer is lost and nothing was done.
  UnknownAfter,   // The answer is lost and all was done.
  Corrupt,
};

class FakeEventStore final : public sideeffects::EventStore {
 public:
  [[nodiscard]] core::Result<void> commit(std::span<const sideeffects::EventWrite> writes) override;
  [[nodiscard]] core::Result<std::optional<sideeffects::StoredEvent>> open_event(
      core::SiteId site) override;

  // The next `times` commits (reads) fail so.
  void fail_commits(FakeFailure failure, std::size_t times = 1);
  void fail_reads(FakeFailure failure, std::size_t times = 1);
  // Every call fails with Unavailable until set back.
  void set_away(bool away);
  // Any commit that writes to this site is Invalid, as a row that a constraint refuses.
  void set_poison(core::SiteId site, bool poison);
  void set_unreadable(core::SiteId site, bool unreadable);

  // By (site, started_at).
  [[nodiscard]] std::vector<FakeEvent> events() const;
  [[nodiscard]] std::vector<FakeEvent> events_of(core::SiteId site) const;
  [[nodiscard]] std::optional<core::OpenEvent> open_of(core::SiteId site) const;
  [[nodiscard]] std::size_t commits() const;  // Tried, failed ones too.
  [[nodiscard]] std::size_t reads() const;
  [[nodiscard]] std::size_t largest_commit() const;  // Sites in it.

 private:
  using Key = std::pair<core::SiteId, core::WallTime>;
  using Rows = std::map<Key, FakeEvent>;

  [[nodiscard]] core::Result<void> apply(const sideeffects::EventWrite& write);
  [[nodiscard]] const FakeEvent* find_open(core::SiteId site) const;

  mutable std::mutex mutex_;
  Rows rows_;
  std::uint64_t ids_ = 0;
  std::deque<FakeFailure> commit_failures_;
  std::deque<FakeFailure> read_failures_;
  std::set<core::SiteId> poison_;
  std::set<core::SiteId> unreadable_;
  bool away_ = false;
  std::size_t commits_ = 0;
  std::size_t reads_ = 0;
  std::size_t largest_commit_ = 0;
};

class FakeFreshnessSink final : public sideeffects::FreshnessSink {
 public:
  [[nodiscard]] core::Result<void> write(std::span<const core::FreshnessMark> marks) override;

  void fail(FakeFailure failure, std::size_t times = 1);
  void set_away(bool away);
  // As the catalog does when the site's URL is edited.
  void forget(core::SiteId site);
  void set_poison(core::SiteId site, bool poison);

  [[nodiscard]] std::map<core::SiteId, core::FreshnessMark> marks() const;
  [[nodiscard]] std::vector<std::size_t> batches()
      const;                                 // The size of each write that was applied.
  [[nodiscard]] std::size_t writes() const;  // Tried, failed ones too.
  [[nodiscard]] bool always_sorted() const;  // By site, each once, in every write.

 private:
  mutable std::mutex mutex_;
  std::map<core::SiteId, core::FreshnessMark> marks_;
  std::deque<FakeFailure> failures_;
  std::set<core::SiteId> poison_;
  std::vector<std::size_t> batches_;
  std::size_t writes_ = 0;
  bool sorted_ = true;
  bool away_ = false;
};

}  // namespace watchwheel::testing
