// SPDX-License-Identifier: Apache-2.0
// db/sql_event_store.h - events and transitions in SQL.
//
// An event is named by (site, started_at), a transition by its number within the event. So storing
// twice stores once, and what does not continue what is stored is refused instead of leaving a gap:
// a gap is a lost transition.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "db/fence.h"
#include "db/sql.h"
#include "sideeffects/event_store_api.h"

namespace watchwheel::db {

class SqlEventStore final : public sideeffects::EventStore {
 public:
  explicit SqlEventStore(std::unique_ptr<Connection> connection, const Fencing& fencing = {})
      : connection_(std::move(connection)), fence_(fencing) {}

  [[nodiscard]] core::Result<void> commit(std::span<const sideeffects::EventWrite> writes) override;
  [[nodiscard]] core::Result<std::optional<sideeffects::StoredEvent>> open_event(
      core::SiteId site) override;

 private:
  struct Stored;
  [[nodiscard]] core::Result<void> apply(const sideeffects::EventWrite& write);
  [[nodiscard]] core::Result<void> go_on(const sideeffects::EventWrite& write,
                                         const Stored& stored);
  [[nodiscard]] core::Result<std::optional<Stored>> find(const sideeffects::EventWrite& write);
  [[nodiscard]] core::Result<void> check_known(const sideeffects::EventWrite& write,
                                               const Stored& stored);
  [[nodiscard]] core::Result<core::EventId> insert(const sideeffects::EventWrite& write);
  [[nodiscard]] core::Result<void> update(const sideeffects::EventWrite& write,
                                          core::EventId event);
  [[nodiscard]] core::Result<void> append(const sideeffects::EventWrite& write, core::EventId event,
                                          std::uint32_t stored_total);
  [[nodiscard]] core::Result<void> project(const sideeffects::EventWrite& write,
                                           core::EventId event);

  [[nodiscard]] core::Result<std::optional<std::int64_t>> group_of(
      const sideeffects::EventWrite& write);

  [[nodiscard]] core::Result<void> check_ours(
      const std::vector<const sideeffects::EventWrite*>& writes) const;
  [[nodiscard]] core::Result<void> add_notices();
  [[nodiscard]] core::Result<void> answer(core::SiteId site,
                                          const sideeffects::TransitionRecord& transition,
                                          core::EventId event);

  struct NewNotice {
    std::int64_t site = 0;
    std::int64_t event = 0;
    std::int64_t seq = 0;
  };

  std::unique_ptr<Connection> connection_;
  Fence fence_;
  std::optional<std::pair<core::WallTime, std::int64_t>> group_;  // Of the transaction: start, id.
  std::vector<NewNotice> notices_;                                // Of the transaction.
};

}  // namespace watchwheel::db
