// SPDX-License-Identifier: Apache-2.0
// db/sql_site_catalog.h - editing the site list, in SQL.
//
// A removed site leaves its row behind as a mark (deleted_at), so that the feed can tell of the
// removal; marks older than kRemovalKept are purged, some at a time, by later removals and by
// migrate().
//
// With a `fencing` every change is one that a node makes for all of them: it goes through only while kFirstBucket is ours.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "db/fence.h"
#include "db/site_catalog.h"
#include "db/sql.h"

namespace watchwheel::db {

inline constexpr std::chrono::hours kRemovalKept{7 * 24};
inline constexpr std::size_t kPurgedAtOnceMax = 1000;

// Deletes up to kPurgedAtOnceMax marks of sites removed longer ago than kRemovalKept that have no
// open event. Inside the caller's transaction.
[[nodiscard]] core::Result<void> purge_removed_sites(Connection& connection, std::int64_t now_ms);

// The same in a transaction of its own, while no other editor changes the list.
[[nodiscard]] core::Result<void> purge_at_start(Connection& connection);

// What single edits ask the store, for the test that holds each to an index.
[[nodiscard]] std::vector<Sql> site_edit_queries();

class SqlSiteCatalog final : public SiteCatalog {
 public:
  explicit SqlSiteCatalog(std::unique_ptr<Connection> connection, const Fencing& fencing = {})
      : connection_(std::move(connection)), fence_(fencing) {}

  [[nodiscard]] core::Result<UpsertCounts> upsert(std::span<const core::SiteRecord> records,
                                                  std::vector<core::SiteId>* ids) override;
  [[nodiscard]] core::Result<std::vector<SiteView>> list(const SiteFilter& filter,
                                                         core::SiteId after,
                                                         std::size_t limit) override;
  [[nodiscard]] core::Result<SiteView> get(core::SiteId id) override;
  [[nodiscard]] core::Result<std::vector<core::SiteId>> find_url(const std::string& url) override;
  [[nodiscard]] core::Result<std::uint64_t> set_active(std::span<const core::SiteId> ids,
                                                       bool active) override;
  [[nodiscard]] core::Result<std::uint64_t> remove(std::span<const core::SiteId> ids) override;
  [[nodiscard]] core::Result<std::uint64_t> count() override;
  [[nodiscard]] core::Result<std::string> origin() override;
  [[nodiscard]] core::Result<void> release_origin() override;

 private:
  struct Change;  // One changing transaction: its time and the next change sequence.
  struct Columns;
  // What is stored where a record belongs.
  enum class Match { None, Same, SameUrl, OtherUrl, Removed };

  // Runs `work(change)` in a transaction that passes the fence, again when it lost against another writer. Returns what the work did.
  template <typename Count, typename Work>
  [[nodiscard]] core::Result<Count> changing(Work work);
  [[nodiscard]] core::Result<core::SiteId> store(const core::SiteRecord& record, Change& change,
                                                 UpsertCounts& counts);
  [[nodiscard]] core::Result<Match> match(const Columns& wanted, core::SiteId& id);
  [[nodiscard]] core::Result<void> insert(const Columns& wanted, Change& change, core::SiteId& id);
  [[nodiscard]] core::Result<void> update(const Columns& wanted, Match found, core::SiteId id,
                                          Change& change);
  [[nodiscard]] core::Result<void> forget_freshness(core::SiteId id);

  std::unique_ptr<Connection> connection_;
  Fence fence_;
};

}  // namespace watchwheel::db
