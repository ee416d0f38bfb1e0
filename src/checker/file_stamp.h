// SPDX-License-Identifier: Apache-2.0
// checker/file_stamp.h - what tells one content of some files from another without reading them.
//
// A value; any thread. One stat(2) for each file.
#pragma once

#include <string>

#include "core/clock.h"

namespace watchwheel::checker {

struct FileStamp {
  // How often it is looked at whether files have changed.
  static constexpr core::Duration kLookEvery = std::chrono::minutes{1};
  // What was written less than this ago may be written still: half a file would be half its content.
  static constexpr core::Duration kQuiet = std::chrono::seconds{2};

  std::string text;
  core::WallTime newest = core::kNoWallTime;  // The latest change of any.

  // A file that is not there is a stamp too.
  void add(const std::string& path);
  [[nodiscard]] bool is_quiet(core::WallTime now) const {
    return now - newest >= kQuiet || newest - now >= kQuiet;
  }
};

}  // namespace watchwheel::checker
