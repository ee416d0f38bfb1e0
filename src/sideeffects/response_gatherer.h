// SPDX-License-Identifier: Apache-2.0
// sideeffects/response_gatherer.h - how fast sites answered, from when the projector hears it to when it is written: many
// sites together, and the more there are the later, at most an hour.
//
// Owns     the counts of each site of the hour under way and, until they were taken, of hours before, by pages of
//          neighbouring ids.
// Thread   any, for every call: the projector's adds, the history's takes. One mutex, held for one mark, or to look at
//          kLooksMax pages and move some.
// Bounded  ten bytes a site in full pages, twice while nobody takes: then the hours before are one. A page is some 150 bytes more, and has
//          room for four at least: one of a single site is some 200 bytes. A site whose times scatter has several entries, up to
//          kSitesMax of a page; beyond it counts become coarser (core/responses.h), never faster, and an entry ends at 1,023 in a step:
//          with a check each 10 s and a full page, after some hours that nobody took it the rest is not counted.
// Time     wall time, passed in. A page is due when its hour is over, or after as long as wait() says.
// Fails    nothing; what is here when the process is killed is lost: of wait() and what the store was away.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/site_facts.h"
#include "sideeffects/history_api.h"

namespace watchwheel::sideeffects {

class ResponseGatherer : core::Pinned {
 public:
  static constexpr std::size_t kSitesMax = 2 * ResponsePage::kSites;
  static constexpr std::size_t kLooksMax = 4096;  // Pages looked at in one call.
  // How long the last marks of an hour may take to come here. Later ones are an addition of their own.
  static constexpr core::Duration kLate = std::chrono::seconds{10};

  // kPagesASecond of them in the mean, so that reports of few sites are about as new as their marks. More would cost a server the same
  // for ten thousand sites as for a million: each writes the whole row of its day.
  static constexpr std::size_t kPagesASecond = 1;
  [[nodiscard]] static core::Duration wait(std::size_t pages);

  // `token`: of its first page. Greater than any of a process before it.
  explicit ResponseGatherer(std::int64_t token) : token_(token) {}

  // What `mark` counted, for the hour of its result. What is older than what is here of its page counts for the later hour.
  void add(const core::FreshnessMark& mark);

  // At most `limit` pages that are due, no two of one number; with `all` those that are not, too. They are the caller's now.
  // Nothing: there are none, or they are further on than kLooksMax pages: the next call goes on from there.
  [[nodiscard]] std::vector<ResponsePage> take(core::WallTime now, std::size_t limit, bool all);

  [[nodiscard]] std::size_t pages() const;
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Hour {
    core::WallTime begun = core::kNoWallTime;
    core::WallTime since = core::kNoWallTime;  // Of the first result in it.
    bool by_hour = false;
    std::vector<ResponsePage::Site> sites;
  };
  struct Page {
    Hour ended;  // Ready to be taken.
    Hour under_way;
  };
  static void add(Hour& hour, std::uint8_t offset, const core::ResponseCounts& counts);
  static void end(Page& page);

  mutable std::mutex mutex_;
  std::int64_t token_;  // Guarded by mutex_, as is all below.
  std::map<std::uint64_t, Page> pages_;
  std::uint64_t next_ = 0;  // Where the next look begins.
};

}  // namespace watchwheel::sideeffects
