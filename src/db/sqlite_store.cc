// SPDX-License-Identifier: Apache-2.0
#include "db/sqlite_store.h"

#include <filesystem>
#include <system_error>

#include "db/file_lock.h"
#include "db/migrations.h"
#include "db/sql_delivery_log.h"
#include "db/sql_delivery_queue.h"
#include "db/sql_event_store.h"
#include "db/sql_freshness_sink.h"
#include "db/sql_incident_log.h"
#include "db/sql_history_store.h"
#include "db/sql_flapping_store.h"
#include "db/sql_maintenance_store.h"
#include "db/sql_operator_desk.h"
#include "db/sql_outbox.h"
#include "db/sql_site_catalog.h"
#include "db/sql_site_feed.h"
#include "db/sql_uptime_log.h"
#include "db/sql_vantage_store.h"
#include "db/sql_warning_store.h"
#include "db/sqlite.h"
#include "db/store_url.h"

namespace watchwheel::db {
namespace {

struct Tuning {
  Durability durability;
  std::uint32_t cache_kib;
  std::uint32_t checkpoint_pages;
};
// What runs inside the daemon stays small.
constexpr Tuning kReading{Durability::InOrder, 8 * 1024, 1000};
constexpr Tuning kProjecting{Durability::InOrder, 8 * 1024, 1000};
// Somebody waits for an event, so the other writers fold the log back as long as there are any.
constexpr Tuning kRecording{Durability::OnDisk, 8 * 1024, 16384};
// An import finds its rows by URL, in no order: it wants the index at hand, and as it writes the
// same pages of it again and again, it folds the log back seldom.
constexpr Tuning kEditing{Durability::OnDisk, 64 * 1024, 8192};

// What SQLite would only call "unable to open database file".
core::Result<void> check_place(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code failed;
  const fs::path directory = fs::path(path).parent_path();
  const auto fail = [&](core::ErrorKind kind, const std::string& what) {
    return core::Error{kind, "store " + path + ": " + what};
  };
  if (!fs::is_directory(directory, failed)) {
    return fail(core::ErrorKind::Unavailable, "its directory " + directory.string() +
                                                  " cannot be used (" +
                                                  (failed ? failed.message() : "not a directory") +
                                                  "); create it or change store.url");
  }
  if (fs::is_directory(path, failed)) {
    return fail(core::ErrorKind::Invalid, "it is a directory; name a file in store.url");
  }
  return {};
}

template <typename Interface, typename Implementation>
core::Result<std::unique_ptr<Interface>> make(const std::string& path, const Tuning& tuning) {
  core::Result<std::unique_ptr<SqliteConnection>> connection =
      SqliteConnection::open({.path = path,
                              .durability = tuning.durability,
                              .cache_kib = tuning.cache_kib,
                              .checkpoint_pages = tuning.checkpoint_pages});
  if (!connection) return connection.error();
  if (core::Result<void> fits = db::check_schema(**connection); !fits) return fits.error();
  return std::unique_ptr<Interface>(std::make_unique<Implementation>(std::move(*connection)));
}

}  // namespace

core::Result<std::unique_ptr<Store>> SqliteStore::open(std::string path) {
  if (core::Result<void> place = check_place(path); !place) return place.error();
  core::Result<std::unique_ptr<SqliteConnection>> tried = SqliteConnection::open({.path = path});
  if (!tried) return tried.error();
  return std::unique_ptr<Store>(new SqliteStore(std::move(path)));
}

core::Result<MigrationReport> SqliteStore::migrate(bool dry_run, const MigrationWatch& watch) {
  core::Result<std::unique_ptr<SqliteConnection>> connection =
      SqliteConnection::open({.path = path_, .durability = Durability::OnDisk});
  if (!connection) return connection.error();
  Connection& db = **connection;
  core::Result<MigrationReport> report =
      db::migrate(db, schema_steps(Dialect::Sqlite), dry_run, watch);
  if (!report || dry_run) return report;

  if (auto purged = purge_at_start(db); !purged) return purged.error();
  return report;
}

core::Result<void> SqliteStore::check_schema() {
  core::Result<std::unique_ptr<SqliteConnection>> connection =
      SqliteConnection::open({.path = path_});
  if (!connection) return connection.error();
  return db::check_schema(**connection);
}

core::Result<std::unique_ptr<SiteFeed>> SqliteStore::make_site_feed() {
  return make<SiteFeed, SqlSiteFeed>(path_, kReading);
}

core::Result<std::unique_ptr<SiteCatalog>> SqliteStore::make_site_catalog(
    const Fencing& /*fencing*/) {
  return make<SiteCatalog, SqlSiteCatalog>(path_, kEditing);
}

core::Result<std::unique_ptr<IncidentLog>> SqliteStore::make_incident_log() {
  return make<IncidentLog, SqlIncidentLog>(path_, kReading);
}

core::Result<std::unique_ptr<UptimeLog>> SqliteStore::make_uptime_log() {
  return make<UptimeLog, SqlUptimeLog>(path_, kReading);
}

// One process writes it, so there is nobody to be fenced from.
core::Result<std::unique_ptr<sideeffects::EventStore>> SqliteStore::make_event_store(
    const Fencing&) {
  return make<sideeffects::EventStore, SqlEventStore>(path_, kRecording);
}

core::Result<std::unique_ptr<sideeffects::VantageStore>> SqliteStore::make_vantage_store(
    const std::string&) {
  return make<sideeffects::VantageStore, SqlVantageStore>(path_, kRecording);
}

core::Result<std::unique_ptr<sideeffects::FreshnessSink>> SqliteStore::make_freshness_sink(
    const Fencing&) {
  return make<sideeffects::FreshnessSink, SqlFreshnessSink>(path_, kProjecting);
}

core::Result<std::unique_ptr<sideeffects::WarningStore>> SqliteStore::make_warning_store(
    const Fencing&) {
  return make<sideeffects::WarningStore, SqlWarningStore>(path_, kRecording);
}

core::Result<std::unique_ptr<LeaseStore>> SqliteStore::make_lease_store() {
  return std::unique_ptr<LeaseStore>{};
}

core::Result<std::unique_ptr<StoreLock>> SqliteStore::lock_out_others() {
  auto lock = FileLock::take(path_ + ".daemon");
  if (lock) return std::unique_ptr<StoreLock>(*std::move(lock));
  return core::Error{lock.error().kind, "store " + path_ + ": " + lock.error().message};
}

core::Result<std::unique_ptr<sideeffects::Outbox>> SqliteStore::make_outbox() {
  return make<sideeffects::Outbox, SqlOutbox>(path_, kRecording);
}

core::Result<std::unique_ptr<sideeffects::DeliveryQueue>> SqliteStore::make_delivery_queue() {
  return make<sideeffects::DeliveryQueue, SqlDeliveryQueue>(path_, kRecording);
}

core::Result<std::unique_ptr<DeliveryLog>> SqliteStore::make_delivery_log() {
  return make<DeliveryLog, SqlDeliveryLog>(path_, kRecording);
}

core::Result<std::unique_ptr<sideeffects::OperatorDesk>> SqliteStore::make_operator_desk() {
  return make<sideeffects::OperatorDesk, SqlOperatorDesk>(path_, kRecording);
}

core::Result<std::unique_ptr<sideeffects::FlappingStore>> SqliteStore::make_flapping_store() {
  return make<sideeffects::FlappingStore, SqlFlappingStore>(path_, kRecording);
}

core::Result<std::unique_ptr<sideeffects::MaintenanceStore>> SqliteStore::make_maintenance_store() {
  return make<sideeffects::MaintenanceStore, SqlMaintenanceStore>(path_, kRecording);
}

core::Result<std::unique_ptr<SiteParents>> SqliteStore::make_site_parents() {
  return make<SiteParents, SiteParents>(path_, kRecording);
}

core::Result<std::unique_ptr<sideeffects::HistoryStore>> SqliteStore::make_history_store() {
  return make<sideeffects::HistoryStore, SqlHistoryStore>(path_, kProjecting);
}

}  // namespace watchwheel::db
