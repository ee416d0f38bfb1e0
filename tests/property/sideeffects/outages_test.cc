// SPDX-License-Identifier: Apache-2.0 Goal: what ends up in the store does not depend on when it
// was told. Method: random results go through Attention, a mailbox, a Shard and an honest store
// that is often away or loses its answers, with notes that come late, facts posted twice or
// replaced before they are taken, and restarts; beside it a naive model judges each result at once.
// At the end, and at each restart, the two hold the same events with the same transitions. Each is
// done twice: with the store alone, and with a journal for when it is away.
// The seed of a failure is printed; WATCHWHEEL_SEED replays it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/mailbox.h"
#include "core/site_facts.h"
#include "sideeffects/attention.h"
#include "sideeffects/shard.h"
#include "sideeffects/detour.h"
#include "sideeffects/replayer.h"
#include "support/fake_journal.h"
#include "support/fake_store.h"
#include "support/fake_vantage_store.h"

namespace watchwheel::sideeffects {
namespace {

using core::ConfirmPolicy;
using core::Evidence;
using core::kNoWallTime;
using core::Outcome;
using core::Presence;
using core::SiteFacts;
using core::SiteId;
using core::SiteNote;
using core::SiteState;
using core::TransitionReason;
using core::WallTime;
using watchwheel::testing::FakeEvent;
using watchwheel::testing::FakeEventStore;
using watchwheel::testing::FakeFailure;
using watchwheel::testing::FakeJournal;
using watchwheel::testing::FakeVantageStore;
using watchwheel::testing::OutagesTold;
using namespace std::chrono_literals;

std::vector<std::uint64_t> seeds(std::size_t count) {
  if (const char* one = std::getenv("WATCHWHEEL_SEED")) return {std::strtoull(one, nullptr, 10)};
  std::vector<std::uint64_t> all;
  for (std::uint64_t seed = 1; seed <= count; ++seed) all.push_back(seed);
  return all;
}

// ---- The naive model: one site, each result judged at once ------------------------------------------

class ModelSite {
 public:
  void on_result(Outcome outcome, const Evidence& evidence, WallTime at,
                 const ConfirmPolicy& policy) {
    if (outcome == Outcome::NotMeasured) return;
    if (outcome == Outcome::Down) return fail(evidence, at, policy);
    if (open_ == nullptr || ++successes_ < policy.successes) return;
    const bool confirmed = open_->state == SiteState::Down;
    end(confirmed ? TransitionReason::Recovered : TransitionReason::FalseAlarm, SiteState::Up,
        evidence, at);
  }

  void stop(Presence presence, WallTime at) {
    if (open_ == nullptr) return;
    if (presence == Presence::Paused)
      end(TransitionReason::Operator, SiteState::Paused, open_->evidence, at);
    if (presence == Presence::Removed)
      end(TransitionReason::SiteRemoved, SiteState::Unknown, open_->evidence, at);
  }

  // A restart: what is stored is what is known. Successes too few to end an outage are not stored.
  void restart(const std::vector<FakeEvent>& stored) {
    events_.clear();
    open_ = nullptr;
    successes_ = 0;
    last_at_ = kNoWallTime;
    for (const FakeEvent& event : stored) {
      EventWrite& row = events_[event.row.started_at] = event.row;
      if (!event.ended()) open_ = &row;
    }
  }

  [[nodiscard]] const std::map<WallTime, EventWrite>& events() const { return events_; }

 private:
  void fail(const Evidence& evidence, WallTime at, const ConfirmPolicy& policy) {
    successes_ = 0;
    if (open_ == nullptr) {
      open_ = &events_[at];
      open_->started_at = at;
      open_->state = SiteState::Up;
      open_->failures = 1;
      open_->evidence = evidence;
      last_at_ = at;
      add(TransitionReason::Opened, SiteState::SeemsDown, evidence, at);
    } else {
      at = last_at_ = std::max({last_at_, at, open_->started_at, open_->confirmed_at});
      ++open_->failures;
      open_->evidence = evidence;
    }
    if (open_->state == SiteState::SeemsDown && open_->failures >= policy.failures) {
      open_->confirmed_at = at;
      add(TransitionReason::Confirmed, SiteState::Down, evidence, at);
    }
  }

  void end(TransitionReason reason, SiteState after, const Evidence& evidence, WallTime at) {
    at = std::max({last_at_, at, open_->started_at, open_->confirmed_at});
    add(reason, after, evidence, at);
    open_->state = SiteState::Up;
    open_->ended_at = at;
    open_ = nullptr;
    successes_ = 0;
  }

  void add(TransitionReason reason, SiteState after, const Evidence& evidence, WallTime at) {
    open_->transitions.push_back({.seq = ++open_->transitions_total,
                                  .reason = reason,
                                  .before = open_->state,
                                  .after = after,
                                  .at = at,
                                  .failures = open_->failures,
                                  .evidence = evidence,
                                  .testimony = {.basis = reason == TransitionReason::Confirmed
                                                             ? core::Basis::LocalOnly  // There are no verifiers here.
                                                             : core::Basis::None,
                                                .witnesses = {}}});
    open_->state = after;
  }

  std::map<WallTime, EventWrite> events_;
  EventWrite* open_ = nullptr;
  WallTime last_at_ = kNoWallTime;
  std::uint32_t successes_ = 0;
};

// ---- The real thing, with everything that can come between --------------------------------------------

class Notes final : public NoteSink {
 public:
  bool offer(SiteNote&& note) override {
    if (waiting.size() >= room) return false;
    waiting.push_back(std::move(note));
    return true;
  }
  std::deque<SiteNote> waiting;
  std::size_t room = 8;
};

struct Heard {  // Everything that was ever seen of a site, for the law that down must be earned.
  Outcome outcome = Outcome::NotMeasured;
  WallTime at;
  bool restart = false;  // Successes too few to end an outage are forgotten.
};

class Rig {
 public:
  Rig(std::uint64_t seed, std::size_t sites, ConfirmPolicy policy, bool with_journal)
      : random_(seed), sites_(sites), policy_(policy), with_journal_(with_journal) {
    start();
  }

  // ---- steps
  void result(SiteId site, Outcome outcome) {
    const Seen seen{.outcome = outcome, .evidence = evidence(outcome), .at = clock_.wall()};
    heard_[site].push_back({.outcome = outcome, .at = seen.at});
    model_[site].on_result(outcome, seen.evidence, core::from_unix_ms(core::to_unix_ms(seen.at)),
                           policy_);
    if (outcome != Outcome::Down && !attention_->contains(site)) return;  // As a lane does.
    const Reaction reaction = attention_->on_result(site, seen);
    EXPECT_EQ(reaction.troubled, attention_->contains(site));
    if (reaction.post) post(attention_->facts(site));
  }

  void stop_looking(SiteId site, Presence presence) {
    model_[site].stop(presence, core::from_unix_ms(core::to_unix_ms(clock_.wall())));
    heard_[site].clear();
    if (!attention_->contains(site)) return;
    post(presence == Presence::Paused ? attention_->paused(site, clock_.wall())
                                      : attention_->removed(site, clock_.wall()));
  }

  void post(SiteFacts facts) {
    EXPECT_LE(facts.outages.size(), core::kOutagesWaitingMax);
    last_posted_.insert_or_assign(facts.site, facts);
    const core::FactsKey seat = core::key_of(facts);
    mailbox_->post(seat, std::move(facts));
  }

  void post_again(SiteId site) {
    if (chance(50)) return post(attention_->facts(site));
    if (const auto last = last_posted_.find(site); last != last_posted_.end())
      mailbox_->post(core::key_of(last->second), last->second);
  }

  void turn() {
    clock_.advance(std::chrono::milliseconds{below(6000)});
    notes_.room = below(12);
    shard_->turn(clock_.steady());
    most_kept = std::max(most_kept, journal.reading().entries);
    for (std::uint64_t pages = below(8); with_journal_ && pages > 0; --pages)
      replayer_->turn(clock_.steady());
  }

  void deliver(std::size_t most) {
    for (; most > 0 && !notes_.waiting.empty(); --most) {
      const SiteNote note = notes_.waiting.front();
      notes_.waiting.pop_front();
      unknown_events += note.unknown_event ? 1U : 0U;
      events_gone += note.event_gone ? 1U : 0U;
      if (!attention_->on_note(note) && attention_->wants_post(note.site))
        post(attention_->facts(note.site));
    }
  }

  // The store is well, and everything that is on its way arrives.
  void drain() {
    store.set_away(false);
    const auto at_rest = [&] {
      return shard_->idle() && notes_.waiting.empty() && !(with_journal_ && detour_->taken());
    };
    for (int i = 0; i < 1000 && !at_rest(); ++i) {
      clock_.advance(6s);
      if (with_journal_) replayer_->turn(clock_.steady());
      notes_.room = 1000;
      shard_->turn(clock_.steady());
      deliver(1000);
    }
    ASSERT_TRUE(at_rest()) << "the shard does not come to rest";
  }

  void restart(bool whole) {
    if (whole) {
      drain();
      compare();
    }
    start();
    if (with_journal_) replay_all();
    for (std::uint64_t i = 1; i <= sites_; ++i) {
      const SiteId site{i};
      model_[site].restart(store.events_of(site));
      heard_[site].push_back({.at = clock_.wall(), .restart = true});
      if (const auto open = store.open_of(site)) attention_->restore(site, *open);
    }
  }

  // What an earlier process left comes before the site list is read.
  void replay_all() {
    store.set_away(false);
    for (int i = 0; i < 1000 && detour_->taken(); ++i) {
      clock_.advance(6s);
      replayer_->turn(clock_.steady());
    }
    ASSERT_FALSE(detour_->taken()) << "the journal does not become empty";
  }

  // As restart(), but some events are not restored, and some are that were closed since the list
  // was read.
  void restart_confused() {
    std::map<SiteId, core::OpenEvent> read;
    for (std::uint64_t i = 1; i <= sites_; ++i) {
      if (const auto open = store.open_of(SiteId{i})) read[SiteId{i}] = *open;
    }
    drain();
    start();
    confused_ = true;
    for (const auto& [site, open] : read) {
      if (chance(70)) attention_->restore(site, open);
    }
  }

  // ---- what must hold
  void compare() const {
    for (std::uint64_t i = 1; i <= sites_; ++i) {
      const SiteId site{i};
      SCOPED_TRACE("site " + std::to_string(i));
      const std::vector<FakeEvent> stored = store.events_of(site);
      const auto& wanted = model_.at(site).events();
      ASSERT_EQ(stored.size(), wanted.size());
      auto want = wanted.begin();
      for (const FakeEvent& event : stored) compare(event.row, (want++)->second);
    }
  }

  static void compare(const EventWrite& row, const EventWrite& want) {
    EXPECT_EQ(row.started_at, want.started_at);
    EXPECT_EQ(row.state, want.state);
    EXPECT_EQ(row.confirmed_at, want.confirmed_at);
    EXPECT_EQ(row.ended_at, want.ended_at);
    EXPECT_EQ(row.merged, 0U);
    EXPECT_EQ(row.transitions, want.transitions);
    EXPECT_EQ(row.evidence.cause, want.evidence.cause);
    EXPECT_EQ(row.evidence.http_status, want.evidence.http_status);
    if (want.state ==
        SiteState::Down) {  // A long outage with nothing new is not written again and again.
      EXPECT_LE(row.failures, want.failures);
    } else {
      EXPECT_EQ(row.failures, want.failures);
      EXPECT_EQ(row.evidence, want.evidence);
    }
  }

  // What was set aside, with the reason: for a person who reads a failed test.
  [[nodiscard]] std::string aside() {
    std::string text;
    const auto list = journal.list_set_aside(10);
    for (const auto& one : *list) text += std::to_string(one.site.value) + ": " + one.reason + "\n";
    return text;
  }

  // What holds of the store whatever happened.
  void laws() {
    EXPECT_TRUE(shard_->poisoned().empty()) << shard_->poisoned().front().reason;
    if (!confused_) {
      EXPECT_EQ(journal.reading().set_aside, 0U) << aside();
    }
    for (const FakeEvent& event : store.events()) {
      const auto& transitions = event.row.transitions;
      ASSERT_FALSE(transitions.empty());
      EXPECT_EQ(transitions.front().reason, TransitionReason::Opened);
      std::size_t closings = 0;
      for (std::size_t i = 0; i < transitions.size(); ++i) {
        EXPECT_EQ(transitions[i].seq, i + 1);
        EXPECT_EQ(transitions[i].before, i == 0 ? SiteState::Up : transitions[i - 1].after);
        if (i > 0) {
          EXPECT_GE(transitions[i].at, transitions[i - 1].at);
        }
        const TransitionReason reason = transitions[i].reason;
        closings +=
            reason != TransitionReason::Opened && reason != TransitionReason::Confirmed ? 1 : 0;
        if (reason == TransitionReason::Confirmed) {
          EXPECT_GE(transitions[i].failures, policy_.failures);
        }
      }
      EXPECT_EQ(closings, event.ended() ? 1U : 0U);
    }
  }

  // Down is earned by `failures` failures with no run of successes among them that would have ended it.
  void down_was_earned() const {
    for (const FakeEvent& event : store.events()) {
      if (event.row.confirmed_at == kNoWallTime) continue;
      std::uint32_t failures = 0;
      std::uint32_t successes = 0;
      for (const Heard& heard : heard_.at(event.row.site)) {
        if (heard.at > event.row.confirmed_at + 1ms) break;
        if (heard.restart) successes = 0;
        if (heard.outcome == Outcome::Up && ++successes >= policy_.successes) failures = 0;
        if (heard.outcome != Outcome::Down) continue;
        successes = 0;
        ++failures;
      }
      EXPECT_GE(failures, policy_.failures);
    }
  }

  // Once all has arrived, what is open in the store is what fails in the lane's view, and nothing
  // else is kept.
  void agree() const {
    for (std::uint64_t i = 1; i <= sites_; ++i) {
      const SiteId site{i};
      const auto open = store.open_of(site);
      EXPECT_EQ(attention_->state_of(site), open ? std::optional{open->state} : std::nullopt)
          << "site " << i;
      EXPECT_EQ(attention_->contains(site), open.has_value()) << "site " << i;
    }
    EXPECT_EQ(attention_->size(), attention_->seem_down() + attention_->down());
  }

  void pass_time() {
    clock_.advance(std::chrono::microseconds{1000 + below(20'000'000)});
    if (chance(1)) clock_.step_wall(chance(50) ? 1h : -1h);
  }
  void pass_a_little() { clock_.advance(1s); }

  [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random_() % n; }
  [[nodiscard]] bool chance(std::uint64_t percent) { return below(100) < percent; }
  [[nodiscard]] SiteId any_site() { return SiteId{1 + below(sites_)}; }
  [[nodiscard]] const Attention& attention() const { return *attention_; }
  [[nodiscard]] const ModelSite& model(SiteId site) { return model_[site]; }

  FakeEventStore store;
  FakeJournal journal;
  std::uint64_t most_kept = 0;     // Entries of the journal.
  std::size_t unknown_events = 0;  // Notes that set the lane right.
  std::size_t events_gone = 0;

 private:
  void start() {
    notes_.waiting.clear();
    last_posted_.clear();
    attention_ = std::make_unique<Attention>(policy_, 7);
    mailbox_ = std::make_unique<FactsMailbox>(sites_);
    if (with_journal_) {
      detour_ = std::make_unique<Detour>(journal, clock_, told_);
      detoured_store_ = std::make_unique<DetourEventStore>(store, *detour_);
      // All trouble here passes, however often it comes in a row.
      replayer_ =
          std::make_unique<Replayer>(ReplayerLimits{.page = 4, .unreadable_tries = 1000}, *detour_,
                                     journal, store, vantage_store_, clock_, told_, 13);
    }
    EventStore& events = with_journal_ ? static_cast<EventStore&>(*detoured_store_) : store;
    // Little memory by turns, so that what is not remembered has to wait for the store.
    const std::size_t remembered = chance(50) ? 2 : 100;
    shard_ = std::make_unique<Shard>(
        ShardLimits{.batch_sites_max = 3, .open_events_max = remembered}, policy_, *mailbox_,
        events, notes_, clock_, 11);
    for (std::uint64_t i = 1; i <= sites_; ++i) {
      model_.try_emplace(SiteId{i});
      heard_.try_emplace(SiteId{i});
    }
  }

  Evidence evidence(Outcome outcome) {
    if (outcome == Outcome::Up) {
      return {.cause = core::Cause::Ok,
              .phase = core::Phase::Done,
              .http_status = 200,
              .detail = "",
              .address = "a"};
    }
    if (outcome == Outcome::NotMeasured)
      return {core::Cause::LocalOverload, core::Phase::Dns, 0, "", ""};
    const std::string detail = "failure " + std::to_string(++failures_);
    if (chance(50)) return {core::Cause::ConnectTimeout, core::Phase::Connect, 0, detail, "b"};
    return {core::Cause::HttpStatus, core::Phase::FirstByte,
            static_cast<std::uint16_t>(500 + below(3)), detail, "c"};
  }

  std::mt19937_64 random_;
  const std::size_t sites_;
  const ConfirmPolicy policy_;
  const bool with_journal_;
  bool confused_ = false;  // A lane was told wrongly.
  core::ManualClock clock_;
  Notes notes_;
  OutagesTold told_;
  FakeVantageStore vantage_store_;
  std::unique_ptr<Detour> detour_;
  std::unique_ptr<DetourEventStore> detoured_store_;
  std::unique_ptr<Replayer> replayer_;
  std::unique_ptr<FactsMailbox> mailbox_;
  std::unique_ptr<Attention> attention_;
  std::unique_ptr<Shard> shard_;
  std::map<SiteId, ModelSite> model_;
  std::map<SiteId, std::vector<Heard>> heard_;
  std::map<SiteId, SiteFacts> last_posted_;
  std::uint64_t failures_ = 0;
};

ConfirmPolicy policy_for(std::uint64_t seed) {
  return {.failures = 1 + static_cast<std::uint32_t>(seed % 4),
          .successes = 1 + static_cast<std::uint32_t>(seed / 4 % 3)};
}

// Sites tend to go on as they are, so that there are long outages and long streaks as well as flapping.
Outcome next_outcome(Rig& rig, SiteId site, std::map<SiteId, Outcome>& last) {
  if (rig.chance(15)) return Outcome::NotMeasured;
  Outcome& outcome = last.try_emplace(site, Outcome::Up).first->second;
  if (rig.chance(45)) outcome = outcome == Outcome::Up ? Outcome::Down : Outcome::Up;
  return outcome;
}

void random_step(Rig& rig, std::map<SiteId, Outcome>& last) {
  rig.pass_time();
  const std::uint64_t pick = rig.below(100);
  if (pick < 50) {
    const SiteId site = rig.any_site();
    rig.result(site, next_outcome(rig, site, last));
  } else if (pick < 70) {
    rig.turn();
  } else if (pick < 85) {
    rig.deliver(1 + rig.below(4));
  } else if (pick < 90) {
    rig.post_again(rig.any_site());
  } else if (pick < 97) {
    const auto failure = static_cast<FakeFailure>(rig.below(4));
    rig.chance(50) ? rig.store.fail_commits(failure, 1 + rig.below(3))
                   : rig.store.fail_reads(FakeFailure::Unavailable);
    rig.store.set_away(rig.chance(10));
  } else {
    rig.stop_looking(rig.any_site(), rig.chance(50) ? Presence::Paused : Presence::Removed);
  }
}

class Outages : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(OfAStore, Outages, ::testing::Values(false, true),
                         [](const auto& one) { return one.param ? "WithAJournal" : "Alone"; });

TEST_P(Outages, AreStoredAsIfEachResultWereJudgedAtOnce) {
  for (const std::uint64_t seed : seeds(150)) {
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    Rig rig{seed, 5, policy_for(seed), GetParam()};
    std::map<SiteId, Outcome> last;
    for (int step = 0; step < 1500; ++step) {
      random_step(rig, last);
      if (rig.below(400) == 0) rig.restart(true);
    }
    EXPECT_EQ(rig.attention().merged_total(), 0U);
    rig.drain();
    rig.compare();
    rig.laws();
    rig.agree();
    if (::testing::Test::HasFailure()) return;
  }
}

// Goal: a crash loses only what was not committed, and the streak goes on from what was.
TEST_P(Outages, GoOnFromWhatIsStoredAfterACrash) {
  std::uint64_t most_kept = 0;
  for (const std::uint64_t seed : seeds(150)) {
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    Rig rig{seed + 1000, 5, policy_for(seed), GetParam()};
    std::map<SiteId, Outcome> last;
    for (int step = 0; step < 1500; ++step) {
      random_step(rig, last);
      if (rig.below(100) == 0) rig.restart(false);
    }
    rig.drain();
    rig.compare();
    rig.laws();
    rig.agree();
    if (::testing::Test::HasFailure()) return;
    most_kept = std::max(most_kept, rig.most_kept);
  }
  EXPECT_EQ(most_kept > 0, GetParam());
}

TEST_P(Outages, AreDownOnlyWhenEnoughResultsEarnedIt) {
  for (const std::uint64_t seed : seeds(100)) {
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    Rig rig{seed + 2000, 3, policy_for(seed), GetParam()};
    std::map<SiteId, Outcome> last;
    for (int step = 0; step < 600; ++step) {
      rig.pass_a_little();
      const SiteId site = rig.any_site();
      rig.result(site, next_outcome(rig, site, last));
      if (rig.chance(30)) rig.turn();
      if (rig.chance(30)) rig.deliver(3);
      if (rig.below(100) == 0) rig.restart(true);
    }
    rig.drain();
    rig.down_was_earned();
    rig.laws();
    if (::testing::Test::HasFailure()) return;
  }
}

// Goal: when what the lane took over is not what is open in the store, the two agree again and the
// store stays lawful.
TEST_P(Outages, AgreeAgainWhenTheLaneWasToldWrongly) {
  std::size_t unknown_events = 0;
  std::size_t events_gone = 0;
  for (const std::uint64_t seed : seeds(200)) {
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    Rig rig{seed + 3000, 4, policy_for(seed), GetParam()};
    std::map<SiteId, Outcome> last;
    for (int step = 0; step < 800; ++step) {
      random_step(rig, last);
      if (rig.below(60) == 0) rig.restart_confused();
    }
    // The lane learns of an event when it has something to post, so each site fails once more.
    for (std::uint64_t site = 1; site <= 4; ++site) rig.result(SiteId{site}, Outcome::Down);
    rig.drain();
    // What the journal had to set aside the lane is not told; it finds it when it loads its sites.
    if (GetParam()) rig.restart(false);
    rig.laws();
    rig.agree();
    if (::testing::Test::HasFailure()) return;
    unknown_events += rig.unknown_events;
    events_gone += rig.events_gone;
  }
  EXPECT_GT(unknown_events, 0U) << "nothing was tested";
  EXPECT_GT(events_gone, 0U) << "nothing was tested";
}

// Goal: however much a site flaps while the store is away, no outage is lost: those that no longer
// fit are folded and counted.
TEST_P(Outages, AreFoldedAndCountedWhenTooManyWait) {
  std::size_t folded = 0;
  for (const std::uint64_t seed : seeds(100)) {
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    Rig rig{seed + 4000, 1, policy_for(seed), GetParam()};
    const SiteId site{1};
    for (int spell = 0; spell < 4; ++spell) {
      rig.store.set_away(rig.chance(70));
      for (std::uint64_t step = 0, steps = rig.below(600); step < steps; ++step) {
        rig.pass_a_little();
        if (rig.chance(40)) {
          rig.result(site, rig.chance(50) ? Outcome::Down : Outcome::Up);
        } else if (rig.chance(20)) {
          rig.turn();
        } else if (rig.chance(20)) {
          rig.deliver(2);
        } else if (rig.chance(3)) {
          rig.stop_looking(site, Presence::Paused);
        }
      }
    }
    rig.drain();
    rig.laws();
    rig.agree();
    std::size_t told = 0;
    for (const FakeEvent& event : rig.store.events_of(site)) {
      told += 1 + event.row.merged;
      folded += event.row.merged;
    }
    const auto& wanted = rig.model(site).events();
    EXPECT_EQ(told, wanted.size());
    if (!wanted.empty()) {
      EXPECT_EQ(rig.store.events_of(site).front().row.started_at, wanted.begin()->first);
      EXPECT_EQ(rig.store.events_of(site).back().row.ended_at, wanted.rbegin()->second.ended_at);
    }
    if (::testing::Test::HasFailure()) return;
  }
  if (!GetParam()) {
    EXPECT_GT(folded, 0U) << "nothing was tested";
  }
}

}  // namespace
}  // namespace watchwheel::sideeffects
