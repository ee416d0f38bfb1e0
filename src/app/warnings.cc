// SPDX-License-Identifier: Apache-2.0
#include "app/warnings.h"

namespace watchwheel::app {

core::Result<std::unique_ptr<Warnings>> Warnings::make(
    sideeffects::WarningKeeper::Settings settings, const core::BucketTable* buckets,
    const db::Fencing& fencing, db::Store& store, const core::Clock& clock) {
  if (buckets != nullptr) {
    settings.epoch = [buckets](core::SiteId site) -> std::optional<std::uint64_t> {
      if (buckets->standing(site) != core::Standing::Ours) return std::nullopt;
      const std::uint64_t epoch = buckets->epoch(buckets->of(site));
      if (epoch == 0) return std::nullopt;
      return epoch;
    };
  }
  auto made = store.make_warning_store(fencing);
  if (!made) return made.error();
  return std::make_unique<Warnings>(std::move(settings), *std::move(made), clock);
}

}  // namespace watchwheel::app
