// SPDX-License-Identifier: Apache-2.0
// db/sql_outbox.h - notices in SQL: the tables `outbox` and `outbox_wakes`, and what settling makes of them.
//
// That a notice is settled once is known by its row: whoever deletes it in his transaction has settled it. Two who try, on whichever
// nodes, meet at that row.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "db/sql.h"
#include "sideeffects/delivery_queue_api.h"

namespace watchwheel::db {

class SqlOutbox final : public sideeffects::Outbox {
 public:
  explicit SqlOutbox(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<std::vector<sideeffects::Notice>> take(
      std::size_t limit, const std::function<bool(core::SiteId)>& mine) override;
  [[nodiscard]] core::Result<sideeffects::Settling> settle(
      std::span<const sideeffects::NoticeId> notices,
      std::span<const sideeffects::NewDelivery> deliveries,
      std::span<const sideeffects::NewWake> wakes) override;
  [[nodiscard]] core::Result<Level> level() override;

 private:
  struct Page;
  [[nodiscard]] core::Result<void> read_page(Page& page);
  void remember_foreign(const Page& page);
  [[nodiscard]] core::Result<void> add_former(std::vector<sideeffects::Notice>& notices);
  [[nodiscard]] core::Result<void> add_tellings(std::vector<sideeffects::Notice>& notices);
  [[nodiscard]] core::Result<bool> remove_notices(std::span<const sideeffects::NoticeId> notices);
  [[nodiscard]] core::Result<bool> cancel(const sideeffects::NewDelivery& delivery,
                                          std::int64_t now_ms);
  [[nodiscard]] core::Result<void> insert(const sideeffects::NewDelivery& delivery,
                                          std::int64_t now_ms);
  [[nodiscard]] core::Result<void> insert(std::span<const sideeffects::NewWake> wakes,
                                          std::int64_t now_ms);

  std::unique_ptr<Connection> connection_;
  // Where the next reading of notices begins: before it are only other processes' (or were, and these sites are left alone until
  // reading begins at the first one again, so that an event's notices come in their order).
  std::int64_t foreign_until_ = 0;
  std::set<core::SiteId> foreign_;
  int readings_ = 0;  // Since one began at the first.
};

// For the test that reads their plans.
[[nodiscard]] std::vector<Sql> outbox_queries();

}  // namespace watchwheel::db
