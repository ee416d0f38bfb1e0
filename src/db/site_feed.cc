// SPDX-License-Identifier: Apache-2.0
#include "db/site_feed.h"

#include <utility>

namespace watchwheel::db {

// For a store that knows of no buckets: all are read, and those of others passed over.
core::Result<SitePage> SiteFeed::load_bucket(core::BucketHashes hashes, core::SiteId after,
                                             std::size_t limit) {
  SitePage found;
  while (true) {
    auto page = load(after, limit);
    if (!page) return page.error();
    for (core::KnownSite& site : page->sites) {
      after = site.record.id;
      const std::uint32_t hash = core::bucket_hash(after);
      if (hash < hashes.first || hash >= hashes.end) continue;
      found.sites.push_back(std::move(site));
      if (found.sites.size() == limit) return found;
    }
    if (!page->last) continue;
    found.last = true;
    return found;
  }
}

}  // namespace watchwheel::db
