// SPDX-License-Identifier: Apache-2.0
// sideeffects/journal_api.h - where what was judged is kept while the store is away. Implemented in db, joined by app.
//
// An entry holds one write whole: all that the store would have been given, so that whoever acts on committed transitions can
// act on these. Entries are kept in the order of their coming, for ever, until they are removed or set aside.
//
// Thread   any, for every call: writers and the replayer share one. Calls block for a write to the disk.
// Fails    core::Error. Unavailable: its disk is full, or it holds as much as it may; nothing was kept. Unknown: it may have been
//          kept; appending it again is harmless, as replaying it twice is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/vantage_store_api.h"

namespace watchwheel::sideeffects {

// VantageStore::close_open().
struct VantageEnd {
  core::WallTime at = core::kNoWallTime;
  friend bool operator==(const VantageEnd&, const VantageEnd&) = default;
};

using JournalWrite = std::variant<EventWrite, VantageEvent, VantageEnd>;

struct JournalEntry {
  std::uint64_t seq = 0;  // Rises; gaps mean nothing.
  JournalWrite write;
  std::string problem;  // Not empty: it cannot be read, and `write` means nothing.
};

// What was taken out because the store will never take it.
struct SetAside {
  std::uint64_t seq = 0;
  core::SiteId site;  // 0: none.
  core::WallTime at = core::kNoWallTime;
  std::string reason;
  friend bool operator==(const SetAside&, const SetAside&) = default;
};

struct JournalReading {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_max = 0;
  core::WallTime oldest =
      core::kNoWallTime;        // When the oldest entry was kept; kNoWallTime: there is none.
  std::uint64_t set_aside = 0;  // Kept beside the entries until a person removes them.
};

class Journal {
 public:
  virtual ~Journal() = default;

  // All of `writes` in one durable transaction, behind what is there. `at`: now.
  [[nodiscard]] virtual core::Result<void> append(std::span<const JournalWrite> writes,
                                                  core::WallTime at) = 0;
  // The oldest entries.
  [[nodiscard]] virtual core::Result<std::vector<JournalEntry>> read(std::size_t limit) = 0;
  // Those behind `after`, which may have been read before: for whoever tells of them while the store is away. Behind one that was never
  // given (the file was begun anew): from the oldest.
  [[nodiscard]] virtual core::Result<std::vector<JournalEntry>> read_after(std::uint64_t after,
                                                                           std::size_t limit) = 0;
  // Those up to and with `seq` are in the store. They are not read again by this process, even when the disk refuses to forget
  // them.
  virtual void remove(std::uint64_t seq) = 0;
  // The oldest entry, which is `seq`, is kept elsewhere from now on, with the reason.
  [[nodiscard]] virtual core::Result<void> set_aside(std::uint64_t seq, const std::string& reason,
                                                     core::WallTime at) = 0;
  // The newest first.
  [[nodiscard]] virtual core::Result<std::vector<SetAside>> list_set_aside(std::size_t limit) = 0;
  // Never waits for the disk. `set_aside` as of the newest call of another function.
  [[nodiscard]] virtual JournalReading reading() const = 0;
  // A person may have removed some that were set aside.
  virtual void look_again() = 0;
};

}  // namespace watchwheel::sideeffects
