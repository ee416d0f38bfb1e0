// SPDX-License-Identifier: Apache-2.0
#include "db/mysql_store.h"

#include "db/migrations.h"
#include "db/sql_delivery_log.h"
#include "db/sql_delivery_queue.h"
#include "db/sql_event_store.h"
#include "db/sql_freshness_sink.h"
#include "db/sql_incident_log.h"
#include "db/sql_lease_store.h"
#include "db/sql_legacy_table.h"
#include "db/sql_history_store.h"
#include "db/sql_flapping_store.h"
#include "db/sql_maintenance_store.h"
#include "db/sql_operator_desk.h"
#include "db/sql_notice_mirror.h"
#include "db/sql_outbox.h"
#include "db/sql_site_catalog.h"
#include "db/sql_site_feed.h"
#include "db/sql_uptime_log.h"
#include "db/sql_vantage_store.h"
#include "db/sql_warning_store.h"

namespace watchwheel::db {

core::Result<std::unique_ptr<Store>> MysqlStore::open(MysqlAccess access,
                                                       MigrationTurn::Pace pace) {
  auto tried = MysqlConnection::open(access);
  if (!tried) return tried.error();
  return std::unique_ptr<Store>(new MysqlStore(std::move(access), pace));
}

core::Result<MigrationReport> MysqlStore::migrate(bool dry_run, const MigrationWatch& watch) {
  MysqlAccess patient = access_;
  patient.answer_wait = kMigrationWait;
  patient.clock = nullptr;
  patient.silence_in_transaction = std::chrono::seconds{0};
  auto connection = MysqlConnection::open(patient);
  if (!connection) return connection.error();
  const auto& steps = schema_steps(Dialect::Mysql);
  auto report = db::migrate(**connection, steps, true);
  if (!report || dry_run) return report;
  if (!report->applied.empty()) {
    auto session = MysqlConnection::open(access_);
    if (!session) return session.error();
    auto turn = MigrationTurn::take(*std::move(session), pace_);
    if (!turn) return turn.error();
    report = db::migrate(**connection, steps, false, watch, [&] { return (*turn)->held(); });
    if (!report) return report;
  }
  // Housekeeping: what cannot be removed now, because somebody holds it, is removed another time.
  (void)purge_at_start(**connection);
  return report;
}

core::Result<void> MysqlStore::check_schema() {
  auto connection = MysqlConnection::open(access_);
  if (!connection) return connection.error();
  return db::check_schema(**connection);
}

// The millisecond in which its first step was noted: no two databases share it, and it is never changed.
core::Result<std::string> MysqlStore::identity() {
  auto connection = MysqlConnection::open(access_);
  if (!connection) return connection.error();
  const auto made = (*connection)->number("SELECT applied_at FROM schema_version WHERE version = 1");
  if (!made) return made.error();
  return "made-" + std::to_string(made->value_or(0));
}

template <typename Interface, typename Implementation, typename... Given>
core::Result<std::unique_ptr<Interface>> MysqlStore::make(const Given&... given) const {
  auto connection = MysqlConnection::open(access_);
  if (!connection) return connection.error();
  if (auto fits = db::check_schema(**connection); !fits) return fits.error();
  return std::unique_ptr<Interface>(
      std::make_unique<Implementation>(*std::move(connection), given...));
}

core::Result<std::unique_ptr<SiteFeed>> MysqlStore::make_site_feed() {
  return make<SiteFeed, SqlSiteFeed>();
}
core::Result<std::unique_ptr<SiteCatalog>> MysqlStore::make_site_catalog(
    const Fencing& fencing) {
  return make<SiteCatalog, SqlSiteCatalog>(fencing);
}
core::Result<std::unique_ptr<IncidentLog>> MysqlStore::make_incident_log() {
  return make<IncidentLog, SqlIncidentLog>();
}
core::Result<std::unique_ptr<UptimeLog>> MysqlStore::make_uptime_log() {
  return make<UptimeLog, SqlUptimeLog>();
}
core::Result<std::unique_ptr<sideeffects::EventStore>> MysqlStore::make_event_store(
    const Fencing& fencing) {
  return make<sideeffects::EventStore, SqlEventStore>(fencing);
}
core::Result<std::unique_ptr<sideeffects::VantageStore>> MysqlStore::make_vantage_store(
    const std::string& node) {
  return make<sideeffects::VantageStore, SqlVantageStore>(node);
}
core::Result<std::unique_ptr<sideeffects::FreshnessSink>> MysqlStore::make_freshness_sink(
    const Fencing& fencing) {
  return make<sideeffects::FreshnessSink, SqlFreshnessSink>(fencing);
}
core::Result<std::unique_ptr<sideeffects::WarningStore>> MysqlStore::make_warning_store(
    const Fencing& fencing) {
  return make<sideeffects::WarningStore, SqlWarningStore>(fencing);
}
core::Result<std::unique_ptr<LeaseStore>> MysqlStore::make_lease_store() {
  // A server that stands still must not cost the lease: the next host is asked in time.
  MysqlAccess impatient = access_;
  impatient.answer_wait = kLeaseAnswerWait;
  impatient.lock_wait = kLeaseLockWait;
  auto connection = MysqlConnection::open(impatient);
  if (!connection) return connection.error();
  if (auto fits = db::check_schema(**connection); !fits) return fits.error();
  return std::unique_ptr<LeaseStore>(std::make_unique<SqlLeaseStore>(*std::move(connection)));
}
core::Result<std::unique_ptr<StoreLock>> MysqlStore::lock_out_others() {
  return std::unique_ptr<StoreLock>{};
}
core::Result<std::unique_ptr<sideeffects::Outbox>> MysqlStore::make_outbox() {
  return make<sideeffects::Outbox, SqlOutbox>();
}
core::Result<std::unique_ptr<sideeffects::DeliveryQueue>> MysqlStore::make_delivery_queue() {
  return make<sideeffects::DeliveryQueue, SqlDeliveryQueue>();
}
core::Result<std::unique_ptr<DeliveryLog>> MysqlStore::make_delivery_log() {
  return make<DeliveryLog, SqlDeliveryLog>();
}

core::Result<std::unique_ptr<sideeffects::OperatorDesk>> MysqlStore::make_operator_desk() {
  return make<sideeffects::OperatorDesk, SqlOperatorDesk>();
}

core::Result<std::unique_ptr<sideeffects::FlappingStore>> MysqlStore::make_flapping_store() {
  return make<sideeffects::FlappingStore, SqlFlappingStore>();
}

core::Result<std::unique_ptr<sideeffects::MaintenanceStore>> MysqlStore::make_maintenance_store() {
  return make<sideeffects::MaintenanceStore, SqlMaintenanceStore>();
}
core::Result<std::unique_ptr<SiteParents>> MysqlStore::make_site_parents() {
  return make<SiteParents, SiteParents>();
}
core::Result<std::unique_ptr<sideeffects::HistoryStore>> MysqlStore::make_history_store() {
  return make<sideeffects::HistoryStore, SqlHistoryStore>();
}

core::Result<std::unique_ptr<sideeffects::NoticeMirror>> MysqlStore::make_notice_mirror(
    const std::string& path) {
  auto connection = MysqlConnection::open(access_);
  if (!connection) return connection.error();
  auto mirror = SqlNoticeMirror::open(path, *std::move(connection));
  // Of the file, and not of the server, which may be waited for.
  if (!mirror) return core::Error{core::ErrorKind::Invalid, mirror.error().message};
  return std::unique_ptr<sideeffects::NoticeMirror>(*std::move(mirror));
}

core::Result<std::unique_ptr<LegacyTable>> MysqlStore::make_legacy_table(
    const LegacyMapping& mapping) {
  if (auto fits = check_mapping(mapping); !fits) return fits.error();
  auto connection = MysqlConnection::open(access_);
  if (!connection) return connection.error();
  return std::unique_ptr<LegacyTable>(
      std::make_unique<SqlLegacyTable>(*std::move(connection), mapping, access_.clock));
}

}  // namespace watchwheel::db
