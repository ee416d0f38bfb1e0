// SPDX-License-Identifier: Apache-2.0
// app/response_tally.h - how fast a lane's sites answered since they were last projected, and all of them since it began.
//
// Owns     eight bytes a site, in blocks of 4096 slots, each taken with the first answer of one of them; none while switched off.
// Thread   the lane's. all(): any.
// Bounded  as the site table.
// Cost     add(): some ns; no lock, no allocation but of a block.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/ids.h"
#include "core/pinned.h"
#include "core/responses.h"
#include "core/stats.h"

namespace watchwheel::app {

class ResponseTally : core::Pinned {
 public:
  // Switched off, what was not yet projected is forgotten.
  void keep(bool wanted);

  // Does nothing while switched off.
  void add(core::SiteSlot slot, core::Duration took);
  [[nodiscard]] core::ResponseCounts of(core::SiteSlot slot) const;
  // They were projected; or the slot is another site's.
  void clear(core::SiteSlot slot);

  // Of all sites, ever more; empty while it was never switched on.
  [[nodiscard]] core::ResponseHistogram all() const;
  [[nodiscard]] std::size_t bytes() const;

 private:
  static constexpr std::size_t kBlock = 4096;
  using Block = std::array<core::ResponseCounts, kBlock>;

  bool wanted_ = false;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::array<core::Counter, core::kResponseSteps> all_{};
};

}  // namespace watchwheel::app
