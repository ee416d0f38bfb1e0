// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/maintenance_watch.h"

#include <algorithm>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

// A window is looked for as it is at the beginning of the second.
constexpr core::Duration kMoment = 1s;

}  // namespace

core::Result<void> MaintenanceWatch::ready() {
  return known_ ? core::Result<void>{} : read(clock_.steady(), clock_.wall());
}

std::optional<Hold> MaintenanceWatch::hold(const Notice& notice) {
  const core::SteadyTime now = clock_.steady();
  const core::WallTime wall = clock_.wall();
  if (read_at_ == core::kNoSteadyTime || now >= read_at_ + kReadEach) (void)read(now, wall);
  if (!known_) return Hold{.reason = HoldReason::MaintenanceUnread, .look_again = kReadEach};
  if (wall < moved_to_ || wall >= moved_to_ + kMoment) {
    calendar_.move_to(wall);
    moved_to_ = wall;
  }
  const auto holding = calendar_.of(notice.site, notice.tags);
  if (!holding || holding->until <= wall) return std::nullopt;
  return Hold{.reason = HoldReason::Maintenance,
              .look_again = std::min<core::Duration>(holding->until - wall, kLookAgainMax),
              .by = holding->id.value,
              .until = holding->until};
}

core::Result<void> MaintenanceWatch::read(core::SteadyTime now, core::WallTime wall) {
  read_at_ = now;
  auto windows = store_.list(wall);
  if (!windows) {
    if (!failing_) warn_("maintenance_unread why=\"" + windows.error().message + "\"");
    failing_ = true;
    return windows.error();
  }
  failing_ = false;
  known_ = true;
  for (const MaintenanceWindow& window : *windows) {
    const bool strange = window.recurring() && !is_time_zone(window.zone);
    const auto& before = calendar_.windows();
    const bool told = std::find(before.begin(), before.end(), window) != before.end();
    if (strange && !told)
      warn_("maintenance_zone_unknown window=" + std::to_string(window.id.value) +
            " zone=" + window.zone);
  }
  calendar_ = MaintenanceCalendar(*std::move(windows));
  moved_to_ = core::kNoWallTime;
  return {};
}

}  // namespace watchwheel::sideeffects
