// SPDX-License-Identifier: Apache-2.0
// app/status_watch.h - `watchwheel status --watch`: what is shown of one look at the daemon after another.
//
// Owns     the newest document that could be had, and since when none can.
// Thread   one.
// Time     wall time, passed in: people read it.
#pragma once

#include <string>

#include "app/text_page.h"
#include "core/clock.h"
#include "core/result.h"

namespace watchwheel::app {

class StatusWatch {
 public:
  // What the daemon answered, or why nothing came.
  void look(const core::Result<std::string>& answer, core::WallTime now);
  [[nodiscard]] bool reachable() const { return unreachable_since_ == core::kNoWallTime; }

  // The whole page: when the look was, then the daemon's status; while it does not answer that alone, since when and why, for
  // figures of a daemon that is gone would be taken for true.
  [[nodiscard]] std::string page(const TextStyle& style) const;
  // The same in one line, with its end.
  [[nodiscard]] std::string line() const;
  // One JSON document in one line, with its end: the daemon's, or {"unreachable_since", "error"}; and "seen_at".
  [[nodiscard]] std::string json_line() const;

 private:
  std::string status_ = "{}";  // A JSON object.
  core::WallTime seen_at_ = core::kNoWallTime;
  core::WallTime unreachable_since_ = core::kNoWallTime;
  std::string why_;
};

}  // namespace watchwheel::app
