// SPDX-License-Identifier: Apache-2.0
#include "app/notifier.h"

#include <utility>

#include "channels/sender.h"
#include "sideeffects/maintenance_watch.h"
#include "sideeffects/turn_thread.h"

namespace watchwheel::app {
namespace {

using sideeffects::DeliveryWorker;
using sideeffects::NoticeRouter;
using sideeffects::NotifyTargets;

// Under way at once, all targets together: some 16 targets that hang with all their places leave the others theirs.
constexpr std::size_t kAttemptsMax = 128;

class NotifierImpl final : public Notifier {
 public:
  NotifierImpl(NotifierSettings settings, std::unique_ptr<sideeffects::Outbox> outbox,
               std::unique_ptr<sideeffects::DeliveryQueue> queue,
               std::unique_ptr<sideeffects::MaintenanceStore> windows,
               std::unique_ptr<channels::Sender> sender, const core::Clock& clock, Log& log)
      : outbox_(std::move(outbox)),
        queue_(std::move(queue)),
        windows_(std::move(windows)),
        maintenance_(*windows_, clock, [&log](const std::string& line) { log.warn(line); }),
        sender_(std::move(sender)),
        worker_(worker_settings(settings, log), *queue_, *sender_, shared(settings.targets), clock,
                settings.run),
        worker_thread_("deliveries", worker_, clock),
        router_(router_settings(settings, log), *outbox_, shared(settings.targets), clock,
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
  void note_commit() override { router_thread_.wake(); }
  void reload(const NotifyTargets& targets) override {
    const auto both = shared(targets);
    router_.set_targets(both);
    worker_.set_targets(both);
    worker_thread_.wake();
  }
  NotifierReading reading() const override {
    return {router_.stats(), worker_.stats(), worker_.targets()};
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
    out.hold = [this](const sideeffects::Notice& notice) { return maintenance_.hold(notice); };
    out.ready = [this] { return maintenance_.ready(); };
    out.delivered = [this] {
      worker_.note_new();
      worker_thread_.wake();
    };
    out.warn = [&log](const std::string& line) { log.warn(line); };
    return out;
  }

  const std::unique_ptr<sideeffects::Outbox> outbox_;
  const std::unique_ptr<sideeffects::DeliveryQueue> queue_;
  const std::unique_ptr<sideeffects::MaintenanceStore> windows_;
  sideeffects::MaintenanceWatch maintenance_;
  const std::unique_ptr<channels::Sender> sender_;
  DeliveryWorker worker_;
  sideeffects::TurnThread worker_thread_;
  NoticeRouter router_;
  sideeffects::TurnThread router_thread_;
};

}  // namespace

core::Result<std::unique_ptr<Notifier>> Notifier::make(NotifierSettings settings, db::Store& store,
                                                       const core::Clock& clock, Log& log) {
  auto outbox = store.make_outbox();
  if (!outbox) return outbox.error();
  auto queue = store.make_delivery_queue();
  if (!queue) return queue.error();
  auto windows = store.make_maintenance_store();
  if (!windows) return windows.error();
  auto sender = channels::Sender::make(
      {.attempts_max = kAttemptsMax, .user_agent = settings.user_agent}, clock);
  if (!sender) return sender.error();
  return std::unique_ptr<Notifier>(std::make_unique<NotifierImpl>(
      std::move(settings), *std::move(outbox), *std::move(queue), *std::move(windows),
      *std::move(sender), clock, log));
}

}  // namespace watchwheel::app
