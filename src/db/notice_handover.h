// SPDX-License-Identifier: Apache-2.0
// db/notice_handover.h - what a host told and decided while its store was away (db/sql_notice_mirror.h) becomes the store's.
//
//   deliveries   those made meanwhile are inserted, as told, given up or waiting; those of the store that were told are done
//   waits        those made meanwhile are inserted, those that were settled are removed
//   notices      those that were routed here are removed: the store does not decide them again
//
// In this order: whoever is told of an event's change is known before the notice of it could be routed. A step is one transaction of
// the store, and may be done again, after a failure, a lost answer or another process's beginning: a delivery is known by its
// message's id among its event's, a wait by its time and memo.
//
// Of an event that the store does not have (its site became another host's, or it was set aside) nothing is handed over.
//
// Thread   one. Owns a session with the file; uses the mirror's with the store.
// Fails    Unavailable, Unknown: the store. Invalid: the file, or what no store takes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/pinned.h"
#include "core/result.h"
#include "db/delivery_rows.h"
#include "db/sqlite.h"

namespace watchwheel::db {

class NoticeHandover : core::Pinned {
 public:
  NoticeHandover(std::unique_ptr<SqliteConnection> here, Connection& store)
      : here_(std::move(here)), store_(store) {}

  // True: that was the last step.
  [[nodiscard]] core::Result<bool> step();
  // Deliveries that were made here.
  [[nodiscard]] std::uint64_t handed_over() const { return handed_over_; }

 private:
  enum class Part : std::uint8_t { Deliveries, Wakes, GoneWakes, Notices, Done };
  struct Made;
  struct EventHere {
    std::int64_t id = 0;  // The store's.
    std::optional<std::int64_t> group;
  };

  [[nodiscard]] core::Result<std::size_t> deliveries();
  [[nodiscard]] core::Result<std::vector<Made>> read_deliveries();
  [[nodiscard]] core::Result<void> read_row(Made& made);
  [[nodiscard]] core::Result<void> hand_over(Made& made, std::int64_t now_ms);
  [[nodiscard]] core::Result<std::int64_t> find_there(const Made& made);
  [[nodiscard]] core::Result<std::int64_t> insert(const Made& made, std::int64_t now_ms);
  [[nodiscard]] core::Result<void> end(std::int64_t id, const Made& made, std::int64_t now_ms);
  [[nodiscard]] core::Result<std::size_t> wakes();
  [[nodiscard]] core::Result<std::size_t> gone_wakes();
  [[nodiscard]] core::Result<std::size_t> notices();
  // The event that is `event` here; nothing: the store has none.
  [[nodiscard]] core::Result<std::optional<EventHere>> event_there(std::int64_t event);

  const std::unique_ptr<SqliteConnection> here_;
  Connection& store_;
  Part part_ = Part::Deliveries;
  std::int64_t after_ = 0;
  std::uint64_t handed_over_ = 0;
};

// For the test that reads their plans.
[[nodiscard]] std::vector<Sql> handover_queries();

}  // namespace watchwheel::db
