// SPDX-License-Identifier: Apache-2.0
// db/sqlite_store.h - the embedded store: one SQLite file.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "db/site_parents.h"
#include "db/store.h"

namespace watchwheel::db {

class SqliteStore final : public Store {
 public:
  // Opens or creates the file, so that what is wrong with it is told now.
  [[nodiscard]] static core::Result<std::unique_ptr<Store>> open(std::string path);

  [[nodiscard]] core::Result<MigrationReport> migrate(
      bool dry_run, const MigrationWatch& watch) override;
  [[nodiscard]] core::Result<void> check_schema() override;

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

 private:
  explicit SqliteStore(std::string path) : path_(std::move(path)) {}

  const std::string path_;
};

}  // namespace watchwheel::db
