// SPDX-License-Identifier: Apache-2.0
// sideeffects/verification.h - the outages of a shard about which other vantages are asked, while the shard goes on with its other
// sites.
//
// Owns     one seat for each site that is asked about, or was and is not down for that: its newest facts, what was answered.
// Thread   the shard's, for every call; stats() is for any.
// Bounded  `sites_max` sites. Full: a site is offered again with its next failure; when its turn has not come by the time that its
//          answers were due, our own failures are enough (Basis::Unasked).
// Time     both times passed in; never reads a clock.
// Fails    never. What is here is lost with the process: the lane's next failure asks anew (the streak is in the event).
//
// An outage is asked about as soon as the lane says that its failures reached the policy. Answers come in any order and at any
// time; one that comes after its round is passed over. A round ends as soon as the votes decide (quorum.h), at its deadline at the latest. After a
// disagreement the next failures ask again, `again_after` later at the earliest, twice as long each time up to `again_most`. A site
// that recovers is asked about no more; what was answered until then is weighed, if it is a vote.
//
// Who saw it up and says nothing in a later round (late, overloaded, our own trouble) has not changed his mind: that vote is kept for
// ConfirmPolicy::dispute_most, until he votes again. A vote that saw it down is of its round only. A site that is asked for
// differently than before (its URL, its options) is asked about anew: what was answered was about something else.
//
// A round at whose end we were late by more than `late_most` is not weighed by its time but asked once more: it was we who stood
// still. After close() no round ends by its time.
//
// Nobody can hold a real outage at seems_down alone, whether they lie or look from where it is well: when it has failed here for
// ConfirmPolicy::dispute_most and in the newest round no more vantages saw it up than down, our own word is enough
// (Basis::Outlasted). By the wall clock, from the outage's start, so that a restart does not begin it anew; and for `dispute_least`
// of steady time, so that a clock that is set does not end it. Outvoted by more than one vantage the site stays in dispute: then it
// is more likely that the fault is on our way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/site_facts.h"
#include "core/stats.h"
#include "core/testimony.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/verifier_panel_api.h"

namespace watchwheel::sideeffects {

struct VerificationLimits {
  std::size_t sites_max = 65'536;
  core::Duration again_after = std::chrono::seconds{15};
  core::Duration again_most = std::chrono::minutes{5};
  core::Duration dispute_least = std::chrono::minutes{1};
  core::Duration late_most = std::chrono::seconds{2};
};

struct VerificationStats {
  std::array<core::Counter, core::kBasisCount> decided;  // Outages by what was decided; None: dropped because they ended.
  core::Gauge waiting;                                   // Sites whose answers are awaited.
  core::Gauge disputed;                                  // Sites that others see up, of which we stay in doubt.
};

class Verification : core::Pinned {
 public:
  struct Now {
    core::SteadyTime steady;
    core::WallTime wall;
  };

  // What is known of the outage that is being judged, and of the one before it that is judged with it.
  struct Heard {
    core::Testimony newest;
    core::Testimony earlier{};
  };

  explicit Verification(const VerificationLimits& limits) : limits_(limits) {}

  // Nobody is asked without one. Before the first facts; it outlives them.
  void attach(VerifierPanel& panel);

  // What judge() is to know of these facts, which are about to be judged; `open`: what is stored. Asks where it is time to.
  [[nodiscard]] Heard consult(const core::SiteFacts& facts, const std::optional<StoredEvent>& open,
                              const core::ConfirmPolicy& policy, Now now);
  // Takes answers and looks at deadlines. Appends the facts of at most `room` sites that are decided now, to be judged again.
  void collect(Now now, std::vector<core::SiteFacts>& into, std::size_t room);
  // The verdict on the site was stored; this is open now.
  void settled(core::SiteId site, const std::optional<StoredEvent>& open);

  // We are stopping: whoever has not answered will not be heard, and that is not his silence.
  void close() { closed_ = true; }

  // Forgets sites that are somebody else's now.
  template <typename IsGone>
  void drop_if(IsGone is_gone) {
    std::vector<core::SiteId> gone;
    for (const auto& [id, site] : sites_) {
      if (is_gone(id)) gone.push_back(id);
    }
    for (const core::SiteId id : gone) settled(id, std::nullopt);
  }

  // When collect() has something to do without being woken.
  [[nodiscard]] std::optional<core::SteadyTime> next() const;
  [[nodiscard]] std::size_t size() const { return sites_.size(); }
  [[nodiscard]] const VerificationStats& stats() const { return stats_; }

 private:
  // Of one who saw it up.
  struct Kept {
    core::Witness witness;
    core::SteadyTime since;
  };
  struct Site {
    core::SiteFacts facts;
    core::ConfirmPolicy policy;  // Of the round.
    core::WallTime started_at = core::kNoWallTime;  // Which outage.
    std::uint64_t question = 0;                     // 0: none is open.
    core::SteadyTime deadline = core::kNoSteadyTime;
    std::vector<std::optional<core::Witness>> answers;  // By seat.
    std::vector<std::optional<Kept>> kept;              // By seat.
    bool once_more = false;                             // The round was asked again because we were late.
    std::uint32_t asked_failures = 0;
    std::uint32_t rounds = 0;
    core::SteadyTime again_at = core::kNoSteadyTime;
    core::SteadyTime wanted_at = core::kNoSteadyTime;  // Since when it is to be asked about anew.
    core::WallTime same_since = core::kNoWallTime;     // Asked for as it is now. kNoWallTime: from its start.
    core::SteadyTime disputed_since = core::kNoSteadyTime;  // The first disagreement; later ones do not move it.
    bool outvoted = false;                                  // In the newest round.
    core::Testimony testimony;  // Of the last round that was decided.
    core::Testimony earlier;    // Of the outage before, until it is stored.
    bool ready = false;         // Decided, and not judged since.
  };

  [[nodiscard]] core::Testimony ask_first(const core::SiteFacts& facts, const core::Outage& outage,
                                          const core::ConfirmPolicy& policy, Now now);
  VerifierPanel::Asked open_question(Site& site, const core::SiteFacts& facts,
                                     const core::Outage& outage, const core::ConfirmPolicy& policy,
                                     Now now);
  void ask_anew(Site& site, Now now);
  void ask_again(Site& site, const core::SiteFacts& facts, const core::Outage& outage,
                 const core::ConfirmPolicy& policy, Now now);
  [[nodiscard]] bool ask_once_more(Site& site, Now now);
  void hear(const SeatAnswer& answer, Now now);
  // What a seat is counted as; nullptr: it is awaited, or silent when the time is over.
  [[nodiscard]] const core::Witness* voice(const Site& site, std::size_t seat, bool time_is_over,
                                           Now now) const;
  enum class When : std::uint8_t {
    Open,      // Others may still answer.
    TimeOver,
    Ended,     // The outage is over: what is decided without a vote is not.
  };
  void weigh_round(core::SiteId id, Site& site, When when, Now now);
  void decide_alone(Site& site, core::Basis basis, const core::Outage& outage, Now now);
  void end_dispute(Site& site, const core::Outage& outage, const core::ConfirmPolicy& policy,
                   Now now);
  void close_question(Site& site);
  void count(core::Basis basis) { stats_.decided[static_cast<std::size_t>(basis)].add(); }
  void publish();

  const VerificationLimits limits_;
  VerifierPanel* panel_ = nullptr;
  std::vector<std::string> vantages_;  // By seat.
  std::unordered_map<core::SiteId, Site> sites_;
  std::unordered_map<std::uint64_t, core::SiteId> questions_;
  std::deque<std::uint64_t> due_;  // Questions as they were asked, those that are closed among them: so by deadline, but for a reload.
  std::deque<core::SiteId> ready_;
  std::vector<SeatAnswer> heard_;
  std::uint64_t last_question_ = 0;
  std::size_t disputed_ = 0;
  bool closed_ = false;
  VerificationStats stats_;
};

}  // namespace watchwheel::sideeffects
