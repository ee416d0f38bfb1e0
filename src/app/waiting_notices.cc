// SPDX-License-Identifier: Apache-2.0
#include "app/waiting_notices.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "app/node_identity.h"
#include "app/version.h"
#include "core/hash.h"
#include "db/sql_notice_mirror.h"

namespace watchwheel::app {
namespace {

// The store is there: who begins now waits for us.
constexpr core::Duration kLastCall = std::chrono::seconds{2};

}  // namespace

std::unique_ptr<WaitingNotices> WaitingNotices::begin(const Config& config,
                                                      const core::Clock& clock, Log& log) {
  const auto unusable = [&log](const core::Error& why) {
    log.error(fmt::format("notices_not_kept action=wait_for_the_store error=\"{}\"", why.message));
    return nullptr;
  };
  std::error_code failed;
  if (config.notify.empty() ||
      !std::filesystem::exists(config.store.state_dir + "/" + db::kNoticesFile, failed))
    return nullptr;
  auto journal =
      db::SqliteJournal::open({.directory = config.store.state_dir, .may_begin_anew = false});
  if (!journal) return nullptr;  // Told by who counts its entries.
  auto local = LocalNotices::make({.directory = config.store.state_dir, .journal = journal->get()},
                                  nullptr, clock, log);
  if (!local) return unusable(local.error());
  if (!(*local)->was_alone()) return nullptr;
  auto node = node_name(config.cluster.node);
  if (!node) return unusable(node.error());
  const std::string& own = config.checks.options.user_agent;
  const auto run = static_cast<std::uint64_t>(clock.wall().time_since_epoch().count());
  auto notifier = Notifier::make({.targets = config.notify,
                                  .node = *std::move(node),
                                  .run = core::stable_hash(run),
                                  .user_agent = own.empty() ? default_user_agent() : own,
                                  .flapping = config.flapping,
                                  .interval = config.checks.interval},
                                 *std::move(local), clock, log);
  if (!notifier) return unusable(notifier.error());
  (*notifier)->start();
  return std::unique_ptr<WaitingNotices>(
      new WaitingNotices(*std::move(journal), *std::move(notifier), clock));
}

WaitingNotices::~WaitingNotices() {
  notifier_->stop(clock_.steady() + kLastCall);
}

}  // namespace watchwheel::app
