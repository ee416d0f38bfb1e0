// SPDX-License-Identifier: Apache-2.0
// db/sql_delivery_queue.h - deliveries in SQL: claimed by when they are visible, fenced by a token.
//
// A lease that has run out is visible again, so repairing is claiming: there is no second index and nobody who looks for orphans. A
// claim reads one range of `deliveries_claim` for each target, skips what others have locked, and writes by ids. What is not the
// first of its line is put behind it (state 2, seen again when that one is due, at the latest after kBehindMax); whoever takes the
// first away makes the next one due. Should the two meet on two nodes of a cluster, one of them is done again.
//
// InnoDB keeps what was claimed in the index as long as anybody anywhere reads an older state (a dump, a forgotten transaction), and
// each claim would walk over all of it. So while a target has more that is due than a claim takes, the next one goes on where it
// ended; from the start again after two seconds, and as soon as it finds less than it has room for. What becomes due behind it
// (somebody committed late, or gave up a claim) waits for that.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "db/delivery_rows.h"
#include "db/sql.h"
#include "sideeffects/delivery_queue_api.h"

namespace watchwheel::db {

inline constexpr std::chrono::minutes kBehindMax{5};

class SqlDeliveryQueue final : public sideeffects::DeliveryQueue {
 public:
  explicit SqlDeliveryQueue(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<sideeffects::Claimed> claim(
      std::span<const sideeffects::Want> wants, core::Duration lease,
      const sideeffects::Claimer& claimer) override;
  [[nodiscard]] core::Result<std::vector<sideeffects::DeliveryId>> finish(
      std::span<const sideeffects::Finish> finished) override;
  [[nodiscard]] core::Result<std::vector<sideeffects::DeliveryId>> extend(
      std::span<const sideeffects::Held> held, core::Duration lease) override;
  [[nodiscard]] core::Result<std::uint64_t> release_former(
      const sideeffects::Claimer& claimer) override;
  [[nodiscard]] core::Result<std::uint64_t> bury_older(std::string_view target,
                                                       sideeffects::DeathReason reason,
                                                       core::Duration age,
                                                       std::size_t limit) override;
  [[nodiscard]] core::Result<std::uint64_t> bury_waiting(std::string_view target,
                                                         sideeffects::DeathReason reason,
                                                         std::size_t limit) override;
  [[nodiscard]] core::Result<void> note_targets(std::span<const std::string> targets) override;
  [[nodiscard]] core::Result<std::vector<sideeffects::TargetLevel>> levels() override;
  [[nodiscard]] core::Result<std::uint64_t> purge(const sideeffects::DeliveryRetention& retention,
                                                  std::size_t limit) override;

 private:
  // A row as it was locked.
  struct Locked {
    std::int64_t token = 0;
    std::int64_t attempts = 0;
    std::int64_t requeues = 0;
  };
  using LockedRows = std::map<std::int64_t, Locked>;  // Leased ones only.

  // As far as a claim of a target has come: before it is nothing that is due, or was not when all of it was last looked at.
  struct Passed {
    std::int64_t until_ms = 0;
    std::int64_t whole_at_ms = 0;
  };
  struct Claiming;
  // Where a claim of `target` begins to look.
  [[nodiscard]] std::int64_t begin_at(std::string_view target, std::int64_t now_ms) const;
  [[nodiscard]] core::Result<std::vector<sideeffects::Want>> due(
      std::span<const sideeffects::Want> wants, std::int64_t now_ms);
  [[nodiscard]] core::Result<void> claim_of(const sideeffects::Want& want, Claiming& claiming);
  [[nodiscard]] core::Result<void> put_behind(Ids& first, Claiming& claiming);
  [[nodiscard]] core::Result<void> lease(const Ids& ids, core::Duration lease,
                                         const sideeffects::Claimer& claimer,
                                         const Claiming& claiming);
  [[nodiscard]] core::Result<std::vector<sideeffects::Delivery>> read(const Ids& ids,
                                                                      std::int64_t now_ms);
  [[nodiscard]] core::Result<LockedRows> lock(Ids ids);
  [[nodiscard]] core::Result<void> apply(const sideeffects::Finish& finish, const Locked& row,
                                         std::int64_t now_ms, Ids& told, Ids& dead);
  [[nodiscard]] core::Result<void> log_attempt(const sideeffects::Finish& finish, const Locked& row,
                                               std::int64_t now_ms);
  // Without `age`: whatever says that something is over too.
  [[nodiscard]] core::Result<std::uint64_t> bury_found(std::string_view target,
                                                       sideeffects::DeathReason reason,
                                                       std::optional<core::Duration> age,
                                                       std::size_t limit);
  [[nodiscard]] core::Result<std::uint64_t> purge_old(const Sql& find, const Sql& remove,
                                                      std::int64_t before_ms, std::size_t limit);
  [[nodiscard]] core::Result<std::uint64_t> purge_tellings(std::int64_t before_ms,
                                                           std::size_t limit);
  // When each was seen.
  [[nodiscard]] core::Result<std::map<std::string, std::int64_t, std::less<>>> seen_targets();
  [[nodiscard]] std::int64_t new_token();

  std::unique_ptr<Connection> connection_;
  std::random_device random_;
  std::size_t turn_ = 0;                               // Which target is asked first.
  std::map<std::string, Passed, std::less<>> passed_;  // Of targets with a heap.
  std::pair<std::int64_t, std::int64_t> tellings_at_;  // How far the purge of tellings has got.
};

// For the test that reads their plans.
[[nodiscard]] std::vector<Sql> delivery_queue_queries();

}  // namespace watchwheel::db
