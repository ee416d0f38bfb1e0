// SPDX-License-Identifier: Apache-2.0
// db/sql_lease_store.h - nodes and leases, in the SQL of a server.
#pragma once

#include <memory>
#include <utility>

#include "db/lease_store.h"
#include "db/sql.h"

namespace watchwheel::db {

class SqlLeaseStore final : public LeaseStore {
 public:
  explicit SqlLeaseStore(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<void> set_up(std::uint32_t buckets) override;
  [[nodiscard]] core::Result<std::int64_t> now_ms() override;
  [[nodiscard]] core::Result<bool> join(const NodeRow& node, std::string_view expected) override;
  [[nodiscard]] core::Result<ClusterView> look(const std::string& node) override;
  [[nodiscard]] core::Result<bool> renew(const NodeRow& node) override;
  [[nodiscard]] core::Result<std::vector<Taken>> take(
      const NodeRow& node, const std::vector<core::BucketNo>& buckets) override;
  [[nodiscard]] core::Result<void> announce(const NodeRow& node,
                                            const std::vector<core::BucketNo>& buckets) override;
  [[nodiscard]] core::Result<void> set_cut(const NodeRow& node,
                                           const std::vector<core::BucketNo>& buckets,
                                           std::int64_t cut_ms) override;
  [[nodiscard]] core::Result<std::int64_t> release(
      const NodeRow& node, const std::vector<core::BucketNo>& buckets) override;
  [[nodiscard]] core::Result<void> leave(const NodeRow& node) override;
  [[nodiscard]] core::Result<void> ask_to_drain(const std::string& node, bool wanted) override;

 private:
  // Runs `work` as one transaction, again when it lost against another one.
  template <typename Work>
  [[nodiscard]] core::Result<void> in_transaction(Work work);
  [[nodiscard]] core::Result<std::optional<std::string>> instance_of(const std::string& node);
  // Inside a transaction: Fenced when the row is another run's.
  [[nodiscard]] core::Result<void> check_run(const NodeRow& node);
  [[nodiscard]] core::Result<std::optional<std::int64_t>> fence_of(const std::string& node);
  [[nodiscard]] core::Result<void> move_fence(const std::string& node);
  [[nodiscard]] core::Result<void> read_nodes(ClusterView& view);
  [[nodiscard]] core::Result<void> read_leases(ClusterView& view);

  std::unique_ptr<Connection> connection_;
};

}  // namespace watchwheel::db
