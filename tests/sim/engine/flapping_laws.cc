// SPDX-License-Identifier: Apache-2.0
#include "flapping_laws.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace watchwheel::sim {

using core::Duration;
using core::WallTime;
using sideeffects::Message;
using sideeffects::MessageKind;
using sideeffects::SendOutcome;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t kLooks = 20;
// An outage that has lasted for so many intervals is no flap: it is told though the site flaps.
constexpr int kLasting = 4;
// What is held comes out within a minute of the end, and takes a moment to be decided.
constexpr Duration kComesOut = 75s;
// A router that failed begins again later, and so does a process that ended.
constexpr Duration kTrouble = 10min;

bool troubled(const History& history) {
  return history.killed || history.answers_lost || history.store_away;
}

// All that was decided and that a receiver or a dead letter shows, each once.
std::vector<Message> decided(IncidentWorld& world) {
  std::map<std::string, Message> by_id;
  for (const Sent& sent : world.sent()) by_id.emplace(sent.id, sent.message);
  for (const Message& message : world.dead_letters()) by_id.emplace(message.id, message);
  std::vector<Message> all;
  for (auto& [id, message] : by_id) all.push_back(std::move(message));
  return all;
}

std::string name_of(const FlapSpan& span) {
  return "site " + std::to_string(span.site) + ", flapping since " + core::to_iso8601(span.since) +
         ": ";
}

// In percent, by the definition: of the last 20 intervals those with a change, the newest weighing 1.2, the oldest 0.8.
double share_at(const std::vector<WallTime>& changes, WallTime now, Duration interval) {
  const auto look = [&](WallTime at) { return at.time_since_epoch() / interval; };
  std::array<bool, kLooks> changed{};
  for (const WallTime change : changes) {
    const auto age = look(now) - look(change);
    if (change <= now && age < kLooks) changed.at(static_cast<std::size_t>(age)) = true;
  }
  double sum = 0;
  for (std::int64_t age = 0; age < kLooks; ++age)
    if (changed.at(static_cast<std::size_t>(age)))
      sum += 1.2 - 0.4 * static_cast<double>(age) / static_cast<double>(kLooks - 1);
  return sum * 100 / static_cast<double>(kLooks);
}

class FlappingLaws {
 public:
  FlappingLaws(IncidentWorld& world, const History& history, const std::vector<FlapSpan>& spans,
               const std::vector<db::Incident>& incidents)
      : world_(world), history_(history), spans_(spans), incidents_(incidents) {}

  std::vector<std::string> check() {
    if (world_.flapping() > 0) broken_.push_back("a site still flaps");
    std::map<std::uint64_t, WallTime> over;
    for (const FlapSpan& span : spans_) {
      // Where every word of it was given up there is no end to tell.
      for (const auto& target : world_.settings().targets) told_whole(span, target.name());
      if (span.until == core::kNoWallTime) continue;
      if (history_.clock_stepped) continue;  // By whose clock?
      if (const auto last = over.find(span.site); last != over.end() && span.from < last->second)
        broken_.push_back(name_of(span) + "began while it flapped");
      over[span.site] = span.until;
      earned(span);
    }
    if (!history_.clock_stepped) nothing_begins_meanwhile();
    return std::move(broken_);
  }

 private:
  [[nodiscard]] bool is_of(const Message& message, const FlapSpan& span) const {
    return message.sites.size() == 1 && message.sites.front().site.value == span.site &&
           message.sites.front().started_at == span.since;
  }

  [[nodiscard]] bool lasted(const sideeffects::MessageSite& site, WallTime at) const {
    const bool confirmed = site.confirmed_at != core::kNoWallTime;
    const WallTime since = confirmed ? site.confirmed_at : site.started_at;
    return at - since >= kLasting * world_.settings().interval;
  }

  void told_whole(const FlapSpan& span, const std::string& target) {
    const Sent* begun = nullptr;
    const Sent* ended = nullptr;
    for (const Sent& sent : world_.sent()) {
      if (sent.target != target || !is_of(sent.message, span)) continue;
      const bool taken = sent.outcome == SendOutcome::Delivered;
      if (sent.message.kind == MessageKind::Flapping && taken && begun == nullptr) begun = &sent;
      if (sent.message.kind != MessageKind::FlappingOver) continue;
      if (begun == nullptr)
        broken_.push_back(name_of(span) + "its end was told without its beginning to " + target);
      if (taken) ended = &sent;
    }
    if (begun != nullptr && ended == nullptr && !given_up(span, target))
      broken_.push_back(name_of(span) + "its end was not told to " + target);
  }

  // A dead letter still: not requeued where it was told since that the site flaps again.
  bool given_up(const FlapSpan& span, const std::string& target) {
    const auto letters = world_.dead_letters();
    return std::any_of(letters.begin(), letters.end(), [&](const Message& letter) {
      return letter.kind == MessageKind::FlappingOver && letter.target == target &&
             is_of(letter, span);
    });
  }

  void earned(const FlapSpan& span) {
    std::vector<WallTime> changes;
    for (const db::Incident& incident : incidents_) {
      if (incident.site.value != span.site || incident.confirmed_at == core::kNoWallTime) continue;
      changes.push_back(incident.confirmed_at);
      if (incident.ended_at != core::kNoWallTime) changes.push_back(incident.ended_at);
    }
    const core::FlapPolicy& policy = world_.settings().flapping;
    const Duration interval = world_.settings().interval;
    if (share_at(changes, span.from, interval) <= policy.high)
      broken_.push_back(name_of(span) + "it did not change so often");
    // One that is paused or removed is not watched any more; and with trouble a change may be known late.
    if (troubled(history_) || history_.edited) return;
    std::erase_if(changes, [&](WallTime change) { return change > span.until - 2s; });
    if (share_at(changes, span.until, interval) >= policy.low && policy.low > 0)
      broken_.push_back(name_of(span) + "it changed too often to be steady");
  }

  void nothing_begins_meanwhile() {
    for (const Message& message : decided(world_)) {
      if (sideeffects::ends(message.kind) || sideeffects::is_of_flapping(message.kind)) continue;
      if (message.kind == MessageKind::Warning) continue;  // Of those flapping is not the reason.
      for (const FlapSpan& span : spans_) {
        const bool within = message.made_at > span.from && message.made_at < span.until;
        const bool names =
            std::any_of(message.sites.begin(), message.sites.end(), [&](const auto& site) {
              return site.site.value == span.site && !lasted(site, message.made_at);
            });
        if (within && names)
          broken_.push_back(name_of(span) +
                            "told meanwhile: " + std::string(sideeffects::to_string(message.kind)) +
                            " at " + core::to_iso8601(message.made_at) + " to " + message.target);
      }
    }
  }

  IncidentWorld& world_;
  const History& history_;
  const std::vector<FlapSpan>& spans_;
  const std::vector<db::Incident>& incidents_;
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<FlapSpan> flap_spans(IncidentWorld& world) {
  std::map<std::pair<std::uint64_t, WallTime>, FlapSpan> all;
  for (const Message& message : decided(world)) {
    if (!sideeffects::is_of_flapping(message.kind) || message.sites.empty()) continue;
    const auto& site = message.sites.front();
    FlapSpan& span = all[{site.site.value, site.started_at}];
    span.site = site.site.value;
    span.since = site.started_at;
    (message.kind == MessageKind::Flapping ? span.from : span.until) = message.made_at;
  }
  std::vector<FlapSpan> spans;
  for (const auto& [key, span] : all) spans.push_back(span);
  return spans;
}

bool held_by_flapping(const std::vector<FlapSpan>& spans, const db::Incident& incident,
                      const History& history, Duration interval) {
  const Duration late = troubled(history) ? kTrouble : kComesOut;
  return std::any_of(spans.begin(), spans.end(), [&](const FlapSpan& span) {
    if (span.site != incident.site.value) return false;
    if (history.clock_stepped || span.until == core::kNoWallTime) return true;
    const bool began = incident.confirmed_at >= span.since && incident.confirmed_at <= span.until;
    const WallTime told_at = std::min(span.until, incident.confirmed_at + kLasting * interval);
    return began && incident.ended_at != core::kNoWallTime && incident.ended_at <= told_at + late;
  });
}

std::vector<std::string> broken_flapping_laws(IncidentWorld& world, const History& history,
                                              const std::vector<FlapSpan>& spans,
                                              const std::vector<db::Incident>& incidents) {
  return FlappingLaws(world, history, spans, incidents).check();
}

}  // namespace watchwheel::sim
