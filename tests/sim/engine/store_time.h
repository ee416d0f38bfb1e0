// SPDX-License-Identifier: Apache-2.0
// store_time.h - the embedded store lives in a test's time: what it takes for now is the clock's, and nothing waits for a disk.
//
// Owns     the file system that SQLite opens its files with, from its making to its end: every store opened meanwhile is in it.
// Thread   one. No store that was opened in it outlives it.
#pragma once

#include <memory>

#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::sim {

class StoreTime : core::Pinned {
 public:
  explicit StoreTime(const core::Clock& clock);
  ~StoreTime();

 private:
  struct Files;
  std::unique_ptr<Files> files_;
};

}  // namespace watchwheel::sim
