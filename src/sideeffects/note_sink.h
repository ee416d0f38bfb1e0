// SPDX-License-Identifier: Apache-2.0
// sideeffects/note_sink.h - how a shard's notes reach the lanes. Implemented by app over its rings.
#pragma once

#include "core/site_facts.h"

namespace watchwheel::sideeffects {

class NoteSink {
 public:
  virtual ~NoteSink() = default;

  // Hands a note to the lane of its site. False: no room now, `note` is untouched and offered again
  // later. Thread: the shard's. Never blocks.
  [[nodiscard]] virtual bool offer(core::SiteNote&& note) = 0;
};

}  // namespace watchwheel::sideeffects
