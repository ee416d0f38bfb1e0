// SPDX-License-Identifier: Apache-2.0
// db/store.h - a store, by its URL: hands out one interface for each kind of work, each with a
// connection of its own.
//
// Owns     nothing that changes: each object it makes owns its connection. It must outlive none of
//          them.
// Thread   make_*: any. What they return: one thread at a time.
// Fails    core::Error naming the URL (without password), what went wrong and what would help.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/pinned.h"
#include "core/result.h"
#include "db/delivery_log.h"
#include "db/incident_log.h"
#include "db/legacy_table.h"
#include "db/lease_store.h"
#include "db/site_catalog.h"
#include "db/site_feed.h"
#include "db/uptime_log.h"
#include "sideeffects/delivery_queue_api.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/freshness_api.h"
#include "sideeffects/history_api.h"
#include "sideeffects/flapping_api.h"
#include "sideeffects/maintenance_api.h"
#include "sideeffects/operator_api.h"
#include "sideeffects/notice_mirror_api.h"
#include "sideeffects/vantage_store_api.h"
#include "sideeffects/warning_api.h"

namespace watchwheel::db {

class SiteParents;

// One step of the schema. Forward only: there is no way back.
struct Migration {
  std::uint32_t version = 0;
  std::string title;
};

struct MigrationReport {
  std::uint32_t before = 0;
  std::uint32_t after = 0;         // In a dry run: what it would be.
  std::vector<Migration> applied;  // In a dry run: what would be applied.
};

// Told before each step, which may take long on a large store: how many of how many are done.
using MigrationWatch = std::function<void(std::size_t done, std::size_t steps)>;

class StoreLock : core::Pinned {
 public:
  virtual ~StoreLock() = default;
};

class Store : core::Pinned {
 public:
  virtual ~Store() = default;

  // Brings the schema to this version. Refuses (Invalid) a schema newer than this version. Safe to
  // run twice, and from two processes at once.
  [[nodiscard]] virtual core::Result<MigrationReport> migrate(
      bool dry_run, const MigrationWatch& watch = {}) = 0;
  // Invalid, naming `watchwheel migrate`, unless the schema is this version's.
  [[nodiscard]] virtual core::Result<void> check_schema() = 0;
  // Tells this database from every other one, and goes along when it is dumped and restored elsewhere. "": of an embedded store,
  // which needs none.
  [[nodiscard]] virtual core::Result<std::string> identity() { return std::string{}; }

  [[nodiscard]] virtual core::Result<std::unique_ptr<SiteFeed>> make_site_feed() = 0;
  // With a `fencing` the list is changed only while kFirstBucket is ours, and is Fenced else: for what follows another table by itself.
  [[nodiscard]] virtual core::Result<std::unique_ptr<SiteCatalog>> make_site_catalog(
      const Fencing& fencing = {}) = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<SiteParents>> make_site_parents() = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<IncidentLog>> make_incident_log() = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<UptimeLog>> make_uptime_log() = 0;
  // What is made with a `fencing` writes only for buckets that are ours (lease_store.h), each under a writer's name of its own.
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::EventStore>> make_event_store(
      const Fencing& fencing = {}) = 0;
  // `node`: whose faults they are; "" where there is one process alone.
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::VantageStore>> make_vantage_store(
      const std::string& node = {}) = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::FreshnessSink>>
  make_freshness_sink(const Fencing& fencing = {}) = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::WarningStore>> make_warning_store(
      const Fencing& fencing = {}) = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::Outbox>> make_outbox() = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::DeliveryQueue>>
  make_delivery_queue() = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<DeliveryLog>> make_delivery_log() = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::MaintenanceStore>>
  make_maintenance_store() = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::FlappingStore>>
  make_flapping_store() = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::HistoryStore>>
  make_history_store() = 0;
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::OperatorDesk>>
  make_operator_desk() = 0;
  // In the file `path` on this host, which prepare_notices_file() has made. Invalid: an embedded store has none.
  [[nodiscard]] virtual core::Result<std::unique_ptr<sideeffects::NoticeMirror>> make_notice_mirror(
      const std::string& path);
  // Another program's table on the same server. Invalid, naming the key of [legacy], when the mapping makes no sense or the
  // store has no server.
  [[nodiscard]] virtual core::Result<std::unique_ptr<LegacyTable>> make_legacy_table(
      const LegacyMapping& mapping);

  // Of a store that several hosts may share. Null: it is one process's alone (see lock_out_others()).
  [[nodiscard]] virtual core::Result<std::unique_ptr<LeaseStore>> make_lease_store() = 0;
  // Of a store that no two daemons may use at once: held until the object is destroyed or the process ends. Unavailable, naming
  // the remedy, when another one holds it. Null where several may.
  [[nodiscard]] virtual core::Result<std::unique_ptr<StoreLock>> lock_out_others() = 0;
};

struct StoreAccess {
  // "sqlite:///absolute/path.db" (four slashes are not needed: the path starts at the third) or
  // "sqlite:relative.db"; or "mysql://user@host/database" (mysql_url.h).
  std::string url;
  // Asked whenever a session with a server is opened. Null: no password.
  std::function<core::Result<std::string>()> password;
  // With it a server's transactions have a deadline (mysql.h). It outlives the store and all it makes.
  const core::Clock* clock = nullptr;
  // Told what had to be done to the server, in words for a log; by any thread that uses the store.
  std::function<void(const std::string&)> notice = nullptr;
};

// SQLite: opens or creates the file. MySQL: connects, and refuses (Invalid) a server that cannot keep our promises. Migrates
// nothing.
[[nodiscard]] core::Result<std::unique_ptr<Store>> open_store(const StoreAccess& access);
[[nodiscard]] inline core::Result<std::unique_ptr<Store>> open_store(std::string_view url) {
  return open_store(StoreAccess{std::string(url), nullptr, nullptr});
}

}  // namespace watchwheel::db
