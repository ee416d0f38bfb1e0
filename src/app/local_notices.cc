// SPDX-License-Identifier: Apache-2.0
#include "app/local_notices.h"

#include <utility>
#include <vector>

#include "db/site_names.h"
#include "db/site_parents.h"
#include "db/sql_delivery_queue.h"
#include "db/sql_maintenance_store.h"
#include "db/sql_notice_mirror.h"
#include "db/sql_outbox.h"
#include "db/sqlite.h"

namespace watchwheel::app {
namespace {

using sideeffects::MaintenanceId;
using sideeffects::MaintenanceWindow;

core::Error away() {
  return {core::ErrorKind::Unavailable, "the store is away"};
}

// Windows as the store has them, and as it had them when it was last asked.
class KeptWindows final : public sideeffects::MaintenanceStore, core::Pinned {
 public:
  KeptWindows(std::unique_ptr<sideeffects::MaintenanceStore> store,
              std::unique_ptr<db::SqlMaintenanceStore> here,
              const sideeffects::AwayShared& shared)
      : store_(std::move(store)), here_(std::move(here)), shared_(shared) {}

  core::Result<std::vector<MaintenanceWindow>> list(core::WallTime now) override {
    if (store_ == nullptr || shared_.phase() == sideeffects::NoticePhase::Away)
      return here_->list(now);
    auto windows = store_->list(now);
    if (!windows) return here_->list(now);
    if (!kept_ || last_ != *windows) {
      kept_ = here_->replace(*windows).has_value();
      last_ = *windows;
    }
    return windows;
  }
  core::Result<MaintenanceId> add(const MaintenanceWindow& window) override {
    return store_ ? store_->add(window) : here_->add(window);
  }
  core::Result<void> remove(MaintenanceId id) override {
    return store_ ? store_->remove(id) : here_->remove(id);
  }

 private:
  const std::unique_ptr<sideeffects::MaintenanceStore> store_;
  const std::unique_ptr<db::SqlMaintenanceStore> here_;
  const sideeffects::AwayShared& shared_;
  bool kept_ = false;
  std::vector<MaintenanceWindow> last_;
};

class StoresFlapping final : public sideeffects::FlappingStore, core::Pinned {
 public:
  StoresFlapping(std::unique_ptr<sideeffects::FlappingStore> store,
                 const sideeffects::AwayShared& shared)
      : store_(std::move(store)), shared_(shared) {}

  core::Result<std::vector<sideeffects::FlappingSite>> flapping() override {
    if (is_away()) return away();
    return store_->flapping();
  }
  core::Result<std::vector<sideeffects::SiteChanges>> changes(std::span<const core::SiteId> sites,
                                                              core::Duration interval,
                                                              core::WallTime now) override {
    if (is_away()) return away();
    return store_->changes(sites, interval, now);
  }

 private:
  [[nodiscard]] bool is_away() const {
    return store_ == nullptr || shared_.phase() != sideeffects::NoticePhase::Straight;
  }

  const std::unique_ptr<sideeffects::FlappingStore> store_;
  const sideeffects::AwayShared& shared_;
};

// Not the store's: whoever waits for that would wait for ever.
core::Error of_file(const core::Error& error) {
  return {core::ErrorKind::Invalid, error.message};
}

template <typename Made>
core::Result<std::unique_ptr<Made>> session(const std::string& path) {
  auto connection = db::SqliteConnection::open({.path = path, .checkpoint_pages = 4096});
  if (!connection) return of_file(connection.error());
  return std::make_unique<Made>(*std::move(connection));
}

}  // namespace

// In the order in which they need each other.
struct LocalNotices::Parts {
  std::string path;
  Log* log = nullptr;
  sideeffects::AwayShared shared;
  std::unique_ptr<sideeffects::Outbox> store_outbox;
  std::unique_ptr<sideeffects::DeliveryQueue> store_queue;
  std::unique_ptr<db::SqlOutbox> here_outbox;
  std::unique_ptr<db::SqlDeliveryQueue> here_queue;
  std::unique_ptr<sideeffects::NoticeMirror> mirror;
  std::unique_ptr<db::SqlMirrorFinish> finish;
  std::unique_ptr<db::SqlRecentWrites> recent;
  std::unique_ptr<sideeffects::AwayOutbox> outbox;
  std::unique_ptr<sideeffects::AwayQueue> queue;
  std::unique_ptr<KeptWindows> windows;
  std::unique_ptr<StoresFlapping> flapping;
  std::unique_ptr<StoresParents> parents;
};

core::Result<bool> StoresParents::any() {
  if (!reachable()) return away();
  return store_->any();
}

core::Result<std::vector<sideeffects::SiteKin>> StoresParents::kin(
    std::span<const sideeffects::Failing> sites) {
  if (!reachable()) return away();
  return store_->kin(sites);
}

core::Result<std::uint64_t> StoresParents::below(core::SiteId parent, std::uint64_t limit) {
  if (!reachable()) return away();
  return store_->below(parent, limit);
}

LocalNotices::LocalNotices(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
LocalNotices::~LocalNotices() = default;

core::Result<std::unique_ptr<LocalNotices>> LocalNotices::make(const Settings& settings,
                                                               db::Store* store,
                                                               const core::Clock& clock, Log& log) {
  auto parts = std::make_unique<Parts>();
  parts->path = settings.directory + "/" + db::kNoticesFile;
  parts->log = &log;
  std::string identity;
  if (store != nullptr) {
    auto known = store->identity();
    if (!known) return known.error();
    identity = *std::move(known);
  }
  if (auto ready = db::prepare_notices_file(parts->path, identity); !ready)
    return of_file(ready.error());
  auto outbox = session<db::SqlOutbox>(parts->path);
  if (!outbox) return outbox.error();
  auto queue = session<db::SqlDeliveryQueue>(parts->path);
  if (!queue) return queue.error();
  auto finish = session<db::SqlMirrorFinish>(parts->path);
  if (!finish) return finish.error();
  auto recent = session<db::SqlRecentWrites>(parts->path);
  if (!recent) return recent.error();
  auto windows = session<db::SqlMaintenanceStore>(parts->path);
  if (!windows) return windows.error();
  parts->here_outbox = *std::move(outbox);
  parts->here_queue = *std::move(queue);
  parts->finish = *std::move(finish);
  parts->recent = *std::move(recent);
  std::unique_ptr<sideeffects::MaintenanceStore> store_windows;
  std::unique_ptr<sideeffects::FlappingStore> store_flapping;
  std::unique_ptr<sideeffects::ParentStore> store_parents;
  if (store != nullptr) {
    auto store_outbox = store->make_outbox();
    if (!store_outbox) return store_outbox.error();
    auto store_queue = store->make_delivery_queue();
    if (!store_queue) return store_queue.error();
    auto its_windows = store->make_maintenance_store();
    if (!its_windows) return its_windows.error();
    auto flapping = store->make_flapping_store();
    if (!flapping) return flapping.error();
    auto site_parents = store->make_site_parents();
    if (!site_parents) return site_parents.error();
    auto mirror = store->make_notice_mirror(parts->path);
    if (!mirror) return mirror.error();
    parts->store_outbox = *std::move(store_outbox);
    parts->store_queue = *std::move(store_queue);
    parts->mirror = *std::move(mirror);
    store_windows = *std::move(its_windows);
    store_flapping = *std::move(flapping);
    store_parents = *std::move(site_parents);
  } else {
    auto mirror = db::SqlNoticeMirror::open(parts->path, nullptr);
    if (!mirror) return of_file(mirror.error());
    parts->mirror = *std::move(mirror);
  }
  sideeffects::AwayOutbox::Settings away;
  away.alone = settings.alone;
  away.tell = [&log](const std::string& line) { log.info(line); };
  away.warn = [&log](const std::string& line) { log.warn(line); };
  if (auto* detour = settings.detour) {
    away.away = [detour] { return detour->taken(); };
    away.store_failed = [detour](const core::Error& why) { detour->take(why); };
  }
  parts->outbox = std::make_unique<sideeffects::AwayOutbox>(
      std::move(away), parts->store_outbox.get(), *parts->here_outbox, *parts->mirror,
      *parts->recent, *settings.journal, parts->shared, clock);
  parts->queue = std::make_unique<sideeffects::AwayQueue>(
      parts->store_queue.get(), *parts->here_queue, *parts->finish, parts->shared);
  parts->windows =
      std::make_unique<KeptWindows>(std::move(store_windows), *std::move(windows), parts->shared);
  parts->flapping = std::make_unique<StoresFlapping>(std::move(store_flapping), parts->shared);
  parts->parents = std::make_unique<StoresParents>(std::move(store_parents), parts->shared);
  // Kept from the first moment: a window in which nobody has been held back yet counts as well.
  if (store != nullptr) (void)parts->windows->list(clock.wall());
  return std::unique_ptr<LocalNotices>(new LocalNotices(std::move(parts)));
}

sideeffects::Outbox& LocalNotices::outbox() {
  return *parts_->outbox;
}
sideeffects::DeliveryQueue& LocalNotices::queue() {
  return *parts_->queue;
}
sideeffects::MaintenanceStore& LocalNotices::windows() {
  return *parts_->windows;
}

sideeffects::FlappingStore& LocalNotices::flapping() {
  return *parts_->flapping;
}

sideeffects::ParentStore& LocalNotices::parents() {
  return *parts_->parents;
}

std::unique_ptr<db::SiteFeed> LocalNotices::named(std::unique_ptr<db::SiteFeed> feed) {
  auto file = db::SqliteConnection::open({.path = parts_->path, .checkpoint_pages = 4096});
  if (!file) {
    parts_->log->warn("site_names_not_kept why=\"" + file.error().message + "\"");
    return feed;
  }
  auto names = std::make_unique<db::SiteNames>(
      *std::move(file), [log = parts_->log](const std::string& line) { log->warn(line); });
  return std::make_unique<db::NamedSiteFeed>(std::move(feed), std::move(names));
}

void LocalNotices::note(std::span<const sideeffects::EventWrite> writes) {
  parts_->outbox->note(writes);
}

bool LocalNotices::was_alone() {
  const auto alone = parts_->mirror->was_alone();
  return alone && *alone;
}

LocalNoticesReading LocalNotices::reading() const {
  const sideeffects::AwayStats& stats = parts_->shared.stats();
  return {.phase = parts_->shared.phase(),
          .times = stats.times.value(),
          .presumed = stats.presumed.value(),
          .handed_over = stats.handed_over.value(),
          .errors = stats.errors.value()};
}

}  // namespace watchwheel::app
