// SPDX-License-Identifier: Apache-2.0
// db/sql_delivery_log.h - deliveries and dead letters in SQL, for people.
#pragma once

#include <memory>
#include <utility>

#include "db/delivery_log.h"
#include "db/sql.h"

namespace watchwheel::db {

class SqlDeliveryLog final : public DeliveryLog {
 public:
  explicit SqlDeliveryLog(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<std::vector<DeliveryRecord>> list(const DeliveryFilter& filter,
                                                               std::size_t limit) override;
  [[nodiscard]] core::Result<std::optional<DeliveryDetail>> find(
      sideeffects::DeliveryId id) override;
  [[nodiscard]] core::Result<void> requeue(sideeffects::DeliveryId id) override;
  [[nodiscard]] core::Result<std::uint64_t> requeue_all(const DeliveryFilter& filter,
                                                        core::Duration spacing) override;

 private:
  enum class PutBack : std::uint8_t { Done, NotThere, TooLate, Steady, NothingToEnd };
  [[nodiscard]] core::Result<PutBack> put_back(std::int64_t id, std::int64_t due_ms,
                                               std::int64_t now_ms);
  // False: none of what the delivery says flaps still does.
  [[nodiscard]] core::Result<bool> renew_flapping(std::int64_t id);
  [[nodiscard]] core::Result<void> add_attempts(DeliveryDetail& detail);

  std::unique_ptr<Connection> connection_;
};

}  // namespace watchwheel::db
