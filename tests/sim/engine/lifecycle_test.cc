// SPDX-License-Identifier: Apache-2.0
// The whole life of incidents, with everything that goes wrong at once: sites that fail in every way and flap, verifiers that agree,
// disagree and say nothing, sites that depend on others, people who acknowledge, comment and close, a process that dies at any call to its store, a store that is away or loses its answers, maintenance windows,
// clocks that are set, sites that are paused and removed, receivers that refuse, hang and answer with errors.
//
// Each history is drawn from a seed, which a failure prints; WATCHWHEEL_SEED replays it. What must hold of all of them is in
// incident_laws.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>

#include "core/hash.h"
#include "incident_laws.h"

namespace watchwheel::sim {
namespace {

using core::Cause;
using core::Duration;
using core::Saw;
using core::SteadyTime;
using sideeffects::SendOutcome;
using namespace std::chrono_literals;

std::vector<std::uint64_t> seeds(std::size_t count) {
  if (const char* one = std::getenv("WATCHWHEEL_SEED")) return {std::strtoull(one, nullptr, 10)};
  std::vector<std::uint64_t> all;
  for (std::uint64_t seed = 1; seed <= count; ++seed) all.push_back(seed);
  return all;
}

constexpr std::uint64_t kSites = 6;
constexpr Duration kFaulty = 20min;
constexpr Duration kStep = 500ms;

class Life {
 public:
  explicit Life(std::uint64_t seed) : random_(seed), certificates_(seed + 1000), kin_(seed + 2000) {
    has_.kills = odds(2);
    has_.lost_answers = odds(3);
    has_.store_away = odds(2);
    has_.windows = odds(2);
    has_.clock = odds(3);
    has_.edits = odds(2);
    has_.vantage = odds(3);
    has_.requeues = odds(2);
    has_.absences = odds(4);
    has_.acts = odds(2);
    has_.flapping = odds(2);
    has_.parents = kin_() % 2 == 0;
    // Where none of the trouble is ours, how long each wait takes is known.
    if (has_.parents && kin_() % 2 == 0)
      has_.kills = has_.lost_answers = has_.store_away = has_.clock = has_.windows = has_.absences =
          false;
    IncidentSettings settings;
    settings.seed = seed;
    settings.interval = 1s * pick(20, 60);
    settings.timeout = 5s;
    settings.confirm.failures = static_cast<std::uint32_t>(pick(1, 3));
    settings.confirm.successes = static_cast<std::uint32_t>(pick(1, 2));
    settings.confirm.retry_interval = 5s;
    settings.verifiers = odds(2) ? static_cast<std::size_t>(pick(1, 3)) : 0;
    settings.confirm.quorum = settings.verifiers == 0 ? 1 : 2;
    settings.confirm.verify_timeout = 5s;
    settings.confirm.dispute_most = 1min * pick(1, 4);
    settings.gate = has_.vantage;
    if (has_.flapping) {
      settings.flapping.high = static_cast<std::uint32_t>(pick(8, 30));
      settings.flapping.low = settings.flapping.high / 2;
    }
    settings.parents = has_.parents;
    settings.targets = targets();
    for (std::uint64_t site = 1; site <= kSites; ++site) {
      core::SiteRecord record;
      record.name = "site " + std::to_string(site);
      if (site % 3 != 0) record.tags = {site % 2 == 0 ? "eu" : "us"};
      settings.sites.push_back(record);
    }
    world_ = std::make_unique<IncidentWorld>(
        std::move(settings),
        [this](std::string_view url, SteadyTime) { return asked(site_of(url)); },
        [this](std::size_t seat, std::string_view url, SteadyTime) {
          return word_of(seat, site_of(url));
        },
        [this](const sideeffects::Attempt& attempt, SteadyTime) { return received(attempt); });
    if (has_.parents) sites_depend();
  }

  std::vector<std::string> live() {
    world_->run_for(1min);
    for (const SteadyTime end = world_->now() + kFaulty; world_->now() < end;) {
      something_happens();
      world_->run_for(kStep * pick(1, 30));
    }
    calm();
    return broken_laws(*world_, history_);
  }

  [[nodiscard]] const IncidentWorld& world() const { return *world_; }

 private:
  enum class Mode { Well, Refused, Status, Silent, Flapping, Ours };
  enum class Word { Honest, Late, Contrary, Silent, Overloaded, Error, Moody };
  enum class Mood { Well, Refuses, Hangs, Busy, TooMany, BadRequest, Gone, Unsent, Moody };

  [[nodiscard]] int pick(int least, int most) {
    return least + static_cast<int>(random_() % static_cast<std::uint64_t>(most - least + 1));
  }
  [[nodiscard]] bool odds(int of) { return random_() % static_cast<std::uint64_t>(of) == 0; }
  static std::uint64_t site_of(std::string_view url) {
    return std::stoull(std::string(url.substr(8)));
  }

  static sideeffects::NotifyTargets targets() {
    const auto target = [](const char* name) {
      sideeffects::NotifyTarget one;
      one.channel.name = name;
      one.channel.url = "https://" + std::string(name) + ".test/";
      one.channel.timeout = 8s;
      one.retry.attempts_max = 4;
      one.retry.schedule = {3s, 10s, 30s};
      return one;
    };
    sideeffects::NotifyTargets all{target("all"), target("early"), target("eu"), target("short")};
    all[1].states = {core::SiteState::SeemsDown, core::SiteState::Down, core::SiteState::Up};
    all[1].remind = 2min;
    all[1].in_flight_max = 1;
    all[2].tags = {"eu"};
    all[2].rate = {.per_minute = 20, .burst = 3};
    all[3].skip_short = true;
    for (const std::size_t told : {0U, 2U, 3U}) all[told].warnings = true;
    all[2].severity = sideeffects::Severity::Warning;
    return all;
  }

  // ---- Those that we talk to ----

  // Where each is reached by way of those above it, it fails with them.
  [[nodiscard]] Mode mode_of(std::uint64_t site) const {
    if (!by_way_of_parents_ || modes_.at(site) == Mode::Ours) return modes_.at(site);
    std::vector<std::uint64_t> next{site};
    const auto& kinships = world_->kinships();
    while (!next.empty()) {
      const std::uint64_t one = next.back();
      next.pop_back();
      const Mode mode = modes_.at(one);
      if (one != site && (mode == Mode::Refused || mode == Mode::Silent)) return Mode::Silent;
      if (kinships.empty()) continue;
      const auto found = kinships.back().parents.find(one);
      if (found == kinships.back().parents.end()) continue;
      next.insert(next.end(), found->second.begin(), found->second.end());
    }
    return modes_.at(site);
  }

  Answer asked(std::uint64_t site) {
    Mode mode = mode_of(site);
    if (mode == Mode::Flapping) mode = odds(2) ? Mode::Well : Mode::Refused;
    switch (mode) {
      case Mode::Refused:
        return {Cause::ConnectRefused, 5ms, "192.0.2." + std::to_string(site)};
      case Mode::Status:
        return {Cause::HttpStatus, 80ms, "192.0.2." + std::to_string(site)};
      case Mode::Silent:
        return {Cause::HttpTimeout, 5s, "192.0.2." + std::to_string(site)};
      case Mode::Ours:
        return {Cause::LocalResources, 1ms, ""};
      case Mode::Well:
      case Mode::Flapping:
        break;
    }
    return {Cause::Ok, 1ms * pick(5, 400), "192.0.2." + std::to_string(site)};
  }

  VerifierWord word_of(std::size_t seat, std::uint64_t site) {
    Word word = words_.at(seat);
    if (word == Word::Moody) word = static_cast<Word>(pick(0, 5));
    const Mode mode = mode_of(site);
    const bool up = mode == Mode::Well || mode == Mode::Ours || (mode == Mode::Flapping && odds(2));
    const Saw truth = up ? Saw::Up : Saw::Down;
    switch (word) {
      case Word::Late:
        return {truth, 100ms * pick(1, 80)};
      case Word::Contrary:
        return {Saw::Up, 200ms};
      case Word::Silent:
        return {Saw::Silent, 0ms};
      case Word::Overloaded:
        return {Saw::Overloaded, 50ms};
      case Word::Error:
        return {odds(2) ? Saw::Error : Saw::NotMeasured, 50ms};
      case Word::Honest:
      case Word::Moody:
        break;
    }
    return {truth, 1ms * pick(50, 900)};
  }

  ReceiverWord received(const sideeffects::Attempt& attempt) {
    Mood mood = moods_[attempt.target->name];
    if (mood == Mood::Moody) mood = odds(2) ? Mood::Well : static_cast<Mood>(pick(1, 7));
    const auto says = [](SendOutcome outcome, int status, Duration after) {
      return ReceiverWord{.result = {.outcome = outcome, .status = status, .detail = "as scripted"},
                          .after = after};
    };
    switch (mood) {
      case Mood::Refuses:
        return says(SendOutcome::Retry, 0, 2ms);
      case Mood::Hangs:
        return says(SendOutcome::Retry, 0, 1h);
      case Mood::Busy:
        return says(SendOutcome::Retry, 503, 30ms);
      case Mood::TooMany: {
        ReceiverWord word = says(SendOutcome::Retry, 429, 30ms);
        word.result.retry_after = 1s * pick(0, 40);
        return word;
      }
      case Mood::BadRequest:
        return says(SendOutcome::Permanent, 400, 30ms);
      case Mood::Gone:
        return says(SendOutcome::Gone, 410, 30ms);
      case Mood::Unsent:
        return says(SendOutcome::NotSent, 0, 1ms);
      case Mood::Well:
      case Mood::Moody:
        break;
    }
    return says(SendOutcome::Delivered, 200, 1ms * pick(5, 3000));
  }

  // ---- What happens ----

  void note(const std::string& what) { history_.happened.push_back({world_->now(), what}); }

  // By a draw of its own, so that a seed's outages do not depend on it.
  void a_certificate_changes() {
    if (certificates_() % 8 != 0) return;
    constexpr std::array<int, 6> kHours{90 * 24, 90 * 24, 13 * 24, 6 * 24, 2 * 24, 12};
    world_->set_certificate(1 + certificates_() % kSites,
                            1h * kHours.at(certificates_() % kHours.size()));
  }

  // A chain of three, a fan, or both from one root.
  void sites_depend() {
    by_way_of_parents_ = kin_() % 2 == 0;
    std::array<std::uint64_t, kSites> site{};
    for (std::size_t i = 0; i < kSites; ++i) {
      const std::size_t other = kin_() % (i + 1);
      site.at(i) = site.at(other);
      site.at(other) = i + 1;
    }
    const std::uint64_t shape = kin_() % 3;
    for (std::size_t i = 1; i < kSites; ++i) {
      const bool chain = i < 3;
      if (shape != (chain ? 1U : 0U)) depend(site.at(i), {site.at(chain ? i - 1 : 0)});
    }
  }

  void depend(std::uint64_t site, const std::set<std::uint64_t>& parents) {
    std::string what = "site " + std::to_string(site) + " is to depend on";
    for (const std::uint64_t parent : parents) what += " " + std::to_string(parent);
    note(what + (world_->depend(site, parents) ? "" : ": refused"));
  }

  void people_change_parents() {
    if (!has_.parents || kin_() % 12 != 0) return;
    const std::uint64_t site = 1 + kin_() % kSites;
    std::set<std::uint64_t> parents;
    for (std::uint64_t left = kin_() % 3; left > 0; --left) parents.insert(1 + kin_() % kSites);
    const auto& removed = history_.removed;
    if (std::find(removed.begin(), removed.end(), site) == removed.end()) depend(site, parents);
  }

  void something_happens() {
    end_what_is_over();
    a_certificate_changes();
    people_change_parents();
    switch (pick(0, 22)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        modes_.at(static_cast<std::size_t>(pick(1, kSites))) =
            odds(2) ? Mode::Well : static_cast<Mode>(pick(1, 5));
        return;
      case 6:
        words_.at(static_cast<std::size_t>(pick(0, 2))) = static_cast<Word>(pick(0, 6));
        return;
      case 7:
      case 8: {
        const auto& all = world_->settings().targets;
        const auto& one =
            all.at(static_cast<std::size_t>(pick(0, static_cast<int>(all.size()) - 1)));
        note("another mood of " + one.name());
        moods_[one.name()] = odds(2) ? Mood::Well : static_cast<Mood>(pick(1, 8));
        if (moods_[one.name()] == Mood::Gone && !odds(3)) moods_[one.name()] = Mood::Moody;
        return;
      }
      case 9:
      case 10:
        return has_.kills ? the_process_ends() : void();
      case 11:
        return has_.store_away ? the_store_is_away() : void();
      case 12:
        if (!has_.lost_answers) return;
        history_.answers_lost = true;
        note("answers are lost");
        world_->lose_answers(static_cast<std::uint32_t>(pick(2, 20)));
        lossy_until_ = world_->now() + 1s * pick(5, 60);
        return;
      case 13:
        return has_.windows ? a_window_is_announced() : void();
      case 14:
        if (!has_.clock) return;
        history_.clock_stepped = true;
        note("the clock is set");
        world_->clock.step_wall(1s * pick(-600, 600));
        return;
      case 15:
        return has_.edits ? the_list_is_edited() : void();
      case 16:
        return has_.vantage ? the_vantage_changes() : void();
      case 17:
        return has_.requeues ? dead_letters_are_requeued() : void();
      case 18:
        return has_.absences ? a_target_is_absent() : void();
      case 19:
      case 20:
        return has_.acts ? somebody_acts() : void();
      default:
        return;
    }
  }

  void end_what_is_over() {
    const SteadyTime now = world_->now();
    if (away_until_ <= now) world_->set_store_away(false);
    if (lossy_until_ <= now) world_->lose_answers(0);
    if (vantage_until_ <= now) world_->set_vantage(core::VantageState::Healthy);
    if (absent_until_ <= now &&
        std::exchange(absent_until_, SteadyTime::max()) != SteadyTime::max())
      world_->set_targets(world_->settings().targets);
  }

  void the_process_ends() {
    history_.killed = true;
    const Duration down_for = 100ms * pick(1, 300);
    note("the process ends");
    if (odds(4)) return world_->stop(down_for);
    if (odds(4)) return world_->kill(down_for);
    world_->kill_at_call(static_cast<std::size_t>(pick(1, 40)), odds(2), down_for);
  }

  void the_store_is_away() {
    history_.store_away = true;
    world_->set_store_away(true);
    away_until_ = world_->now() + 1s * pick(1, 120);
    note("the store is away until " +
         std::to_string(core::to_seconds(away_until_.time_since_epoch()) - 3600));
  }

  void a_window_is_announced() {
    Announced window;
    sideeffects::MaintenanceWindow row;
    row.title = "work";
    const Duration begins_in = odds(2) ? Duration{} : Duration{1s * pick(1, 60)};
    const Duration length = 1s * pick(60, 300);
    row.starts_at = world_->clock.wall() + begins_in;
    row.ends_at = row.starts_at + length;
    row.created_at = world_->clock.wall();
    if (odds(2)) {
      row.tags = {"eu"};
      for (std::uint64_t site = 1; site <= kSites; ++site) {
        const auto& tags = world_->settings().sites.at(site - 1).tags;
        if (!tags.empty() && tags.front() == "eu") window.sites.push_back(site);
      }
    } else {
      window.sites = {static_cast<std::uint64_t>(pick(1, kSites))};
      row.sites = {core::SiteId{window.sites.front()}};
    }
    window.known_at = world_->now();
    note("a window is announced");
    window.from = world_->now() + begins_in;
    window.until = window.from + length;
    const auto id = world_->announce(row);
    // Now and then one is taken back.
    if (odds(4)) {
      world_->withdraw(id);
      window.until = world_->now();
    }
    history_.windows.push_back(window);
  }

  void the_list_is_edited() {
    history_.edited = true;
    const auto site = static_cast<std::uint64_t>(pick(1, kSites));
    note("site " + std::to_string(site) + " is paused, resumed or removed");
    const bool removed =
        std::find(history_.removed.begin(), history_.removed.end(), site) != history_.removed.end();
    if (removed) return;
    if (odds(6)) {
      history_.removed.push_back(site);
      return world_->remove(site);
    }
    paused_.at(site) = !paused_.at(site);
    world_->set_active(site, !paused_.at(site));
  }

  void the_vantage_changes() {
    world_->set_hold(100ms * pick(0, 20));
    vantage_until_ = world_->now() + 1s * pick(10, 90);
    note("the vantage changes");
    if (odds(2)) return world_->set_vantage(core::VantageState::Fault);
    history_.grouped = true;
    world_->set_vantage(core::VantageState::MassOutage);
    for (std::size_t site = 1; site <= kSites; ++site)
      if (!odds(3)) modes_.at(site) = odds(2) ? Mode::Refused : Mode::Silent;
  }

  void dead_letters_are_requeued() {
    history_.first_requeue = std::min(history_.first_requeue, world_->now());
    note("dead letters are requeued");
    (void)world_->requeue_dead();
  }

  void a_target_is_absent() {
    if (absent_until_ != SteadyTime::max()) return;
    sideeffects::NotifyTargets fewer = world_->settings().targets;
    const auto gone = static_cast<std::ptrdiff_t>(pick(0, static_cast<int>(fewer.size()) - 1));
    history_.absent.push_back(fewer.at(static_cast<std::size_t>(gone)).name());
    fewer.erase(fewer.begin() + gone);
    world_->set_targets(fewer);
    absent_until_ = world_->now() + 1s * pick(5, 240);
    note(history_.absent.back() + " is absent until " +
         std::to_string(core::to_seconds(absent_until_.time_since_epoch()) - 3600));
  }

  void somebody_acts() {
    const std::vector<db::Incident> open = world_->open_incidents();
    if (open.empty()) return;
    const auto& one = open.at(static_cast<std::size_t>(pick(0, static_cast<int>(open.size()) - 1)));
    const auto act = odds(2)   ? sideeffects::Act::Ack
                     : odds(2) ? sideeffects::Act::Comment
                               : sideeffects::Act::Close;
    history_.closed = history_.closed || act == sideeffects::Act::Close;
    note(std::string(to_string(act)) + " of event " + std::to_string(one.id.value));
    (void)world_->act(one.id, act, odds(3));
  }

  // All faults end, and everything has the time that it needs: a circuit opens for up to a quarter of an hour.
  void calm() {
    note("calm");
    modes_.fill(Mode::Well);
    words_.fill(Word::Honest);
    moods_.clear();
    world_->set_store_away(false);
    world_->lose_answers(0);
    world_->set_vantage(core::VantageState::Healthy);
    world_->set_hold({});
    world_->set_targets(world_->settings().targets);
    for (std::uint64_t site = 1; site <= kSites; ++site) world_->set_certificate(site, 24h * 90);
    world_->run_for(6min);  // For as long as a renewed certificate has to be seen.
    for (int i = 0; i < 60 && !is_settled(); ++i) world_->run_for(1min);
    dead_letters_are_requeued();
    for (int i = 0; i < 60 && (i < 2 || !is_settled()); ++i) world_->run_for(30s);
  }
  [[nodiscard]] bool is_settled() {
    return world_->idle() && world_->notices_waiting() == 0 && world_->deliveries(false).empty() &&
           world_->flapping() == 0;
  }

  std::mt19937_64 random_;
  std::mt19937_64 certificates_;
  std::mt19937_64 kin_;
  bool by_way_of_parents_ = false;
  struct {
    bool kills, lost_answers, store_away, windows, clock, edits, vantage, requeues, absences, acts,
        flapping, parents;
  } has_{};
  std::array<Mode, kSites + 1> modes_{};
  std::array<Word, 3> words_{};
  std::map<std::string, Mood> moods_;
  std::array<bool, kSites + 1> paused_{};
  History history_;
  SteadyTime away_until_ = SteadyTime::max();
  SteadyTime lossy_until_ = SteadyTime::max();
  SteadyTime vantage_until_ = SteadyTime::max();
  SteadyTime absent_until_ = SteadyTime::max();
  std::unique_ptr<IncidentWorld> world_;
};

// Goal: whatever happens, nobody is called down without cause, and whoever was told that it began is told that it is over.
TEST(Lifecycle, TheLawsHoldWhateverHappens) {
  std::size_t events = 0;
  std::size_t sent = 0;
  std::size_t acts = 0;
  std::size_t flaps = 0;
  int runs = 0;
  for (const std::uint64_t seed : seeds(30)) {
    Life life(seed);
    const std::vector<std::string> broken = life.live();
    for (const std::string& what : broken)
      ADD_FAILURE() << "WATCHWHEEL_SEED=" << seed << ": " << what;
    events += life.world().committed().size();
    sent += life.world().sent().size();
    runs += life.world().runs();
    acts += life.world().acts().size();
    for (const Sent& one : life.world().sent())
      flaps += one.message.kind == sideeffects::MessageKind::Flapping ? 1U : 0U;
  }
  std::cout << events << " transitions, " << sent << " attempts, " << runs << " processes, " << acts
            << " acts, " << flaps << " times told to flap\n";
  if (std::getenv("WATCHWHEEL_SEED") != nullptr) return;
  EXPECT_GT(events, 0U);
  EXPECT_GT(sent, 0U);
  EXPECT_GT(acts, 0U);
  EXPECT_GT(flaps, 0U);
}

}  // namespace
}  // namespace watchwheel::sim
