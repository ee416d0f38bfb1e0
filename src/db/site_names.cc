// SPDX-License-Identifier: Apache-2.0
#include "db/site_names.h"

#include "db/rows.h"
#include "db/site_codec.h"

namespace watchwheel::db {
namespace {

constexpr Sql kKeep =
    "INSERT INTO known_sites (id, url, name, tags) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET url = excluded.url, name = excluded.name,"
    " tags = excluded.tags"
    " WHERE url <> excluded.url OR name <> excluded.name OR tags <> excluded.tags";

}  // namespace

core::Result<void> SiteNames::write(std::span<const core::KnownSite* const> sites) {
  auto transaction = Transaction::write(*file_);
  if (!transaction) return transaction.error();
  for (const core::KnownSite* site : sites) {
    const std::string tags = tags_to_json(site->record.tags);
    Query query = file_->query(kKeep);
    query.bind(to_column(site->record.id)).bind(std::string_view(site->record.url));
    query.bind(std::string_view(site->record.name)).bind(std::string_view(tags));
    if (auto done = query.run(); !done) return done;
  }
  return transaction->commit();
}

void SiteNames::keep(std::span<const core::KnownSite* const> sites) {
  if (sites.empty()) return;
  const auto done = write(sites);
  if (!done && !failing_) warn_("site_names_not_kept why=\"" + done.error().message + "\"");
  failing_ = !done;
}

core::Result<SitePage> NamedSiteFeed::named(core::Result<SitePage> page) {
  if (!page) return page;
  std::vector<const core::KnownSite*> sites;
  for (const core::KnownSite& site : page->sites) sites.push_back(&site);
  names_->keep(sites);
  return page;
}

core::Result<SitePage> NamedSiteFeed::load(core::SiteId after, std::size_t limit) {
  return named(feed_->load(after, limit));
}

core::Result<SitePage> NamedSiteFeed::load_bucket(core::BucketHashes hashes, core::SiteId after,
                                                  std::size_t limit) {
  return named(feed_->load_bucket(hashes, after, limit));
}

core::Result<std::vector<SiteChange>> NamedSiteFeed::changes(core::ChangeSeq after,
                                                             std::size_t limit) {
  auto changes = feed_->changes(after, limit);
  if (!changes) return changes;
  std::vector<const core::KnownSite*> sites;
  for (const SiteChange& change : *changes) sites.push_back(&change.known);
  names_->keep(sites);
  return changes;
}

}  // namespace watchwheel::db
