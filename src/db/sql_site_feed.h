// SPDX-License-Identifier: Apache-2.0
// db/sql_site_feed.h - the site list for an engine, in SQL. Every page is one statement, so
// no snapshot is held between calls and the write-ahead log can always be folded back.
#pragma once

#include <memory>
#include <vector>

#include "db/site_feed.h"
#include "db/sql.h"

namespace watchwheel::db {

// All that a feed asks the store, for the test that holds each to an index: with a million sites a
// scan a second would be all that the store does.
[[nodiscard]] std::vector<Sql> site_feed_queries();
// On a server: one bucket.
[[nodiscard]] const Sql& bucket_query();

class SqlSiteFeed final : public SiteFeed {
 public:
  explicit SqlSiteFeed(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<core::ChangeSeq> newest_change() override;
  [[nodiscard]] core::Result<SitePage> load(core::SiteId after, std::size_t limit) override;
  [[nodiscard]] core::Result<SitePage> load_bucket(core::BucketHashes hashes, core::SiteId after,
                                                   std::size_t limit) override;
  [[nodiscard]] core::Result<std::vector<SiteUrl>> urls(core::SiteId after,
                                                        std::size_t limit) override;
  [[nodiscard]] core::Result<std::vector<SiteChange>> changes(core::ChangeSeq after,
                                                              std::size_t limit) override;
  [[nodiscard]] core::Result<std::vector<core::KnownSite>> removed_with_open_event(
      std::size_t limit, core::SiteId after) override;

 private:
  [[nodiscard]] core::Result<SitePage> page_of(Query& query, std::size_t limit) const;
  [[nodiscard]] core::KnownSite known_site(const Query& row, int column) const;

  std::unique_ptr<Connection> connection_;
};

}  // namespace watchwheel::db
