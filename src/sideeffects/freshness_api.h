// SPDX-License-Identifier: Apache-2.0
// sideeffects/freshness_api.h - where the projector writes how fresh each site is. Implemented in
// db, joined by app.
//
// Thread   the projector's, for every call. Calls block.
// Fails    as EventStore. A batch is applied whole or not at all, and may be repeated.
#pragma once

#include <span>

#include "core/result.h"
#include "core/site_facts.h"

namespace watchwheel::sideeffects {

class FreshnessSink {
 public:
  virtual ~FreshnessSink() = default;

  // Writes the freshness columns of site_state: at most one mark a site, sorted by site. A mark
  // older than what is stored (its holds_at() against the row's checked_at) changes nothing; one that knows of no check at all
  // takes away what was known of a certificate. A site that is gone is passed over.
  [[nodiscard]] virtual core::Result<void> write(std::span<const core::FreshnessMark> marks) = 0;
};

}  // namespace watchwheel::sideeffects
