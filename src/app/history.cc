// SPDX-License-Identifier: Apache-2.0
#include "app/history.h"

#include <algorithm>
#include <utility>

namespace watchwheel::app {

sideeffects::HistoryRetention history_retention(const HistoryConfig& config) {
  return {.events = config.keep_events,
          .minutes = config.keep_minutes,
          .hours = config.keep_hours,
          .days = config.keep_days};
}

std::size_t hourly_sites_max(const HistoryConfig& config, std::size_t lanes) {
  const std::size_t sites = config.hourly_sites == 0 ? kHourlySites : config.hourly_sites;
  return sites / std::max<std::size_t>(lanes, 1);
}

core::Result<std::unique_ptr<History>> History::make(sideeffects::HistoryKeeper::Settings settings,
                                                     db::Store& store, const core::Clock& clock) {
  auto kept = store.make_history_store();
  if (!kept) return kept.error();
  return std::make_unique<History>(std::move(settings), *std::move(kept), clock);
}

}  // namespace watchwheel::app
