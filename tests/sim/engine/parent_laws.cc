// SPDX-License-Identifier: Apache-2.0
#include "parent_laws.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace watchwheel::sim {

using core::Duration;
using core::SiteState;
using core::SteadyTime;
using core::WallTime;
using sideeffects::Message;
using sideeffects::MessageKind;
using namespace std::chrono_literals;

namespace {

// After a parent was down a child is held until it was looked at again: its interval and this.
constexpr Duration kLooked = 15s;
// The first parent that anybody names counts within this.
constexpr Duration kFirstCounts = 5s;
// Beginnings wait for parents that cannot be read for so long.
constexpr Duration kUnread = 10s;
// What is free comes out within a minute, and takes a moment to be decided; of a mass outage it waits for a digest besides.
constexpr Duration kComesOut = 75s;
constexpr Duration kDigest = 40s;
// A router that failed begins again later, and so does a process that ended.
constexpr Duration kTrouble = 10min;
// What is done at the same moment is done in either order.
constexpr Duration kMoment = 1ms;
// An outage that lasts for so many intervals is no flap.
constexpr int kLasting = 4;

bool troubled(const History& history) {
  return history.killed || history.answers_lost || history.store_away;
}

// An outage as the store had it.
struct Outage {
  const db::Incident* row = nullptr;
  SteadyTime opened = SteadyTime::max();
  SteadyTime confirmed = SteadyTime::max();
  SteadyTime ended = SteadyTime::max();
};

class Kin {
 public:
  Kin(IncidentWorld& world, const std::vector<db::Incident>& incidents) : world_(world) {
    for (const db::Incident& incident : incidents) {
      Outage outage{.row = &incident};
      for (const Committed& one : world.committed()) {
        if (one.site != incident.site || one.started_at != incident.started_at) continue;
        const SiteState after = one.transition.after;
        const bool out = after == SiteState::SeemsDown || after == SiteState::Down;
        outage.opened = std::min(outage.opened, one.at);
        if (after == SiteState::Down) outage.confirmed = std::min(outage.confirmed, one.at);
        if (!out) outage.ended = one.at;
      }
      outages_[incident.site.value].push_back(outage);
    }
  }

  [[nodiscard]] SteadyTime steady(WallTime at) const {
    return world_.clock.steady() - (world_.clock.wall() - at);
  }
  [[nodiscard]] SteadyTime now() const { return world_.clock.steady(); }
  [[nodiscard]] const std::vector<Outage>& of(std::uint64_t site) { return outages_[site]; }
  [[nodiscard]] const Outage* find(const db::Incident& incident) {
    for (const Outage& one : of(incident.site.value))
      if (one.row == &incident) return &one;
    return nullptr;
  }

  // All above `site` as it is at `at`.
  [[nodiscard]] std::set<std::uint64_t> above(std::uint64_t site, SteadyTime at) const {
    const Kinship* now = nullptr;
    for (const Kinship& one : world_.kinships())
      if (one.at <= at) now = &one;
    std::set<std::uint64_t> all;
    std::vector<std::uint64_t> next{site};
    while (now != nullptr && !next.empty()) {
      const auto found = now->parents.find(next.back());
      next.pop_back();
      if (found == now->parents.end()) continue;
      for (const std::uint64_t parent : found->second)
        if (all.insert(parent).second) next.push_back(parent);
    }
    return all;
  }

  // Whether an outage above holds one of `site` that began at `started`: surely (by whatever came first at that moment), or maybe.
  [[nodiscard]] bool held(std::uint64_t site, WallTime started, SteadyTime at, bool surely) {
    const std::set<std::uint64_t> before = above(site, at - kMoment);
    const std::set<std::uint64_t> after = above(site, at);
    const Duration off = surely ? kMoment : -1s;
    std::set<std::uint64_t> all;
    if (surely) {
      std::set_intersection(before.begin(), before.end(), after.begin(), after.end(),
                            std::inserter(all, all.end()));
    } else {
      std::set_union(before.begin(), before.end(), after.begin(), after.end(),
                     std::inserter(all, all.end()));
    }
    return std::any_of(all.begin(), all.end(), [&](std::uint64_t parent) {
      const auto& outages = of(parent);
      return std::any_of(outages.begin(), outages.end(), [&](const Outage& one) {
        return one.opened <= at - off && at + off <= until(one, started);
      });
    });
  }

  // The parents could not be read for so long before `at` that it was not waited for; or nobody had any a moment ago.
  [[nodiscard]] bool unknown(SteadyTime at) const {
    for (const Kinship& one : world_.kinships())
      if (one.parents.empty() && one.at + kFirstCounts > at) return true;
    const auto& kinships = world_.kinships();
    for (std::size_t i = 1; i < kinships.size(); ++i) {
      const bool first = kinships[i - 1].parents.empty() && !kinships[i].parents.empty();
      if (first && kinships[i].at <= at && at < kinships[i].at + kFirstCounts) return true;
    }
    std::optional<SteadyTime> since;
    for (const AskedForKin& one : world_.asked_for_kin()) {
      if (one.at > at) break;
      if (one.answered) {
        since.reset();
      } else if (!since) {
        since = one.at;
      }
    }
    return since && *since + kUnread <= at;
  }

 private:
  // How long one above keeps what began at `started`.
  [[nodiscard]] SteadyTime until(const Outage& one, WallTime started) const {
    const db::Incident& row = *one.row;
    const bool over = row.ended_at != core::kNoWallTime;
    const bool settles = row.confirmed_at != core::kNoWallTime && over && row.ended_at >= started;
    return settles ? std::max<SteadyTime>(
                         one.ended, steady(row.ended_at) + world_.settings().interval + kLooked)
                   : one.ended;
  }

  IncidentWorld& world_;
  std::map<std::uint64_t, std::vector<Outage>> outages_;
};

// Of what begins at one site: when it is free to be told.
class Freedom {
 public:
  Freedom(Kin& kin, const Outage& outage, const std::vector<FlapSpan>& spans, Duration interval)
      : kin_(kin), outage_(outage), spans_(spans), interval_(interval) {}

  // When it had been free for `how_long` for the first time while it lasted.
  [[nodiscard]] std::optional<SteadyTime> free_for(Duration how_long) const {
    SteadyTime since = outage_.confirmed;
    const SteadyTime end = std::min(outage_.ended, kin_.now());
    for (SteadyTime at = outage_.confirmed; at <= end; at += 500ms) {
      if (is_held(at)) since = at + 500ms;
      if (at - since >= how_long) return at;
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] bool is_held(SteadyTime at) const {
    const std::uint64_t site = outage_.row->site.value;
    if (kin_.held(site, outage_.row->started_at, at, false)) return true;
    return std::any_of(spans_.begin(), spans_.end(), [&](const FlapSpan& span) {
      if (span.site != site) return false;
      SteadyTime until = outage_.confirmed + kLasting * interval_;
      if (span.until != core::kNoWallTime) until = std::min(until, kin_.steady(span.until));
      return at >= kin_.steady(span.since) - 1s && at <= until + 1s;
    });
  }

  Kin& kin_;
  const Outage& outage_;
  const std::vector<FlapSpan>& spans_;
  const Duration interval_;
};

class ParentLaws {
 public:
  ParentLaws(IncidentWorld& world, const History& history, const std::vector<FlapSpan>& spans,
             const std::vector<db::Incident>& incidents)
      : world_(world),
        history_(history),
        spans_(spans),
        incidents_(incidents),
        kin_(world, incidents) {}

  std::vector<std::string> check() {
    std::map<std::uint64_t, std::set<std::uint64_t>> wanted;
    if (!world_.kinships().empty()) wanted = world_.kinships().back().parents;
    if (world_.parents() != wanted) broken_.push_back("the store has other parents");
    if (history_.clock_stepped) return std::move(broken_);  // By whose clock?
    for (const Sent& sent : world_.sent()) decided_.emplace(sent.id, sent.message);
    for (const Message& message : world_.dead_letters()) decided_.emplace(message.id, message);
    nothing_begins_behind_one_that_is_down();
    for (const db::Incident& incident : incidents_) {
      only_unreachable(incident);
      told_soon(incident);
    }
    return std::move(broken_);
  }

 private:
  void broken(const db::Incident& incident, const std::string& what) {
    broken_.push_back("event " + std::to_string(incident.id.value) + " of site " +
                      std::to_string(incident.site.value) + " (" +
                      core::to_iso8601(incident.started_at) + "): " + what);
    if (std::getenv("WATCHWHEEL_SEED") != nullptr) broken_.back() += life_of(incident);
  }
  // For whoever looks for the cause: what was decided of it, and the outages that were above it at any time.
  [[nodiscard]] std::string life_of(const db::Incident& incident) {
    std::multimap<SteadyTime, std::string> lines;
    for (const auto& [id, message] : decided_)
      for (const auto& site : message.sites)
        if (site.event == incident.id)
          lines.emplace(
              kin_.steady(message.made_at),
              std::string(sideeffects::to_string(message.kind)) + " to " + message.target);
    std::set<std::uint64_t> all{incident.site.value};
    for (const Kinship& one : world_.kinships()) all.merge(kin_.above(incident.site.value, one.at));
    for (const std::uint64_t site : all) {
      for (const Outage& one : kin_.of(site)) {
        const std::string of =
            "event " + std::to_string(one.row->id.value) + " of " + std::to_string(site);
        lines.emplace(one.opened,
                      of + " opened, started at " + core::to_iso8601(one.row->started_at));
        if (one.confirmed != SteadyTime::max()) lines.emplace(one.confirmed, of + " confirmed");
        lines.emplace(one.ended, of + " ended, at " + core::to_iso8601(one.row->ended_at));
      }
    }
    std::string text;
    for (const auto& [at, what] : lines)
      text +=
          "\n    " + std::to_string(core::to_seconds(at.time_since_epoch()) - 3600) + " s " + what;
    return text;
  }
  [[nodiscard]] static bool begins(const Message& message) {
    return !sideeffects::ends(message.kind) && !sideeffects::is_of_flapping(message.kind);
  }
  [[nodiscard]] const db::Incident* event_of(const sideeffects::MessageSite& site) const {
    if (site.kind != core::EventKind::Outage) return nullptr;
    for (const db::Incident& incident : incidents_)
      if (incident.id == site.event) return &incident;
    return nullptr;
  }

  void nothing_begins_behind_one_that_is_down() {
    for (const auto& [id, message] : decided_) {
      if (!begins(message)) continue;
      const SteadyTime at = kin_.steady(message.made_at);
      for (const auto& site : message.sites) {
        const db::Incident* const incident = event_of(site);
        if (incident == nullptr || kin_.unknown(at)) continue;
        if (kin_.held(site.site.value, incident->started_at, at, true))
          broken(*incident,
                 "told behind a parent: " + std::string(sideeffects::to_string(message.kind)) +
                     " at " + core::to_iso8601(message.made_at) + " to " + message.target);
      }
    }
  }

  // It was never seen down without one above it that was: nobody hears of it, then or later.
  void only_unreachable(const db::Incident& incident) {
    const Outage* const outage = kin_.find(incident);
    if (outage->confirmed == SteadyTime::max() || outage->ended == SteadyTime::max()) return;
    for (SteadyTime at = outage->opened; at <= outage->ended; at += 500ms) {
      const bool held = kin_.held(incident.site.value, incident.started_at, at, true);
      if (!held || kin_.unknown(at)) return;
    }
    for (const auto& [id, message] : decided_) {
      const bool names = std::any_of(message.sites.begin(), message.sites.end(),
                                     [&](const auto& site) { return site.event == incident.id; });
      if (names && !sideeffects::is_of_flapping(message.kind))
        return broken(incident, "it was only unreachable, and is told: " +
                                    std::string(sideeffects::to_string(message.kind)) + " at " +
                                    core::to_iso8601(message.made_at) + " to " + message.target);
    }
  }

  void told_soon(const db::Incident& incident) {
    const Outage* const outage = kin_.find(incident);
    if (outage->confirmed == SteadyTime::max() || excused(incident)) return;
    const Duration late = kComesOut + (history_.grouped ? kDigest : Duration{});
    const auto free = Freedom(kin_, *outage, spans_, world_.settings().interval).free_for(late);
    if (!free) return;
    const std::string target = world_.settings().targets.front().name();
    for (const auto& [id, message] : decided_) {
      const bool names = std::any_of(message.sites.begin(), message.sites.end(),
                                     [&](const auto& site) { return site.event == incident.id; });
      if (names && begins(message) && message.target == target &&
          kin_.steady(message.made_at) <= *free + 1s)
        return;
    }
    broken(incident, "nothing above it was down, and " + target + " was not told for long");
  }

  // Others have their reasons to be late, or not to tell.
  [[nodiscard]] bool excused(const db::Incident& incident) const {
    const std::uint64_t site = incident.site.value;
    const auto covers = [&](const Announced& window) {
      return std::find(window.sites.begin(), window.sites.end(), site) != window.sites.end();
    };
    return troubled(history_) || !history_.absent.empty() ||
           std::any_of(history_.windows.begin(), history_.windows.end(), covers) ||
           std::find(history_.removed.begin(), history_.removed.end(), site) !=
               history_.removed.end();
  }

  IncidentWorld& world_;
  const History& history_;
  const std::vector<FlapSpan>& spans_;
  const std::vector<db::Incident>& incidents_;
  Kin kin_;
  std::map<std::string, Message> decided_;
  std::vector<std::string> broken_;
};

}  // namespace

bool held_behind_parents(IncidentWorld& world, const History& history,
                         const std::vector<FlapSpan>& spans,
                         const std::vector<db::Incident>& incidents, const db::Incident& incident) {
  if (world.kinships().empty()) return false;
  if (history.clock_stepped) return true;
  Kin kin(world, incidents);
  const Outage* const outage = kin.find(incident);
  const Duration late = troubled(history) ? kTrouble : kComesOut + kDigest;
  return !Freedom(kin, *outage, spans, world.settings().interval).free_for(late);
}

std::vector<std::string> broken_parent_laws(IncidentWorld& world, const History& history,
                                            const std::vector<FlapSpan>& spans,
                                            const std::vector<db::Incident>& incidents) {
  return ParentLaws(world, history, spans, incidents).check();
}

}  // namespace watchwheel::sim
