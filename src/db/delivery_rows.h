// SPDX-License-Identifier: Apache-2.0
// db/delivery_rows.h - what the outbox, the queue and the list of dead letters do alike to the rows of deliveries.
//
// Rows are locked and written by their ids, in rising order, so that two writers never wait for each other in a circle; and so
// many a statement as the prepared text has places for (a shorter list repeats its last id).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "db/sql.h"

namespace watchwheel::db {

// clang-format off
#define WATCHWHEEL_TEN_IDS "?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
#define WATCHWHEEL_IDS "(" WATCHWHEEL_TEN_IDS ", " WATCHWHEEL_TEN_IDS ", " WATCHWHEEL_TEN_IDS ", " WATCHWHEEL_TEN_IDS ", " WATCHWHEEL_TEN_IDS ")"
// clang-format on
inline constexpr std::size_t kIdsAtOnce = 50;

// The column `state` of deliveries.
enum class DeliveryState : std::uint8_t {
  Ready = 0,   // Due at `vt`.
  Leased = 1,  // Until `vt`.
  Behind =
      2,  // One before it in its line is not delivered yet. Made ready with that one's end; else looked at again at `vt`.
};

using Ids = std::vector<std::int64_t>;

// The last parameters of a text with WATCHWHEEL_IDS; at least one and at most kIdsAtOnce ids.
void bind_ids(Query& query, std::span<const std::int64_t> ids);

// `work(part)` for all of `ids`, kIdsAtOnce at a time.
template <typename Work>
core::Result<void> by_parts(std::span<const std::int64_t> ids, Work work) {
  while (!ids.empty()) {
    const std::size_t count = std::min(ids.size(), kIdsAtOnce);
    if (core::Result<void> done = work(ids.first(count)); !done) return done;
    ids = ids.subspan(count);
  }
  return {};
}

// Upwards: what is due after less than a millisecond is not due yet.
[[nodiscard]] inline std::int64_t to_ms_up(core::Duration d) {
  return std::chrono::ceil<std::chrono::milliseconds>(d).count();
}

// Inside a transaction that has locked these rows. Each is as good as gone afterwards: its tellings say `telling`, and what stood
// behind it in its line, or as an end of its events in another, is due now.
[[nodiscard]] core::Result<void> remove_from_queue(Connection& connection,
                                                   std::span<const std::int64_t> ids,
                                                   std::int64_t now_ms, std::string_view telling);

// Copies of a row of deliveries, made before it is removed.
struct DoneRow {
  std::int64_t id = 0;
  bool cancelled = false;
  std::uint16_t http_status = 0;
  std::int64_t took_ms = 0;
  std::int64_t at_ms = 0;
};
[[nodiscard]] core::Result<void> copy_to_done(Connection& connection, const DoneRow& row);
struct DeadRow {
  std::int64_t id = 0;
  std::string_view reason;
  std::uint16_t http_status = 0;
  std::string_view detail;
  std::int64_t at_ms = 0;
};
[[nodiscard]] core::Result<void> copy_to_dead(Connection& connection, const DeadRow& row);

// Whether of an event of this delivery, an end, its target was told before it, or will be, what it is the end of.
[[nodiscard]] core::Result<bool> told_before(Connection& connection, std::int64_t delivery);

// After remove_from_queue() of these with "dead": buries the ends of their events that wait and of which the target was told no
// other beginning (is_end_kind).
[[nodiscard]] core::Result<void> bury_untold_ends(Connection& connection,
                                                  std::span<const std::int64_t> dead,
                                                  std::string_view reason, std::int64_t now_ms);

// For the test that reads their plans.
[[nodiscard]] std::vector<Sql> delivery_row_queries();

}  // namespace watchwheel::db
