// SPDX-License-Identifier: Apache-2.0
#include "app/notifier.h"

#include <utility>

#include "channels/sender.h"
#include "db/site_parents.h"
#include "sideeffects/holds.h"
#include "sideeffects/turn_thread.h"

namespace watchwheel::app {
namespace {

using sideeffects::DeliveryWorker;
using sideeffects::NoticeRouter;
using sideeffects::NotifyTargets;

// Under way at once, all targets together: some 16 targets that hang with all their places leave the others theirs.
constexpr std::size_t kAttemptsMax = 128;

// What router and worker stand on: the store's, or those that `local` has.
struct Ground {
  std::unique_ptr<sideeffects::Outbox> outbox;
  std::unique_ptr<sideeffects::DeliveryQueue> queue;
  std::unique_ptr<sideeffects::MaintenanceStore> windows;
  std::unique_ptr<sideeffects::FlappingStore> flapping;
  std::unique_ptr<sideeffects::ParentStore> parents;
  std::unique_ptr<LocalNotices> local;
};

sideeffects::Holds::Stores stores_of(const Ground& ground) {
  if (ground.local)
    return {.windows = ground.local->windows(),
            .parents = &ground.local->parents(),
            .flapping = &ground.local->flapping()};
  return {.windows = *ground.windows,
          .parents = ground.parents.get(),
          .flapping = ground.flapping.get()};
}

class NotifierImpl final : public Notifier {
 public:
  NotifierImpl(NotifierSettings settings, Ground ground, std::unique_ptr<channels::Sender> sender,
               const core::Clock& clock, Log& log)
      : ground_(std::move(ground)),
        not_kept_(std::move(settings.not_kept)),
        outbox_(ground_.local ? ground_.local->outbox() : *ground_.outbox),
        queue_(ground_.local ? ground_.local->queue() : *ground_.queue),
        holds_({.flapping = settings.flapping,
                .interval = settings.interval,
                .warn = [&log](const std::string& line) { log.warn(line); }},
               stores_of(ground_), clock),
        sender_(std::move(sender)),
        worker_(worker_settings(settings, log), queue_, *sender_, shared(settings.targets), clock,
                settings.run),
        worker_thread_("deliveries", worker_, clock),
        router_(router_settings(settings, log), outbox_, shared(settings.targets), clock,
                settings.run + 1),
        router_thread_("router", router_, clock) {}

  void start() override {
    sender_->start();
    worker_thread_.start();
    router_thread_.start();
  }
  void drain() override { worker_.drain(); }
  void stop(core::SteadyTime deadline) override {
    drain();
    router_thread_.stop(deadline);
    worker_thread_.stop(deadline, [this] { return worker_.idle(); });
    worker_.abandon();
    sender_->stop(deadline);
  }
  void note_commit(std::span<const sideeffects::EventWrite> writes) override {
    if (ground_.local) ground_.local->note(writes);
    router_thread_.wake();
  }
  std::unique_ptr<db::SiteFeed> named(std::unique_ptr<db::SiteFeed> feed) override {
    return ground_.local ? ground_.local->named(std::move(feed)) : std::move(feed);
  }
  void reload(const NotifyTargets& targets, core::Duration interval) override {
    holds_.set_interval(interval);
    const auto both = shared(targets);
    router_.set_targets(both);
    worker_.set_targets(both);
    worker_thread_.wake();
  }
  NotifierReading reading() const override {
    std::optional<LocalNoticesReading> local;
    if (ground_.local) local = ground_.local->reading();
    return {router_.stats(),   holds_.flapping(), holds_.parents(), worker_.stats(),
            worker_.targets(), local,             not_kept_};
  }

 private:
  static std::shared_ptr<const NotifyTargets> shared(const NotifyTargets& targets) {
    return std::make_shared<const NotifyTargets>(targets);
  }
  DeliveryWorker::Settings worker_settings(const NotifierSettings& settings, Log& log) {
    DeliveryWorker::Settings out;
    out.claimer = {.node = settings.node, .run = settings.run};
    out.retention = settings.retention;
    out.wake = [this] { worker_thread_.wake(); };
    out.warn = [&log](const std::string& line) { log.warn(line); };
    return out;
  }
  NoticeRouter::Settings router_settings(const NotifierSettings& settings, Log& log) {
    NoticeRouter::Settings out;
    out.mine = settings.mine;
    holds_.join(out);
    out.delivered = [this] {
      worker_.note_new();
      worker_thread_.wake();
    };
    out.warn = [&log](const std::string& line) { log.warn(line); };
    return out;
  }

  const Ground ground_;
  const std::string not_kept_;
  sideeffects::Outbox& outbox_;
  sideeffects::DeliveryQueue& queue_;
  sideeffects::Holds holds_;
  const std::unique_ptr<channels::Sender> sender_;
  DeliveryWorker worker_;
  sideeffects::TurnThread worker_thread_;
  NoticeRouter router_;
  sideeffects::TurnThread router_thread_;
};

core::Result<std::unique_ptr<Notifier>> make_on(Ground ground, NotifierSettings settings,
                                                const core::Clock& clock, Log& log) {
  auto sender = channels::Sender::make(
      {.attempts_max = kAttemptsMax, .user_agent = settings.user_agent}, clock);
  if (!sender) return sender.error();
  return std::unique_ptr<Notifier>(std::make_unique<NotifierImpl>(
      std::move(settings), std::move(ground), *std::move(sender), clock, log));
}

}  // namespace

core::Result<std::unique_ptr<Notifier>> Notifier::make(NotifierSettings settings, db::Store& store,
                                                       const core::Clock& clock, Log& log) {
  auto outbox = store.make_outbox();
  if (!outbox) return outbox.error();
  auto queue = store.make_delivery_queue();
  if (!queue) return queue.error();
  auto windows = store.make_maintenance_store();
  if (!windows) return windows.error();
  auto flapping = store.make_flapping_store();
  if (!flapping) return flapping.error();
  auto parents = store.make_site_parents();
  if (!parents) return parents.error();
  return make_on({.outbox = *std::move(outbox),
                  .queue = *std::move(queue),
                  .windows = *std::move(windows),
                  .flapping = *std::move(flapping),
                  .parents = *std::move(parents),
                  .local = {}},
                 std::move(settings), clock, log);
}

core::Result<std::unique_ptr<Notifier>> Notifier::make(NotifierSettings settings,
                                                       std::unique_ptr<LocalNotices> local,
                                                       const core::Clock& clock, Log& log) {
  Ground ground;
  ground.local = std::move(local);
  return make_on(std::move(ground), std::move(settings), clock, log);
}

}  // namespace watchwheel::app
