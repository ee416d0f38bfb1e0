// SPDX-License-Identifier: Apache-2.0
// db/site_names.h - how each site is called, its URL and its tags, kept in the notices file (db/sql_notice_mirror.h) as the site list
// is read: to tell people of a site while the store is away, which alone knows.
//
// Owns     a session with the file.
// Thread   the feeder's.
// Bounded  a row of a hundred bytes or two for each site; written only when it differs. Those of sites that the store has removed are
//          removed by the mirror, by and by.
// Fails    what the file does not take is told once, and left out: nothing of the site list waits for it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "db/site_feed.h"
#include "db/sqlite.h"

namespace watchwheel::db {

class SiteNames {
 public:
  SiteNames(std::unique_ptr<SqliteConnection> file, std::function<void(const std::string&)> warn)
      : file_(std::move(file)), warn_(std::move(warn)) {}

  void keep(std::span<const core::KnownSite* const> sites);

 private:
  [[nodiscard]] core::Result<void> write(std::span<const core::KnownSite* const> sites);

  const std::unique_ptr<SqliteConnection> file_;
  const std::function<void(const std::string&)> warn_;
  bool failing_ = false;
};

// A feed of which the names are kept.
class NamedSiteFeed final : public SiteFeed {
 public:
  NamedSiteFeed(std::unique_ptr<SiteFeed> feed, std::unique_ptr<SiteNames> names)
      : feed_(std::move(feed)), names_(std::move(names)) {}

  [[nodiscard]] core::Result<core::ChangeSeq> newest_change() override {
    return feed_->newest_change();
  }
  [[nodiscard]] core::Result<SitePage> load(core::SiteId after, std::size_t limit) override;
  [[nodiscard]] core::Result<SitePage> load_bucket(core::BucketHashes hashes, core::SiteId after,
                                                   std::size_t limit) override;
  [[nodiscard]] core::Result<std::vector<SiteUrl>> urls(core::SiteId after,
                                                        std::size_t limit) override {
    return feed_->urls(after, limit);
  }
  [[nodiscard]] core::Result<std::vector<SiteChange>> changes(core::ChangeSeq after,
                                                              std::size_t limit) override;
  [[nodiscard]] core::Result<std::vector<core::KnownSite>> removed_with_open_event(
      std::size_t limit, core::SiteId after) override {
    return feed_->removed_with_open_event(limit, after);
  }

 private:
  [[nodiscard]] core::Result<SitePage> named(core::Result<SitePage> page);

  const std::unique_ptr<SiteFeed> feed_;
  const std::unique_ptr<SiteNames> names_;
};

}  // namespace watchwheel::db
