// SPDX-License-Identifier: Apache-2.0
#include "incident_record.h"

#include <algorithm>

namespace watchwheel::sim {

void IncidentRecord::note(std::span<const sideeffects::EventWrite> writes, core::SteadyTime now) {
  for (const sideeffects::EventWrite& write : writes) {
    const bool is_over =
        std::any_of(committed.rbegin(), committed.rend(), [&](const Committed& one) {
          return one.site == write.site && one.started_at == write.started_at &&
                 one.transition.after != core::SiteState::SeemsDown &&
                 one.transition.after != core::SiteState::Down;
        });
    if (is_over) continue;  // What is over is frozen, and told once more by who has not heard so.
    for (const sideeffects::TransitionRecord& transition : write.transitions) {
      const bool known =
          std::any_of(committed.rbegin(), committed.rend(), [&](const Committed& one) {
            return one.site == write.site && one.started_at == write.started_at &&
                   one.transition.seq == transition.seq;
          });
      if (!known) committed.push_back({now, write.site, write.started_at, transition});
    }
  }
}

}  // namespace watchwheel::sim
