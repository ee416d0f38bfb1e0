// SPDX-License-Identifier: Apache-2.0
// db/mysql_store.h - a store on MySQL, MariaDB or a cluster of them. Each interface it makes has a session of its own.
#pragma once

#include <memory>
#include <utility>

#include "db/migration_turn.h"
#include "db/mysql.h"
#include "db/site_parents.h"
#include "db/store.h"

namespace watchwheel::db {

class MysqlStore final : public Store {
 public:
  // Connects once, so that what is wrong is told now.
  [[nodiscard]] static core::Result<std::unique_ptr<Store>> open(MysqlAccess access,
                                                                 MigrationTurn::Pace pace);
  [[nodiscard]] static core::Result<std::unique_ptr<Store>> open(MysqlAccess access) {
    return open(std::move(access), MigrationTurn::Pace{});
  }

  [[nodiscard]] core::Result<MigrationReport> migrate(bool dry_run,
                                                      const MigrationWatch& watch) override;
  [[nodiscard]] core::Result<void> check_schema() override;
  [[nodiscard]] core::Result<std::string> identity() override;

  [[nodiscard]] core::Result<std::unique_ptr<SiteFeed>> make_site_feed() override;
  [[nodiscard]] core::Result<std::unique_ptr<SiteCatalog>> make_site_catalog(
      const Fencing& fencing) override;
  [[nodiscard]] core::Result<std::unique_ptr<IncidentLog>> make_incident_log() override;
  [[nodiscard]] core::Result<std::unique_ptr<UptimeLog>> make_uptime_log() override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::EventStore>> make_event_store(
      const Fencing& fencing) override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::VantageStore>> make_vantage_store(
      const std::string& node) override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::FreshnessSink>> make_freshness_sink(
      const Fencing& fencing) override;
  [[nodiscard]] core::Result<std::unique_ptr<LeaseStore>> make_lease_store() override;
  [[nodiscard]] core::Result<std::unique_ptr<StoreLock>> lock_out_others() override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::Outbox>> make_outbox() override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::DeliveryQueue>> make_delivery_queue()
      override;
  [[nodiscard]] core::Result<std::unique_ptr<DeliveryLog>> make_delivery_log() override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::WarningStore>> make_warning_store(
      const Fencing& fencing) override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::FlappingStore>> make_flapping_store()
      override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::MaintenanceStore>> make_maintenance_store()
      override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::HistoryStore>> make_history_store()
      override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::OperatorDesk>> make_operator_desk()
      override;
  [[nodiscard]] core::Result<std::unique_ptr<SiteParents>> make_site_parents() override;
  [[nodiscard]] core::Result<std::unique_ptr<sideeffects::NoticeMirror>> make_notice_mirror(
      const std::string& path) override;
  [[nodiscard]] core::Result<std::unique_ptr<LegacyTable>> make_legacy_table(
      const LegacyMapping& mapping) override;

 private:
  MysqlStore(MysqlAccess access, MigrationTurn::Pace pace)
      : access_(std::move(access)), pace_(pace) {}
  template <typename Interface, typename Implementation, typename... Given>
  [[nodiscard]] core::Result<std::unique_ptr<Interface>> make(const Given&... given) const;

  const MysqlAccess access_;
  const MigrationTurn::Pace pace_;
};

}  // namespace watchwheel::db
