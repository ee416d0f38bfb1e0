// SPDX-License-Identifier: Apache-2.0
#include "act_laws.h"

#include <algorithm>

namespace watchwheel::sim {

using core::SiteState;
using core::TransitionReason;
using sideeffects::Act;
using sideeffects::MessageKind;
using sideeffects::TransitionRecord;

namespace {

class ActLaws {
 public:
  ActLaws(IncidentWorld& world, const History& history, const std::vector<db::Incident>& incidents)
      : world_(world), history_(history), incidents_(incidents) {}

  std::vector<std::string> check() {
    for (const AskedAct& asked : world_.acts()) done_once(asked);
    for (const db::Incident& incident : incidents_) {
      earned(incident);
      if (!history_.clock_stepped) nobody_is_reminded(incident);
    }
    return std::move(broken_);
  }

 private:
  void broken(const AskedAct& asked, const std::string& what) {
    broken_.push_back("what " + asked.who + " asked (" + std::string(to_string(asked.act)) +
                      " of event " + std::to_string(asked.event.value) + "): " + what);
  }

  [[nodiscard]] const db::Incident* find(core::EventId event) const {
    const auto found = std::find_if(incidents_.begin(), incidents_.end(),
                                    [&](const db::Incident& one) { return one.id == event; });
    return found == incidents_.end() ? nullptr : &*found;
  }

  void done_once(const AskedAct& asked) {
    const db::Incident* const incident = find(asked.event);
    if (incident == nullptr) return broken(asked, "its event is gone");
    std::size_t count = 0;
    for (const TransitionRecord& t : incident->transitions)
      count += t.by && t.by->who == asked.who && t.by->act == asked.act ? 1U : 0U;
    const sideeffects::RequestOutcome outcome = world_.outcome(asked.request);
    if (outcome.waits) return broken(asked, "still waits");
    const bool refused = !outcome.refused.empty();
    if (refused && incident->ended_at == core::kNoWallTime)
      broken(asked, "refused though the event is open");
    if (count != (refused ? 0U : 1U))
      broken(asked, (refused ? "refused, and done " : "done ") + std::to_string(count) + " times");
  }

  // No transition in a person's name that nobody asked for; what is only said changes nothing, and a close is the end.
  void earned(const db::Incident& incident) {
    for (std::size_t i = 0; i < incident.transitions.size(); ++i) {
      const TransitionRecord& t = incident.transitions[i];
      const std::string of = "event " + std::to_string(incident.id.value) + ": ";
      if (!t.by && t.reason == TransitionReason::Operator && t.after == SiteState::Unknown)
        broken_.push_back(of + "closed in nobody's name");
      if (!t.by) continue;
      const auto& acts = world_.acts();
      const bool asked = std::any_of(acts.begin(), acts.end(), [&](const AskedAct& one) {
        return one.event == incident.id && one.act == t.by->act && one.who == t.by->who;
      });
      if (!asked) broken_.push_back(of + "nobody asked for what is in the name of " + t.by->who);
      const bool closes = t.by->act == Act::Close;
      if (!closes && t.before != t.after) broken_.push_back(of + "changed by a word");
      if (closes && (t.after != SiteState::Unknown || i + 1 != incident.transitions.size() ||
                     t.reason != TransitionReason::Operator))
        broken_.push_back(of + "closed, and not over");
    }
  }

  void nobody_is_reminded(const db::Incident& incident) {
    const Committed* acked = nullptr;
    for (const Committed& one : world_.committed()) {
      const bool is_ack = one.transition.by && one.transition.by->act == Act::Ack;
      if (is_ack && one.site == incident.site && one.started_at == incident.started_at &&
          acked == nullptr)
        acked = &one;
    }
    if (acked == nullptr) return;
    const core::WallTime since = world_.clock.wall() - (world_.clock.steady() - acked->at);
    for (const Sent& sent : world_.sent()) {
      const bool names = std::any_of(sent.message.sites.begin(), sent.message.sites.end(),
                                     [&](const auto& site) { return site.event == incident.id; });
      if (names && sent.message.kind == MessageKind::Reminder && sent.message.made_at > since)
        broken_.push_back("event " + std::to_string(incident.id.value) + ": " + sent.target +
                          " was reminded though somebody is on it");
    }
  }

  IncidentWorld& world_;
  const History& history_;
  const std::vector<db::Incident>& incidents_;
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> broken_act_laws(IncidentWorld& world, const History& history,
                                         const std::vector<db::Incident>& incidents) {
  return ActLaws(world, history, incidents).check();
}

}  // namespace watchwheel::sim
