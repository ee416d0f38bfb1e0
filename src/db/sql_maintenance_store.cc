// SPDX-License-Identifier: Apache-2.0
#include "db/sql_maintenance_store.h"

#include <charconv>
#include <string>

#include "db/rows.h"
#include "db/site_codec.h"
#include "db/text.h"

namespace watchwheel::db {
namespace {

using sideeffects::MaintenanceId;
using sideeffects::MaintenanceWindow;

constexpr std::size_t kTitleBytesMax = 256;
constexpr std::size_t kWhoBytesMax = 128;

#define WATCHWHEEL_WINDOW                                                                     \
  "title, all_sites, sites, tags, starts_at, ends_at, weekdays, at_minutes, length_ms, zone," \
  " created_at, created_by"
constexpr Sql kList =
    "SELECT id, " WATCHWHEEL_WINDOW
    " FROM maintenance_windows WHERE ?1 IS NULL OR ends_at IS NULL OR ends_at > ?1"
    " ORDER BY id";
constexpr Sql kCount =
    "SELECT count(*) FROM maintenance_windows WHERE ends_at IS NULL OR ends_at > ?";
constexpr Sql kAdd = "INSERT INTO maintenance_windows (" WATCHWHEEL_WINDOW
                     ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr Sql kRemove = "DELETE FROM maintenance_windows WHERE id = ?";
constexpr Sql kRemoveAll = "DELETE FROM maintenance_windows";

// Ids as texts, in the form of tags.
std::string sites_to_json(const std::vector<core::SiteId>& sites) {
  std::vector<std::string> texts;
  for (const core::SiteId site : sites) texts.push_back(std::to_string(site.value));
  return tags_to_json(texts);
}

core::Result<std::vector<core::SiteId>> sites_from_json(std::string_view json) {
  const core::Result<std::vector<std::string>> texts = tags_from_json(json);
  if (!texts) return texts.error();
  std::vector<core::SiteId> sites;
  for (const std::string& text : *texts) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size())
      return core::Error{core::ErrorKind::Corrupt, "'" + text + "' is no site's id"};
    sites.push_back(core::SiteId{number});
  }
  return sites;
}

core::Result<MaintenanceWindow> window_from(const Connection& connection, const Query& row) {
  MaintenanceWindow window;
  window.id = id_from<MaintenanceId>(row, 0);
  auto sites = sites_from_json(row.text(3));
  auto tags = tags_from_json(row.text(4));
  if (!sites || !tags)
    return corrupt_row(connection, "maintenance window " + std::to_string(window.id.value) +
                                       " names sites or tags that cannot be read");
  window.title = row.text(1);
  window.all_sites = row.integer(2) != 0;
  window.sites = *std::move(sites);
  window.tags = *std::move(tags);
  window.starts_at = row.time(5);
  window.ends_at = row.time(6);
  window.weekdays = static_cast<std::uint8_t>(row.integer(7));
  window.at = std::chrono::minutes{row.integer(8)};
  window.length = std::chrono::milliseconds{row.integer(9)};
  window.zone = row.text(10);
  window.created_at = row.time(11);
  window.created_by = row.text(12);
  return window;
}

}  // namespace

core::Result<std::vector<MaintenanceWindow>> SqlMaintenanceStore::list(core::WallTime now) {
  Query query = connection_->query(kList);
  query.bind(now);
  std::vector<MaintenanceWindow> windows;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return windows;
    core::Result<MaintenanceWindow> window = window_from(*connection_, query);
    if (!window) return window.error();
    windows.push_back(*std::move(window));
  }
}

core::Result<void> SqlMaintenanceStore::insert(const MaintenanceWindow& window,
                                               std::int64_t now_ms) {
  const std::string title = to_utf8(window.title, kTitleBytesMax);
  const std::string who = to_utf8(window.created_by, kWhoBytesMax);
  const std::string sites = sites_to_json(window.sites);
  const std::string tags = tags_to_json(window.tags);
  Query add = connection_->query(kAdd);
  add.bind(std::string_view(title)).bind(std::int64_t{window.all_sites});
  add.bind(std::string_view(sites)).bind(std::string_view(tags));
  add.bind(window.starts_at).bind(window.ends_at).bind(std::int64_t{window.weekdays});
  add.bind(std::int64_t{window.at.count()});
  add.bind(std::chrono::duration_cast<std::chrono::milliseconds>(window.length).count());
  add.bind(std::string_view(window.zone)).bind(now_ms);
  return add.bind(std::string_view(who)).run();
}

core::Result<MaintenanceId> SqlMaintenanceStore::add(const MaintenanceWindow& window) {
  return retried(*connection_, [&]() -> core::Result<MaintenanceId> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    const core::Result<std::int64_t> now = connection_->now_ms();
    if (!now) return now.error();
    {
      Query count = connection_->query(kCount);
      core::Result<bool> row = count.bind(*now).step();
      if (!row) return row.error();
      if (static_cast<std::size_t>(count.integer(0)) >= sideeffects::kMaintenanceWindowsMax)
        return core::Error{core::ErrorKind::Invalid,
                           "there are " + std::to_string(sideeffects::kMaintenanceWindowsMax) +
                               " maintenance windows already; remove some first"};
    }
    if (core::Result<void> done = insert(window, *now); !done) return done.error();
    const core::Result<std::int64_t> id = connection_->last_insert_id();
    if (!id) return id.error();
    if (core::Result<void> done = transaction->commit(); !done) return done.error();
    return MaintenanceId{static_cast<std::uint64_t>(*id)};
  });
}

core::Result<void> SqlMaintenanceStore::replace(std::span<const MaintenanceWindow> windows) {
  core::Result<Transaction> transaction = Transaction::write(*connection_);
  if (!transaction) return transaction.error();
  if (core::Result<void> done = connection_->query(kRemoveAll).run(); !done) return done;
  for (const MaintenanceWindow& window : windows) {
    if (core::Result<void> done = insert(window, core::to_unix_ms(window.created_at)); !done)
      return done;
  }
  return transaction->commit();
}

core::Result<void> SqlMaintenanceStore::remove(MaintenanceId id) {
  Query query = connection_->query(kRemove);
  if (core::Result<void> done = query.bind(to_column(id)).run(); !done) return done.error();
  if (connection_->rows_changed() == 0)
    return core::Error{core::ErrorKind::NotFound,
                       "there is no maintenance window " + std::to_string(id.value)};
  return {};
}

}  // namespace watchwheel::db
