// SPDX-License-Identifier: Apache-2.0
#include "incident_laws.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "act_laws.h"
#include "flapping_laws.h"
#include "parent_laws.h"

namespace watchwheel::sim {

using core::Basis;
using core::Duration;
using core::Outcome;
using core::Saw;
using core::SiteState;
using core::SteadyTime;
using core::TransitionReason;
using core::WallTime;
using sideeffects::MessageKind;
using sideeffects::SendOutcome;
using sideeffects::TransitionRecord;
using namespace std::chrono_literals;

namespace {

// A window that is announced counts within this, and an outage at its very edge is nobody's.
constexpr Duration kWindowMargin = 10s;

bool failed(const Checked& one) {
  return !one.ours && core::outcome_of(one.cause) == Outcome::Down;
}
bool succeeded(const Checked& one) {
  return core::outcome_of(one.cause) == Outcome::Up;
}

bool is_outage(SiteState state) {
  return state == SiteState::SeemsDown || state == SiteState::Down;
}

bool names(const sideeffects::Message& message, core::EventId event) {
  return std::any_of(message.sites.begin(), message.sites.end(),
                     [&](const sideeffects::MessageSite& site) { return site.event == event; });
}

class Laws {
 public:
  Laws(IncidentWorld& world, const History& history)
      : world_(world),
        history_(history),
        incidents_(world.incidents()),
        flapping_(flap_spans(world)) {
    const auto outages = std::stable_partition(
        incidents_.begin(), incidents_.end(),
        [](const db::Incident& one) { return one.kind == core::EventKind::Outage; });
    warnings_.assign(outages, incidents_.end());
    incidents_.erase(outages, incidents_.end());
    for (const sideeffects::Message& message : world.dead_letters())
      for (const auto& site : message.sites) given_up_.emplace(message.target, site.event.value);
  }

  std::vector<std::string> check() {
    settled();
    std::map<std::uint64_t, const db::Incident*> before;
    for (const db::Incident& incident : incidents_) {
      whole(incident);
      committed_as_stored(incident);
      earned(incident);
      for (const sideeffects::NotifyTarget& target : world_.settings().targets)
        told_as_it_was(incident, target);
      quiet_in_maintenance(incident);
      const db::Incident*& last = before[incident.site.value];
      if (last != nullptr && last->ended_at == core::kNoWallTime)
        broken(incident, "opened while another one is open");
      last = &incident;
    }
    nothing_lost();
    messages();
    order();
    warnings();
    for (std::string& what : broken_flapping_laws(world_, history_, flapping_, incidents_))
      broken_.push_back(std::move(what));
    if (world_.settings().parents) {
      for (std::string& what : broken_parent_laws(world_, history_, flapping_, incidents_))
        broken_.push_back(std::move(what));
    }
    for (std::string& what : broken_act_laws(world_, history_, incidents_))
      broken_.push_back(std::move(what));
    if (!broken_.empty() && std::getenv("WATCHWHEEL_SEED") != nullptr) tell_all();
    return std::move(broken_);
  }

 private:
  struct Lives {
    std::vector<const Sent*> begins, ends;
    [[nodiscard]] static const Sent* first_taken(const std::vector<const Sent*>& of) {
      for (const Sent* sent : of)
        if (sent->outcome == SendOutcome::Delivered) return sent;
      return nullptr;
    }
  };

  void broken(const std::string& what) { broken_.push_back(what); }
  void broken(const db::Incident& incident, const std::string& what) {
    std::ostringstream line;
    line << "event " << incident.id.value << " of site " << incident.site.value << " ("
         << core::to_iso8601(incident.started_at) << " to "
         << (incident.ended_at == core::kNoWallTime ? "now" : core::to_iso8601(incident.ended_at))
         << "): " << what;
    if (std::getenv("WATCHWHEEL_SEED") != nullptr) line << life_of(incident);
    broken_.push_back(line.str());
  }

  // For whoever looks for the cause.
  void tell_all() {
    std::ostringstream text;
    text << "what happened, what was sent, and the dead letters:";
    for (const Happened& one : history_.happened)
      text << "\n    " << core::to_seconds(one.at.time_since_epoch()) - 3600 << " s " << one.what;
    for (const Sent& sent : world_.sent()) {
      text << "\n    " << core::to_seconds(sent.at.time_since_epoch()) - 3600 << " s "
           << sideeffects::to_string(sent.message.kind) << " to " << sent.target << " as " << sent.id
           << ", outcome " << static_cast<int>(sent.outcome) << (sent.heard ? "" : " (not heard)")
           << ", run " << sent.run << ":";
      for (const auto& site : sent.message.sites)
        text << " site " << site.site.value << " event " << site.event.value << " from "
             << core::to_iso8601(site.started_at) << ";";
    }
    for (const db::DeliveryRecord& dead : world_.deliveries(true))
      text << "\n    " << dead.kind << " to " << dead.target << " of site " << dead.site.value
           << ", made at " << core::to_iso8601(dead.made_at) << ": " << dead.reason;
    broken_.push_back(text.str());
  }
  [[nodiscard]] std::string life_of(const db::Incident& incident) {
    std::map<std::pair<SteadyTime, int>, std::string> lines;
    int number = 0;
    for (const Committed& one : world_.committed())
      if (one.site == incident.site && one.started_at == incident.started_at)
        lines[{one.at, ++number}] =
            "committed " + std::string(core::to_string(one.transition.reason));
    for (const Sent& sent : world_.sent()) {
      if (!names(sent.message, incident.id)) continue;
      lines[{sent.at, ++number}] =
          "sent " + std::string(sideeffects::to_string(sent.message.kind)) + " to " + sent.target +
          " as " + sent.id + ", attempt " + std::to_string(sent.number) + ", outcome " +
          std::to_string(static_cast<int>(sent.outcome)) + (sent.heard ? "" : " (not heard)") +
          (sent.message.group != 0 ? ", of a group" : "") + ", run " + std::to_string(sent.run);
    }
    for (const Happened& one : history_.happened) lines[{one.at, ++number}] = "     ~ " + one.what;
    std::ostringstream text;
    for (const auto& [at, what] : lines)
      text << "\n    " << core::to_seconds(at.first.time_since_epoch()) - 3600 << " s " << what;
    return text.str();
  }

  // ---- When all faults are over nothing is left.
  void settled() {
    if (!world_.idle()) broken("something is still under way");
    if (const auto waiting = world_.notices_waiting(); waiting > 0)
      broken(std::to_string(waiting) + " notices wait");
    if (const auto left = world_.deliveries(false); !left.empty())
      broken(std::to_string(left.size()) + " deliveries are left, the first to " +
             left.front().target);
    for (const db::Incident& incident : incidents_)
      if (incident.ended_at == core::kNoWallTime) broken(incident, "still open");
  }

  // ---- Transitions are gapless and replay to the state.
  void whole(const db::Incident& incident) {
    if (incident.transitions.empty()) return broken(incident, "has no transition");
    SiteState state = SiteState::Up;
    WallTime at = core::kNoWallTime;
    std::uint32_t seq = 0;
    for (const TransitionRecord& t : incident.transitions) {
      if (t.seq != ++seq) broken(incident, "a gap before transition " + std::to_string(t.seq));
      if (t.before != state)
        broken(incident, "transition " + std::to_string(seq) + " begins elsewhere");
      state = t.after;
      // What a person does has the time at which it is done, by whatever the clock says then; what was seen before that may be stored
      // after it.
      const bool by_hand = t.by && t.by->act != sideeffects::Act::Close;
      const bool stored_late = history_.answers_lost || history_.store_away || history_.killed;
      if (by_hand && (history_.clock_stepped || stored_late)) continue;
      if (t.at < at) broken(incident, "its times run backwards");
      at = t.at;
    }
    if (incident.transitions.front().reason != TransitionReason::Opened)
      broken(incident, "does not begin with its opening");
    if (incident.transitions.front().at != incident.started_at)
      broken(incident, "began at another time than its opening says");
    const bool over = incident.ended_at != core::kNoWallTime;
    if (over == is_outage(state)) broken(incident, "its transitions do not lead to its state");
    if (over && incident.ended_at != at)
      broken(incident, "ended at another time than its end says");
    if (!over && incident.state != state)
      broken(incident, "is in another state than its last change");
  }

  // ---- What was committed once is there, and nothing else.
  void committed_as_stored(const db::Incident& incident) {
    std::uint32_t found = 0;
    for (const Committed& one : world_.committed()) {
      if (one.site != incident.site || one.started_at != incident.started_at) continue;
      ++found;
      const std::uint32_t seq = one.transition.seq;
      if (seq > incident.transitions.size() ||
          incident.transitions[seq - 1].reason != one.transition.reason)
        broken(incident, "a committed transition is not what is stored");
    }
    if (found != incident.transitions.size())
      broken(incident, "a transition that nobody committed");
  }

  [[nodiscard]] const Committed* commit_of(const db::Incident& incident, SiteState after) const {
    for (const Committed& one : world_.committed())
      if (one.site == incident.site && one.started_at == incident.started_at &&
          one.transition.after == after)
        return &one;
    return nullptr;
  }

  // The failing result that opened it.
  [[nodiscard]] std::optional<std::size_t> opened_by(const db::Incident& incident) {
    const auto& checked = world_.checked(incident.site.value);
    const std::int64_t started = core::to_unix_ms(incident.started_at);
    for (std::size_t i = 0; i < checked.size(); ++i) {
      const std::int64_t off = started - core::to_unix_ms(checked[i].wall);
      // Two outages never share a start: a later one may be named some milliseconds after it.
      if (failed(checked[i]) && off >= 0 && off <= (history_.clock_stepped ? 5 : 0)) return i;
    }
    return std::nullopt;
  }

  // ---- No event without a failure, no `down` without those that earned it and the others' word.
  void earned(const db::Incident& incident) {
    const auto first = opened_by(incident);
    if (!first) return broken(incident, "no failing result opened it");
    const Committed* down = commit_of(incident, SiteState::Down);
    if (down == nullptr) return;
    const core::ConfirmPolicy& policy = world_.settings().confirm;
    const auto& checked = world_.checked(incident.site.value);
    std::uint32_t failures = 0;
    std::uint32_t row = 0;
    bool over = false;
    for (std::size_t i = *first; i < checked.size() && checked[i].ended <= down->at; ++i) {
      if (failed(checked[i])) {
        ++failures;
        if (over && !history_.killed && failures <= policy.failures)
          broken(incident, "went on after it was over");
        row = 0;
      } else if (succeeded(checked[i])) {
        over = over || ++row >= policy.successes;
      }
    }
    if (failures < policy.failures)
      broken(incident, "down after " + std::to_string(failures) + " failing results");
    witnessed(incident, *down);
  }

  void witnessed(const db::Incident& incident, const Committed& down) {
    const core::ConfirmPolicy& policy = world_.settings().confirm;
    const core::Testimony& testimony = down.transition.testimony;
    const auto& witnesses = testimony.witnesses;
    const auto saw = [&](Saw word) {
      return std::count_if(witnesses.begin(), witnesses.end(),
                           [&](const core::Witness& w) { return w.saw == word; });
    };
    if (!policy.verified()) {
      if (testimony.basis != Basis::LocalOnly)
        broken(incident, "others are said to have been asked");
      return;
    }
    // Every word in it was said, about this site.
    for (std::size_t i = 1; i < witnesses.size(); ++i) {
      if (!core::is_vote(witnesses[i].saw)) continue;
      const std::string url = IncidentWorld::url_of(incident.site.value);
      const auto& words = world_.testified();
      const bool said = std::any_of(words.begin(), words.end(), [&](const Testified& word) {
        return word.url == url && "v" + std::to_string(word.seat) == witnesses[i].vantage &&
               word.saw == witnesses[i].saw && word.at <= down.at;
      });
      if (!said) broken(incident, witnesses[i].vantage + " never said so");
    }
    switch (testimony.basis) {
      case Basis::Quorum:
        if (saw(Saw::Down) < policy.quorum) broken(incident, "down without a quorum");
        break;
      case Basis::Unanswered:
      case Basis::Unasked:
        if (saw(Saw::Up) > 0) broken(incident, "unanswered though somebody saw it up");
        break;
      case Basis::Outlasted:
        if (saw(Saw::Up) > saw(Saw::Down)) broken(incident, "outlasted though it was outvoted");
        if (!history_.clock_stepped &&
            incident.confirmed_at - incident.started_at < policy.dispute_most)
          broken(incident, "outlasted too soon");
        break;
      default:
        broken(incident, "down on the word of " + std::string(core::to_string(testimony.basis)));
    }
  }

  // ---- Where nothing was interrupted the events are those that judging each result at once gives.
  void nothing_lost() {
    const core::ConfirmPolicy& policy = world_.settings().confirm;
    // What waits for the vantage's word when a fault begins is ours.
    if (history_.killed || history_.edited || history_.closed || world_.settings().gate) return;
    for (std::uint64_t site = 1; site <= world_.settings().sites.size(); ++site) {
      std::uint32_t failures = 0, successes = 0;
      std::size_t opened = 0, confirmed = 0;
      for (const Checked& one : world_.checked(site)) {
        if (failed(one)) {
          successes = 0;
          if (++failures == 1) ++opened;
          if (failures == policy.failures) ++confirmed;
        } else if (succeeded(one) && failures > 0 && ++successes >= policy.successes) {
          failures = successes = 0;
        }
      }
      std::size_t events = 0, downs = 0;
      for (const db::Incident& incident : incidents_) {
        if (incident.site.value != site) continue;
        ++events;
        downs += incident.confirmed_at != core::kNoWallTime ? 1U : 0U;
      }
      const std::string of = "site " + std::to_string(site) + ": ";
      if (events != opened)
        broken(of + std::to_string(events) + " events, " + std::to_string(opened) + " were earned");
      if (policy.verified() ? downs > confirmed : downs != confirmed)
        broken(of + std::to_string(downs) + " were down, " + std::to_string(confirmed) +
               " earned it");
    }
  }

  // ---- Who is told.
  [[nodiscard]] bool meant_for(const db::Incident& incident,
                               const sideeffects::NotifyTarget& target) const {
    if (target.tags.empty()) return true;
    const auto& tags = world_.settings().sites.at(incident.site.value - 1).tags;
    return std::any_of(tags.begin(), tags.end(), [&](const std::string& tag) {
      return std::find(target.tags.begin(), target.tags.end(), tag) != target.tags.end();
    });
  }

  void told_as_it_was(const db::Incident& incident, const sideeffects::NotifyTarget& target) {
    Lives lives;
    for (const Sent& sent : world_.sent()) {
      if (sent.target != target.name() || !names(sent.message, incident.id)) continue;
      if (sideeffects::is_of_flapping(sent.message.kind)) continue;
      (sideeffects::ends(sent.message.kind) ? lives.ends : lives.begins).push_back(&sent);
    }
    const std::string to = " to " + target.name();
    const Sent* begun = Lives::first_taken(lives.begins);
    const Sent* ended = Lives::first_taken(lives.ends);
    if (!meant_for(incident, target) && (begun != nullptr || ended != nullptr))
      broken(incident, "told though it is not for them" + to);
    if (!lives.ends.empty() && (begun == nullptr || begun->at > lives.ends.front()->at))
      broken(incident, "its end was told before its beginning, or without it," + to);
    if (begun != nullptr && incident.ended_at != core::kNoWallTime && ended == nullptr)
      broken(incident, "told, and its end was not," + to);
    if (ended != nullptr && lives.begins.back()->at > ended->at)
      broken(incident, "told again after its end" + to);
    const Committed* down = commit_of(incident, SiteState::Down);
    for (const Sent* sent : lives.begins) {
      if (sent->message.kind == MessageKind::SeemsDown) continue;
      if (down == nullptr || sent->at < down->at)
        broken(incident, "told as down before it was," + to);
    }
    if (begun == nullptr && down != nullptr && owed(incident, target))
      broken(incident, "not told" + to);
  }

  // Told in any case. Where windows held, or it was short and need not be told, it may rightly not be.
  [[nodiscard]] bool owed(const db::Incident& incident,
                          const sideeffects::NotifyTarget& target) const {
    const std::uint64_t site = incident.site.value;
    const bool covered =
        std::any_of(history_.windows.begin(), history_.windows.end(), [&](const Announced& window) {
          return std::find(window.sites.begin(), window.sites.end(), site) != window.sites.end();
        });
    const bool removed =
        std::find(history_.removed.begin(), history_.removed.end(), site) != history_.removed.end();
    const bool absent = std::find(history_.absent.begin(), history_.absent.end(), target.name()) !=
                        history_.absent.end();
    // Told of as a dead letter that cannot be sent again: what came after it was told.
    const bool given_up = given_up_.contains({target.name(), incident.id.value});
    return meant_for(incident, target) && !covered && !removed && !absent && !target.skip_short &&
           !given_up &&
           !held_by_flapping(flapping_, incident, history_, world_.settings().interval) &&
           !held_behind_parents(world_, history_, flapping_, incidents_, incident);
  }

  void quiet_in_maintenance(const db::Incident& incident) {
    if (history_.clock_stepped) return;
    const auto first = opened_by(incident);
    const Committed* end = nullptr;
    for (const Committed& one : world_.committed())
      if (one.site == incident.site && one.started_at == incident.started_at &&
          !is_outage(one.transition.after))
        end = &one;
    if (!first || end == nullptr) return;
    const SteadyTime began = world_.checked(incident.site.value)[*first].ended;
    for (const Announced& window : history_.windows) {
      const bool covers = std::find(window.sites.begin(), window.sites.end(),
                                    incident.site.value) != window.sites.end();
      const bool within = began >= window.from && began >= window.known_at + kWindowMargin &&
                          end->at + kWindowMargin <= window.until;
      if (!covers || !within) continue;
      for (const Sent& sent : world_.sent())
        if (names(sent.message, incident.id) && !sideeffects::is_of_flapping(sent.message.kind))
          return broken(incident,
                        "told to " + sent.target + " though it was in a maintenance window");
    }
  }

  // ---- One message is one message, at every attempt, and is taken once where nothing is lost.
  void messages() {
    std::map<std::string, const Sent*> by_id;
    std::map<std::string, int> taken;
    std::map<std::string, std::string> once;  // Target, event and kind: which message.
    for (const Sent& sent : world_.sent()) {
      // What is requeued is told with the end that it was made with, and with one that is made for it: under one id.
      if (sent.at >= history_.first_requeue) break;
      const auto [known, is_new] = by_id.emplace(sent.id, &sent);
      if (!is_new && (known->second->target != sent.target ||
                      sideeffects::encode_message(known->second->message) !=
                          sideeffects::encode_message(sent.message)))
        broken("message " + sent.id + " is not the same at every attempt");
      if (sent.message.id != sent.id) broken("message " + sent.id + " says another id");
      if (sent.outcome == SendOutcome::Delivered && ++taken[sent.id] > 1 && !history_.killed &&
          !history_.answers_lost && !history_.clock_stepped)
        broken("message " + sent.id + " was taken twice though nothing was lost");
      if (sent.message.kind == MessageKind::Reminder || sent.outcome != SendOutcome::Delivered)
        continue;
      for (const auto& site : sent.message.sites) {
        if (site.kind != core::EventKind::Outage) continue;  // By step: see warnings().
        std::string what = sent.target + " " + std::to_string(site.event.value) + " " +
                           std::string(sideeffects::to_string(sent.message.kind));
        // A site may flap, be steady and flap again within one outage.
        if (sideeffects::is_of_flapping(sent.message.kind))
          what += " since " + core::to_iso8601(site.started_at);
        if (const auto [one, first] = once.emplace(what, sent.id); !first && one->second != sent.id)
          broken("two messages tell " + what);
      }
    }
  }

  // ---- One target hears of one site in the order in which it happened, of mass outages too. What a person sends again, and that it
  // flaps, apart.
  void order() {
    std::map<std::pair<std::string, std::uint64_t>, std::pair<std::uint64_t, int>> newest;
    std::set<std::string> seen;
    for (const Sent& sent : world_.sent()) {
      if (sent.at >= history_.first_requeue) return;
      if (sideeffects::is_of_flapping(sent.message.kind) || !seen.insert(sent.id).second) continue;
      // What an outage begins with may stand in two lines: what seemed down alone is down with others.
      if (sent.message.sites.front().kind != core::EventKind::Outage) continue;
      const int rank = sideeffects::ends(sent.message.kind)          ? 3
                       : sent.message.group != 0                     ? 0
                       : sent.message.kind == MessageKind::Reminder  ? 2
                       : sent.message.kind == MessageKind::SeemsDown ? 0
                                                                     : 1;
      for (const auto& site : sent.message.sites) {
        auto& last = newest[{sent.target, site.site.value}];
        const std::pair now{site.event.value, rank};
        const bool other_line =
            now.first == last.first && last.second < 3 && rank < 3 && history_.grouped;
        if (now < last && !other_line)
          broken("site " + std::to_string(site.site.value) + ": told out of order to " +
                 sent.target + ", event " + std::to_string(site.event.value) + " after " +
                 std::to_string(last.first));
        last = std::max(last, now);
      }
    }
  }

  // ---- Of a warning each step is one transition, nearer than the one before, and told once; its end is told to whom it was told.
  void warnings() {
    const db::Incident* before = nullptr;
    for (const db::Incident& warning : warnings_) {
      if (before != nullptr && before->site == warning.site && before->kind == warning.kind &&
          before->ended_at == core::kNoWallTime)
        broken(warning, "a warning begun while another one is open");
      before = &warning;
      steps(warning);
      if (warning.ended_at == core::kNoWallTime) broken(warning, "a warning that is still open");
      for (const sideeffects::NotifyTarget& target : world_.settings().targets)
        steps_told(warning, target);
    }
  }

  void steps(const db::Incident& warning) {
    std::uint32_t seq = 0;
    WallTime at = core::kNoWallTime;
    Duration step{};
    for (const TransitionRecord& t : warning.transitions) {
      if (t.seq != ++seq) broken(warning, "a gap before transition " + std::to_string(t.seq));
      if ((seq == 1) != (t.reason == TransitionReason::Opened))
        broken(warning, "its opening is not its first transition");
      if (t.at < at) broken(warning, "its times run backwards");
      if (t.reason == TransitionReason::SeverityChanged && t.step >= step)
        broken(warning, "a step that comes no nearer");
      const bool last = seq == warning.transitions.size() && warning.ended_at != core::kNoWallTime;
      const bool goes_on =
          t.reason == TransitionReason::Opened || t.reason == TransitionReason::SeverityChanged;
      if (last == goes_on) broken(warning, "its transitions do not lead to its state");
      at = t.at;
      step = t.step;
    }
  }

  void steps_told(const db::Incident& warning, const sideeffects::NotifyTarget& target) {
    const std::string to = " to " + target.name();
    std::map<Duration, std::string> once;  // By step: which message.
    Lives lives;
    for (const Sent& sent : world_.sent()) {
      if (sent.target != target.name() || !names(sent.message, warning.id)) continue;
      if (!target.warnings) return broken(warning, "told though nobody asked for it" + to);
      const bool ends = sideeffects::ends(sent.message.kind);
      (ends ? lives.ends : lives.begins).push_back(&sent);
      if (ends || sent.at >= history_.first_requeue) continue;
      for (const auto& site : sent.message.sites) {
        if (site.event != warning.id) continue;
        const auto [known, is_new] = once.emplace(site.step, sent.id);
        if (!is_new && known->second != sent.id) broken(warning, "a step told twice" + to);
      }
    }
    const Sent* begun = Lives::first_taken(lives.begins);
    const Sent* ended = Lives::first_taken(lives.ends);
    if (!lives.ends.empty() && (begun == nullptr || begun->at > lives.ends.front()->at))
      broken(warning, "its end was told before its beginning, or without it," + to);
    if (begun != nullptr && warning.ended_at != core::kNoWallTime && ended == nullptr)
      broken(warning, "told, and its end was not," + to);
  }

  IncidentWorld& world_;
  const History& history_;
  std::vector<db::Incident> incidents_;  // Outages.
  std::vector<db::Incident> warnings_;   // By site, then as they began.
  const std::vector<FlapSpan> flapping_;
  std::set<std::pair<std::string, std::uint64_t>> given_up_;  // Target, event.
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> broken_laws(IncidentWorld& world, const History& history) {
  return Laws(world, history).check();
}

}  // namespace watchwheel::sim
