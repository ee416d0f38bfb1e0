// SPDX-License-Identifier: Apache-2.0
// db/site_feed.h - the sites an engine has to watch: all of them at start, then every change.
//
// Thread   the feeder's, for every call. Calls block.
// Bounded  a page holds at most the `limit` asked for; nothing of the fleet is kept here between
//          calls.
// Fails    core::Error; the cursor given stays good, so the same call may be repeated. A row that another program spoiled
//          (options that are no JSON, an unknown word) fails nothing: it comes with its problem (KnownSite::problem).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/buckets.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/site.h"

namespace watchwheel::db {

struct SitePage {
  std::vector<core::KnownSite>
      sites;  // Rising by id. Paused sites are among them (record.active is false).
  bool last = false;
};

struct SiteChange {
  core::ChangeSeq seq;
  bool removed = false;  // Then known.record is what it was; known.open_event is still to be ended.
  core::KnownSite known;  // The site as it is now, not as it was at `seq`.
};

struct SiteUrl {
  core::SiteId id;
  std::string url;
};

class SiteFeed {
 public:
  virtual ~SiteFeed() = default;

  // The newest change, read before a load starts: changes after it may or may not be in the load,
  // and are delivered again.
  [[nodiscard]] virtual core::Result<core::ChangeSeq> newest_change() = 0;
  // Sites with an id above `after`, in id order.
  [[nodiscard]] virtual core::Result<SitePage> load(core::SiteId after, std::size_t limit) = 0;
  // The same, only of the sites with these bucket hashes (core/buckets.h). A store of many sites finds them by an index.
  [[nodiscard]] virtual core::Result<SitePage> load_bucket(core::BucketHashes hashes,
                                                           core::SiteId after, std::size_t limit);
  // Of the same sites, in the same order, only which URL each has: to be counted before they are loaded.
  [[nodiscard]] virtual core::Result<std::vector<SiteUrl>> urls(core::SiteId after,
                                                                std::size_t limit) = 0;
  // Changes above `after`, in their order, at most `limit`. Several changes of one site may come as
  // one, with the last seq.
  [[nodiscard]] virtual core::Result<std::vector<SiteChange>> changes(core::ChangeSeq after,
                                                                      std::size_t limit) = 0;

  // Sites with an id above `after`, in id order, that were removed while an event of theirs is
  // open: the removal was not seen by a running engine, so its end is still to be written. When the
  // row is gone too, only record.id and open_event hold.
  [[nodiscard]] virtual core::Result<std::vector<core::KnownSite>> removed_with_open_event(
      std::size_t limit, core::SiteId after = {}) = 0;
};

}  // namespace watchwheel::db
