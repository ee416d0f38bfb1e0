// SPDX-License-Identifier: Apache-2.0
// db/sql_operator_desk.h - what people ask to be done to events, in SQL. Doing it is SqlEventStore's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "db/sql.h"
#include "sideeffects/operator_api.h"

namespace watchwheel::db {

class SqlOperatorDesk final : public sideeffects::OperatorDesk {
 public:
  explicit SqlOperatorDesk(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<sideeffects::RequestId> ask(
      const sideeffects::OperatorRequest& request) override;
  [[nodiscard]] core::Result<sideeffects::RequestOutcome> outcome(
      sideeffects::RequestId request) override;
  [[nodiscard]] core::Result<std::vector<sideeffects::OperatorRequest>> waiting() override;
  [[nodiscard]] core::Result<void> refuse(sideeffects::RequestId request,
                                          const std::string& why) override;

 private:
  [[nodiscard]] core::Result<void> check(core::EventId event);
  [[nodiscard]] core::Result<std::optional<sideeffects::RequestId>> known(const std::string& key);

  std::unique_ptr<Connection> connection_;
};

}  // namespace watchwheel::db
