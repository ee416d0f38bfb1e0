// SPDX-License-Identifier: Apache-2.0
#include "app/vantage_thread.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace watchwheel::app {

using namespace std::chrono_literals;

struct VantageThread::Parts {
  Parts(const VantageSettings& settings, const std::string& user_agent,
        std::vector<const core::VantageTally*> lanes, core::VantageGate& gate,
        Vantage::Record record, const core::Clock& time, Log& log)
      : clock(time),
        vantage(settings, std::move(lanes), gate, std::move(record), log, time.steady(),
                time.wall()) {
    checker_settings.limits.in_flight_max = kCanariesMax;
    checker_settings.limits.dns_cache_entries_max = 2 * kCanariesMax;
    // A name that was resolved an hour ago says nothing of the resolvers now.
    checker_settings.limits.dns_keep_max = {};
    checker_settings.limits.tls_chains_max = 1000;
    checker_settings.user_agent = user_agent;
  }

  void loop() noexcept;
  void wait() const;

  const core::Clock& clock;
  checker::Settings checker_settings;
  Vantage vantage;
  std::unique_ptr<checker::Checker> checker;
  std::atomic<bool> stopping{false};
  mutable std::mutex mutex;
  VantageReading reading;                 // Guarded by mutex.
  std::optional<VantageSettings> wanted;  // Guarded by mutex.
  std::thread thread;
};

void VantageThread::Parts::wait() const {
  const core::SteadyTime now = clock.steady();
  core::SteadyTime until = vantage.next_turn();
  if (const auto deadline = checker->next_deadline()) until = std::min(until, *deadline);
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(
      std::clamp<core::Duration>(until - now, 0ms, 250ms));
  pollfd ready{checker->descriptor(), POLLIN, 0};
  (void)::poll(&ready, 1, static_cast<int>(ms.count()));  // Interrupted: one turn more.
}

void VantageThread::Parts::loop() noexcept {
  pthread_setname_np(pthread_self(), "vantage");
  while (!stopping.load()) {
    const core::SteadyTime now = clock.steady();
    checker->turn(now);
    vantage.turn(now, clock.wall());
    {
      const std::lock_guard lock(mutex);
      reading = vantage.reading();
      if (const auto settings = std::exchange(wanted, std::nullopt)) vantage.set(*settings);
    }
    wait();
  }
  checker->cancel_all(clock.steady());
  checker->turn(clock.steady());
}

VantageThread::VantageThread(const VantageSettings& settings, const std::string& user_agent,
                             std::vector<const core::VantageTally*> lanes, core::VantageGate& gate,
                             Vantage::Record record, const core::Clock& clock, Log& log)
    : parts_(std::make_unique<Parts>(settings, user_agent, std::move(lanes), gate,
                                     std::move(record), clock, log)) {}

VantageThread::~VantageThread() {
  stop();
}

core::Result<void> VantageThread::start() {
  auto made = checker::Checker::make(parts_->checker_settings, parts_->clock, parts_->vantage);
  if (!made) return made.error();
  parts_->checker = *std::move(made);
  parts_->vantage.attach(*parts_->checker);
  parts_->thread = std::thread([this] { parts_->loop(); });
  return {};
}

void VantageThread::set(const VantageSettings& settings) {
  const std::lock_guard lock(parts_->mutex);
  parts_->wanted = settings;
}

void VantageThread::go_on_with(core::WallTime group, core::WallTime newest) {
  parts_->vantage.go_on_with(group, newest);
}

void VantageThread::stop() {
  if (!parts_->thread.joinable()) return;
  parts_->stopping.store(true);
  parts_->thread.join();
}

VantageReading VantageThread::reading() const {
  const std::lock_guard lock(parts_->mutex);
  return parts_->reading;
}

const VantageStats& VantageThread::stats() const {
  return parts_->vantage.stats();
}

}  // namespace watchwheel::app
