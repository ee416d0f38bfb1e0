// SPDX-License-Identifier: Apache-2.0
// app/waiting.h - what a daemon tells that waits for its database server, its journal or its node's name, or replays what is left, and has no engine yet.
//
// Thread   any. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "core/clock.h"

namespace watchwheel::app {

struct Waiting {
  core::WallTime since = core::kNoWallTime;
  std::string error;                  // Of the newest attempt.
  std::uint64_t journal_entries = 0;  // Left by an earlier process; they come first.
  bool journal_in_use = false;        // By another process. The store may be there.
  bool name_in_use = false;           // Another daemon may live under our node's name. The store is there.
  bool replaying = false;             // The store is back, and takes them.
  std::string journal_error;          // Not empty: how many there are cannot be read.
  bool notices = false;               // What an earlier process left to tell is told meanwhile.
};

// The store is being opened: nobody knows yet whether it is there.
[[nodiscard]] inline bool starting(const Waiting& waiting) {
  return waiting.since == core::kNoWallTime && !waiting.replaying && !waiting.journal_in_use &&
         !waiting.name_in_use;
}


// Not when it is something else that is waited for.
[[nodiscard]] inline bool store_away(const Waiting& waiting) {
  return !waiting.replaying && !waiting.journal_in_use && !waiting.name_in_use &&
         !starting(waiting);
}
// For /-/ready, for systemd, for a person.
[[nodiscard]] std::string to_text(const Waiting& waiting);
// Instead of status_json(): those of its keys that can be told.
[[nodiscard]] std::string waiting_json(const Waiting& waiting, const std::string& store_url,
                                       const std::string& listen, core::WallTime now);

}  // namespace watchwheel::app
