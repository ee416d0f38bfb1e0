// SPDX-License-Identifier: Apache-2.0
// sideeffects/attention.h - what a lane keeps of its sites in trouble, and what is to be done about
// each result of one.
//
// Owns     an entry for each site in trouble: its outage, the ended ones that no shard has
//          acknowledged yet, the seq posted.
// Thread   the lane's, for every call.
// Bounded  one entry a site, at most kOutagesWaitingMax outages in it (plus one that is not told
//          until there is room).
// Time     wall time, passed in with each result; cut to whole milliseconds, as the stores keep it.
//          Never reads a clock.
// Fails    nothing: no I/O. What cannot be told yet is kept.
// Cost     O(1) a result, one hash look-up, also while half a million sites begin to fail (the table
//          does not move at once); facts() copies the outages.
//
// Where other vantages are asked (ConfirmPolicy::verified), a site is down when the shard says so. Until then the quick re-checks go
// on after the failures that the policy asks for, each twice as long after the last, until they are no quicker than the routine ones.
//
// An outage starts with the first failure and ends with the success that makes `successes` in a
// row; it is confirmed when its failures reach `failures`. Successes too few to end it do not start
// the count of failures anew (core::Outage). When more outages wait than facts may hold (the store
// is away and the site flaps), the end of the newest is not told; if the site fails again it goes
// on, with `merged` one higher. Only what no shard can have committed is folded: a told end may
// already be frozen in the store, and folding into it would lose what came after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "core/probe.h"
#include "core/segmented_map.h"
#include "core/site.h"
#include "core/site_facts.h"

namespace watchwheel::sideeffects {

struct Seen {
  core::Outcome outcome = core::Outcome::NotMeasured;
  core::Evidence evidence;
  core::WallTime at = core::kNoWallTime;
  core::WallTime group = core::kNoWallTime;  // The mass outage it belongs to. kNoWallTime: none.
};

struct Reaction {
  bool post = false;  // What a shard should know has changed: post facts().
  // Longer with each result in a row that measured nothing: it was our overload, and asking again soon feeds it.
  std::optional<core::Duration> recheck_in;
  bool troubled = false;  // Keep calling on_result() for every result of this site.

  friend bool operator==(const Reaction&, const Reaction&) = default;
};

// How long until the quick re-check after this many results of an outage: `retry_interval`, a tenth
// more or less. Pure.
[[nodiscard]] core::Duration recheck_delay(core::Duration retry_interval, core::SiteId site,
                                           std::uint32_t results, std::uint64_t jitter_seed);

// One outage as Attention keeps it.
struct KeptOutage {
  core::Outage outage;
  // The first facts that told it as it is: its end, or for the current one that it is there.
  std::uint64_t told_seq = 0;
  std::uint32_t run_failures = 0;  // Since it started, or went on after an end that was never told.
  // The failures since it was restored, should its event turn out to be gone.
  core::WallTime resumed_at = core::kNoWallTime;
  core::Evidence resumed_by;
  std::uint32_t resumed_failures = 0;
};

class Attention : core::Pinned {
 public:
  Attention(core::ConfirmPolicy policy, std::uint64_t jitter_seed);

  // For results from now on. What is confirmed stays so.
  void set_policy(core::ConfirmPolicy policy);

  // The quick re-check of a site of which nothing is known yet, after this many results.
  [[nodiscard]] core::Duration recheck_in(core::SiteId site, std::uint32_t results) const {
    return recheck_delay(policy_.retry_interval, site, results, jitter_seed_);
  }

  // Takes an event over that the store has open: the streak goes on, what is down stays confirmed.
  // Replaces nothing: a site that is in trouble already keeps what is known of it here, which is
  // newer.
  void restore(core::SiteId site, const core::OpenEvent& event);

  // Call it for every failure, and for every result of a site that is troubled. A conclusive result
  // of a paused or removed site means that it is watched again.
  [[nodiscard]] Reaction on_result(core::SiteId site, const Seen& seen);

  // All that the shard has not acknowledged, with a new seq. For posting: what is made here counts
  // as told. For a site that is not troubled: watched, no outages.
  [[nodiscard]] core::SiteFacts facts(core::SiteId site);

  // End what is open, because nobody looks any more, and give the facts that say so. The site stays
  // troubled until a shard has acknowledged them. May be called for a site that is not in trouble:
  // an event may be open that is not known here.
  [[nodiscard]] core::SiteFacts paused(core::SiteId site, core::WallTime at);
  [[nodiscard]] core::SiteFacts removed(core::SiteId site, core::WallTime at);

  // A person closes the event that began at `started_at`: its outage ends at `at`, and what fails later is another one. False: no
  // such outage goes on. Post facts() when true.
  [[nodiscard]] bool close(core::SiteId site, core::WallTime started_at, core::WallTime at);

  // A shard has committed a seq, or tells that the store knows better what is open. Ended outages
  // up to that seq are dropped. True: the site is no longer in trouble, and forgotten. When false,
  // wants_post() may have become true.
  bool on_note(const core::SiteNote& note);

  // Something changed that facts() has not given yet. on_result() says so by itself; ask after on_note().
  [[nodiscard]] bool wants_post(core::SiteId site) const;

  // Something was posted and no shard has acknowledged it yet: normally a matter of milliseconds.
  [[nodiscard]] bool unacknowledged(core::SiteId site) const;

  // Drops all that is known of the site without telling anyone: it belongs to somebody else now.
  void forget(core::SiteId site);

  [[nodiscard]] bool contains(core::SiteId site) const { return troubles_.contains(site); }
  // The lane's own view: SeemsDown or Down while an outage goes on; nothing otherwise.
  [[nodiscard]] std::optional<core::SiteState> state_of(core::SiteId site) const;

  [[nodiscard]] std::size_t size() const { return troubles_.size(); }
  [[nodiscard]] std::size_t seem_down() const { return seem_down_; }
  [[nodiscard]] std::size_t down() const { return down_; }
  // Outages folded into another one because too many waited.
  [[nodiscard]] std::uint64_t merged_total() const { return merged_total_; }

 private:
  using Kept = KeptOutage;
  struct Trouble {
    std::vector<Kept> ended;      // Told or about to be told, oldest first.
    std::optional<Kept> current;  // Goes on; or has ended and is not told so until there is room.
    std::uint64_t posted_seq = 0;
    std::uint64_t heard_seq = 0;  // Newest seq that a note was about.
    bool dirty = false;           // facts() would tell something new.
    bool left_out = false;        // There was no room in the newest facts for the current outage.
    std::uint8_t unmeasured = 0;  // Results in a row that measured nothing, up to kDoublingsMost.
    bool shard_down = false;      // The store has the current outage as down.
    std::optional<core::SiteState> counted;  // As what it is in seem_down_ and down_.
    core::Presence presence = core::Presence::Watched;
    core::WallTime at = core::kNoWallTime;
  };

  using View = std::optional<core::SiteState>;

  [[nodiscard]] View view(const Trouble& trouble) const;
  void recount(Trouble& trouble, View after);
  void recount(Trouble& trouble) { recount(trouble, view(trouble)); }
  [[nodiscard]] Reaction reaction_to(core::SiteId site, const Trouble& trouble) const;
  void on_failure(Trouble& trouble, const Seen& seen, core::WallTime at);
  void on_success(Trouble& trouble, const Seen& seen, core::WallTime at) const;
  [[nodiscard]] core::SiteFacts stop_looking(core::SiteId site, core::Presence presence,
                                             core::WallTime at);
  void on_event_gone(Trouble& trouble) const;
  void make_own(Kept& kept) const;

  static void start_outage(Trouble& trouble, const core::Evidence& evidence, core::WallTime at);
  static void move_to_ended(Trouble& trouble);
  static void open_stored(Trouble& trouble, const core::OpenEvent& event);
  static void take_over(Trouble& trouble, const core::OpenEvent& event);
  static void drop_acknowledged(Trouble& trouble, const core::SiteNote& note);
  [[nodiscard]] static bool is_over(const Trouble& trouble, const core::SiteNote& note);

  core::ConfirmPolicy policy_;
  const std::uint64_t jitter_seed_;
  core::SegmentedMap<core::SiteId, Trouble> troubles_;
  std::uint64_t seq_ =
      0;  // Of the newest facts made, for any site: so a site that comes back never meets an old note.
  std::size_t seem_down_ = 0;
  std::size_t down_ = 0;
  std::uint64_t merged_total_ = 0;
};

}  // namespace watchwheel::sideeffects
