// SPDX-License-Identifier: Apache-2.0
// app/legacy_sweep.h - the store's site list kept as another program's table has it: page by page, round and round.
//
// Owns     what it last saw of each active row: a key and a hash, in the order of the table, 24 bytes a site. About 50 for one that
//          was recalled and that the first sweep has not come upon yet, and for one that is paused.
// Thread   one. Each step is one page of the table, or a part of what it left to look for, and at most three short transactions
//          of the list.
// Bounded  a page; kProblemsKept problems a sweep.
// Fails    core::Error of the table or of the list; the step may be repeated, nothing of it was remembered.
//
// The list itself is the copy that everything else works with: what changes in the table becomes a change of the list, and takes
// the way of every other change (feeder, lanes). So a restart has its sites at once, and the table is asked for nothing but itself.
// A row that is not active any more is a paused site; a row that is gone, or left the mapping's buckets, a removed one.
// A row that cannot be a site is no site: it is passed over, counted and told; if it was one before, it is paused.
//
// Rows that are gone are removed when the sweep ends, all of them or none: a table that is being loaded again, or a copy that is
// not whole yet, looks like one whose rows were deleted. Where more than kRemovedFreely and more than a quarter of the sites would
// go, they stay until kAgreeing sweeps in a row found no fewer gone, and as long as the table has no active row at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "app/config.h"
#include "core/pinned.h"
#include "core/result.h"
#include "db/legacy_table.h"
#include "db/site_catalog.h"

namespace watchwheel::app {

// A row as the site it is; Invalid says why it is none.
[[nodiscard]] core::Result<core::SiteRecord> legacy_site(const db::LegacyMapping& mapping,
                                                         const ChecksConfig& defaults,
                                                         const db::LegacyRow& row);

struct LegacyProblem {
  core::SiteId id;
  std::string message;
};

class LegacySweep : core::Pinned {
 public:
  static constexpr std::size_t kProblemsKept = 100;
  static constexpr std::size_t kPausedLookedAt = 1000;  // A sweep.
  static constexpr std::size_t kWaitingMax = 500;
  static constexpr std::size_t kStoredAtOnce = 500;      // A transaction.
  static constexpr std::size_t kLookedForAtOnce = 1000;  // A step, of those that are missing.
  static constexpr std::size_t kRemovedFreely = 10;
  static constexpr int kAgreeing = 5;

  struct Step {
    std::uint64_t rows_read = 0;  // Of the table.
    std::uint64_t active = 0;
    std::uint64_t added = 0, changed = 0, paused = 0, removed = 0;
    std::uint64_t rejected = 0;
    std::uint64_t withheld = 0;  // Not removed although their rows are gone: too many at once.
    bool whole = false;          // That was the last page of a sweep.
  };

  LegacySweep(const db::LegacyMapping& mapping, const ChecksConfig& defaults,
              db::LegacySource& table, db::SiteCatalog& list);

  // Before the first step, and again when others may have changed the list meanwhile: a page of the list. True: that was all.
  [[nodiscard]] core::Result<bool> recall(std::size_t limit);
  // Forgets what was seen; recall() is due again.
  void forget();
  void set_defaults(const ChecksConfig& defaults) { defaults_ = defaults; }

  // One page of the table. Its changes wait for more of them, up to kWaitingMax or the end of the sweep: a page's alone would be
  // three commits of the store. Until all of them are stored the next steps do nothing else, kStoredAtOnce at a time.
  [[nodiscard]] core::Result<Step> step(std::size_t limit);
  // Stores of what waits now kStoredAtOnce of each kind; the step tells what it was. A caller that wants it within a time asks.
  [[nodiscard]] core::Result<Step> flush();
  [[nodiscard]] bool has_waiting() const { return waiting_.size() > 0; }

  // Of the last whole sweep; those of the one under way when it is the first.
  [[nodiscard]] const std::vector<LegacyProblem>& problems() const {
    return whole_sweeps_ == 0 ? problems_ : last_problems_;
  }
  [[nodiscard]] std::size_t sites() const { return seen_.size(); }

 private:
  struct Seen {
    std::int64_t bucket = 0;
    core::SiteId id;
    std::uint64_t hash = 0;
  };
  // What a page asks of the list.
  struct Work {
    std::vector<core::SiteRecord> stored;
    std::vector<core::SiteId> paused;
    std::vector<std::pair<core::SiteId, std::uint64_t>> gone;
    std::vector<core::SiteId> paused_gone;  // Paused before.
    std::size_t paused_looked_for = 0;
    // Not where they were, and still wanted: they come up elsewhere, as what they are now.
    std::vector<std::pair<core::SiteId, std::uint64_t>> moved;
    std::vector<Seen> seen;
    std::vector<LegacyProblem> problems;
    std::size_t passed = 0;  // Of the front of seen_.
    std::optional<core::SiteId> paused_looked_at;
  };

  // Changes of the list that are not stored yet, the newest of each site.
  struct Waiting {
    std::map<core::SiteId, core::SiteRecord> stored;
    std::set<core::SiteId> paused, removed;
    [[nodiscard]] std::size_t size() const {
      return stored.size() + paused.size() + removed.size();
    }
  };

  // A page whose missing ones are not all looked for yet.
  struct Pending {
    db::LegacyPage page;
    Work work;
    Step step;
    std::vector<std::pair<core::SiteId, std::uint64_t>> missing;  // Rising.
    std::size_t looked_for = 0;
  };

  void judge(const db::LegacyRow& row, std::optional<std::uint64_t> known, Work& work);
  [[nodiscard]] std::optional<std::uint64_t> recalled(core::SiteId id) const;
  [[nodiscard]] core::Result<void> read_page(std::size_t limit);
  [[nodiscard]] core::Result<void> judge_missing(Pending& pending);
  [[nodiscard]] core::Result<void> judge_paused(Work& work);
  [[nodiscard]] std::uint64_t settle_gone(const Work& work);
  [[nodiscard]] core::Result<void> store(Step& step);
  [[nodiscard]] core::Result<Step> store_owed();
  [[nodiscard]] core::Result<void> keep_options(std::vector<core::SiteRecord>& records);
  void await(Work& work);
  void remember(Work& work, const db::LegacyPage& page);

  const db::LegacyMapping mapping_;
  ChecksConfig defaults_;
  db::LegacySource& table_;
  db::SiteCatalog& list_;

  std::deque<Seen> seen_;  // What comes next in the table in front, what was just seen at the back.
  std::size_t ahead_ = 0;  // So many in front are of the sweep before.
  // Known from the list, or moved within the table, and not yet come upon. What is still here when a sweep ends is looked for.
  std::unordered_map<core::SiteId, std::uint64_t> elsewhere_;
  std::map<core::SiteId, std::uint64_t>
      gone_;  // Of this sweep: active with us, without a row. Settled when it ends.
  std::uint64_t active_rows_ = 0;  // Of this sweep.
  std::size_t withheld_ = 0;       // By the sweep before.
  int agreeing_ = 0;  // So many sweeps in a row withheld, and none fewer than the one before.
  // Sites that are paused with us. Whether their rows are still there is looked at some at a time, when a sweep ends.
  std::set<core::SiteId> paused_;
  core::SiteId paused_looked_at_;
  core::SiteId recalled_until_;
  bool list_was_empty_ = true;
  Waiting waiting_;
  Step tally_;  // What of it is stored and was not told yet.
  std::optional<Pending> pending_;
  std::optional<Step> owed_;  // A step that was not told, because its changes are not all stored.
  std::uint64_t whole_sweeps_ = 0;
  db::LegacyCursor cursor_;
  std::vector<LegacyProblem> problems_, last_problems_;
};

}  // namespace watchwheel::app
