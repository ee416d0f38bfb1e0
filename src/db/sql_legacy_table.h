// SPDX-License-Identifier: Apache-2.0
// db/sql_legacy_table.h - the legacy table, in MySQL's SQL.
//
// A projection locks the rows of the table by their key, reads what the store knows of them, and writes those that differ: what
// is written is what the store says at that moment, whoever writes it. A process that was held up writes nothing old.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "db/legacy_columns.h"
#include "db/legacy_queries.h"
#include "db/legacy_table.h"
#include "db/sql.h"

namespace watchwheel::db {

class SqlLegacyTable final : public LegacyTable {
 public:
  // The mapping passed check_mapping(). Without a clock a transaction is bounded by its rows alone.
  SqlLegacyTable(std::unique_ptr<Connection> connection, LegacyMapping mapping,
                 const core::Clock* clock);
  ~SqlLegacyTable() override;

  [[nodiscard]] core::Result<std::vector<std::string>> check() override;
  void set_buckets(std::vector<BucketRange> buckets) override {
    mapping_.buckets = std::move(buckets);
  }
  [[nodiscard]] core::Result<std::uint64_t> rows_estimated() override;
  [[nodiscard]] bool by_buckets() const override { return by_buckets_; }
  [[nodiscard]] core::Result<void> claim(bool replace) override;
  [[nodiscard]] core::Result<std::optional<core::WallTime>> claimed_since() override;
  [[nodiscard]] core::Result<LegacyPage> page_by_key(core::SiteId after,
                                                     std::size_t limit) override;
  [[nodiscard]] core::Result<LegacyPage> page(const LegacyCursor& from, std::size_t limit) override;
  [[nodiscard]] core::Result<std::vector<LegacyRow>> find(
      std::span<const core::SiteId> ids) override;
  [[nodiscard]] core::Result<LegacyWrites> project(std::span<const core::SiteId> sites) override;

 private:
  struct Write {
    core::SiteId id;
    LegacyChange change;
    core::WallTime checked_at, next_due_at;
  };

  [[nodiscard]] core::Result<void> read_columns();
  [[nodiscard]] core::Result<std::optional<std::string>> read_indexes();
  [[nodiscard]] core::Result<void> judge_ids(std::vector<std::string>& problems);
  [[nodiscard]] core::Result<void> judge_rights(std::vector<std::string>& problems);
  [[nodiscard]] core::Result<void> told_as_problem(const core::Error& why, const char* what,
                                                   std::vector<std::string>& problems);
  void bind_time(Query& query, core::WallTime time, const std::string& name, LegacyTime kind,
                 std::vector<std::string>& kept) const;
  [[nodiscard]] LegacyRow row_from(const Query& row) const;
  [[nodiscard]] bool wanted(std::int64_t bucket) const;
  // The lowest bucket from `from` on that has rows.
  [[nodiscard]] core::Result<std::optional<std::int64_t>> next_bucket(std::int64_t from);
  [[nodiscard]] core::Result<LegacyPage> key_page(const std::string& text, core::SiteId after,
                                                  std::size_t limit);
  [[nodiscard]] core::Result<LegacyPage> bucket_page(const LegacyCursor& from, std::size_t limit);
  [[nodiscard]] core::Result<std::map<core::SiteId, LegacyWord>> lock_rows(
      std::span<const core::SiteId> sites);
  // Those of `sites`, active here, that are not in `words` because another program holds their rows.
  [[nodiscard]] core::Result<std::vector<core::SiteId>> held_rows(
      std::span<const core::SiteId> sites, const std::map<core::SiteId, LegacyWord>& words);
  [[nodiscard]] core::Result<void> write(std::span<const Write> writes, bool status);
  // A statement's worth of sites, within a transaction.
  [[nodiscard]] core::Result<void> project_some(std::span<const core::SiteId> sites,
                                                core::WallTime now, LegacyWrites& counts);

  const std::unique_ptr<Connection> connection_;
  LegacyMapping mapping_;
  const core::Clock* const clock_;
  std::string schema_, table_, quoted_;
  LegacyColumns columns_;
  bool by_buckets_ = false;
  std::string index_;  // Over bucket and active flag.
  std::unique_ptr<LegacyQueries>
      queries_;  // A text is known by its address, so they stay where they are.
};

}  // namespace watchwheel::db
