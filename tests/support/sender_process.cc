// SPDX-License-Identifier: Apache-2.0
#include "support/sender_process.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>
#include <utility>

#include "app/notifier.h"
#include "core/clock.h"
#include "db/store.h"
#include "support/fake_channels.h"

namespace watchwheel::testing {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

template <typename T>
T must(core::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

class ErrorsOnly final : public app::Log {
 public:
  void write(app::LogLevel level, std::string_view line) noexcept override {
    if (enabled(level)) std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  }
  [[nodiscard]] bool enabled(app::LogLevel level) const noexcept override {
    return level == app::LogLevel::Error;
  }
};

// A line is there whole, or not at all, whenever we are killed.
class Record {
 public:
  explicit Record(const std::string& path) : file_(path, std::ios::app) {
    if (!file_) throw std::runtime_error("cannot write " + path);
    file_.precision(15);
  }
  template <typename... Parts>
  void line(const Parts&... parts) {
    (file_ << ... << parts) << std::endl;
  }

 private:
  std::ofstream file_;
};

struct Phase {
  double per_second = 0;
  double seconds = 0;
};

std::vector<Phase> phases_of(const std::string& text) {
  std::vector<Phase> phases;
  const char* at = text.c_str();
  while (*at != '\0') {
    char* end = nullptr;
    Phase phase{.per_second = std::strtod(at, &end)};
    phase.seconds = std::strtod(*end == ':' ? end + 1 : end, &end);
    phases.push_back(phase);
    at = *end == ',' ? end + 1 : end;
    if (end == at && *end != '\0') throw std::runtime_error("no phases: " + text);
  }
  return phases;
}
std::uint64_t count_of(const Phase& phase) {
  return static_cast<std::uint64_t>(phase.per_second * std::max(phase.seconds, 1.0));
}

sideeffects::EventWrite outage(core::SiteId site, core::WallTime began) {
  using core::SiteState;
  using core::TransitionReason;
  const core::Evidence evidence{core::Cause::ConnectRefused, core::Phase::Connect, 0, "refused",
                                "192.0.2.1"};
  sideeffects::EventWrite write;
  write.site = site;
  write.started_at = began;
  write.confirmed_at = began;
  write.state = SiteState::Down;
  write.failures = 2;
  write.transitions_total = 2;
  write.evidence = evidence;
  write.transitions = {{.seq = 1,
                        .reason = TransitionReason::Opened,
                        .before = SiteState::Up,
                        .after = SiteState::SeemsDown,
                        .at = began,
                        .failures = 1,
                        .evidence = evidence},
                       {.seq = 2,
                        .reason = TransitionReason::Confirmed,
                        .before = SiteState::SeemsDown,
                        .after = SiteState::Down,
                        .at = began,
                        .failures = 2,
                        .evidence = evidence}};
  return write;
}

// A store that takes nothing for so long is not there any more.
constexpr core::Duration kCommitFor = 1min;

// Commits one outage after the other, the first site's first, as the phases say.
void produce(const SenderTask& task, db::Store& store,
             const std::unique_ptr<app::Notifier>& notifier) {
  app::ToldEvents events(must(store.make_event_store()), notifier);
  Record record(task.record);
  const core::SystemClock clock;
  const auto now = [&] { return core::to_seconds(clock.steady().time_since_epoch()); };
  std::uint64_t made = 0;
  double begun = now();
  for (const Phase& phase : phases_of(task.outages)) {
    const std::uint64_t before = made;
    const std::uint64_t all = before + count_of(phase);
    while (made < all) {
      const auto due = static_cast<std::uint64_t>(phase.per_second * (now() - begun));
      const std::uint64_t until = phase.seconds == 0 ? all : std::min(all, before + due);
      std::vector<sideeffects::EventWrite> writes;
      while (made < until && writes.size() < 100)
        writes.push_back(outage(core::SiteId{++made}, clock.wall()));
      if (writes.empty()) {
        clock.sleep_for(2ms);
        continue;
      }
      const core::SteadyTime give_up_at = clock.steady() + kCommitFor;
      while (true) {
        const core::Result<void> committed = events.commit(writes);
        if (committed) break;
        if (clock.steady() > give_up_at) {
          std::fprintf(stderr, "not committed: %s\n", committed.error().message.c_str());
          std::_Exit(3);  // Not the main thread.
        }
        clock.sleep_for(10ms);
      }
      record.line(now(), " ", writes.size());
    }
    if (phase.seconds != 0) begun += phase.seconds;
  }
}

sideeffects::NotifyTarget target_of(const SenderTask& task, const std::string& name) {
  sideeffects::NotifyTarget target;
  target.channel.name = name;
  target.channel.url = "http://127.0.0.1:" + std::to_string(task.port) + "/";
  target.channel.allow = {"127.0.0.0/8"};
  target.in_flight_max = task.in_flight;
  target.rate = {.per_minute = task.per_minute, .burst = task.burst};
  return target;
}
std::vector<std::string> names_of(const SenderTask& task) {
  if (task.targets == 1) return {"ops"};
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < task.targets; ++i) names.push_back("t" + std::to_string(i));
  return names;
}

Json said(const sideeffects::DeliveryStats& stats) {
  const auto& attempts = stats.attempts.at(0);
  const auto of = [&](sideeffects::SendOutcome outcome) {
    return attempts.at(static_cast<std::size_t>(outcome)).value();
  };
  return {{"delivered", of(sideeffects::SendOutcome::Delivered)},
          {"refused", of(sideeffects::SendOutcome::Retry)},
          {"dead", stats.dead.value()},
          {"snoozed", stats.snoozed.value()},
          {"stale", stats.stale.value()},
          {"errors", stats.errors.value()}};
}

// Made when every thread of ours leaves SIGTERM to us.
class Ending {
 public:
  Ending() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  void wait() const {
    int signal = 0;
    sigwait(&set_, &signal);
  }
  [[nodiscard]] bool asked() const {
    const timespec none{};
    return sigtimedwait(&set_, nullptr, &none) == SIGTERM;
  }

 private:
  sigset_t set_{};
};

Json tell(const SenderTask& task, db::Store& store, std::uint64_t run, const Ending& ending) {
  const core::SystemClock clock;
  ErrorsOnly log;
  const auto notifier = must(app::Notifier::make(
      {.targets = {target_of(task, "ops")}, .node = task.node, .run = run, .user_agent = task.node},
      store, clock, log));
  notifier->start();
  Record(record_of(task)).line("up");
  std::thread producer;
  if (!task.outages.empty()) producer = std::thread([&] { produce(task, store, notifier); });
  ending.wait();
  if (producer.joinable()) producer.join();
  notifier->stop(clock.steady() + 5s);
  return said(notifier->reading().deliveries);
}

Json refuse(const SenderTask& task, db::Store& store, std::uint64_t run, const Ending& ending) {
  const core::SystemClock clock;
  const auto queue = must(store.make_delivery_queue());
  FakeChannels channels(clock);
  auto targets = std::make_shared<sideeffects::NotifyTargets>();
  for (const std::string& name : names_of(task)) {
    sideeffects::NotifyTarget target = target_of(task, name);
    target.retry = {.kind = sideeffects::RetryKind::FullJitter, .base = 1h, .cap = 1h};
    targets->push_back(target);
    channels.script(name, [](const auto&) {
      return FakeChannels::Answer{{.outcome = sideeffects::SendOutcome::Retry, .status = 503}, {}};
    });
  }
  sideeffects::DeliveryWorker::Settings settings;
  settings.claimer = {.node = task.node, .run = run};
  settings.circuit.failures = settings.circuit.share_of = 1'000'000;  // It is not the question.
  sideeffects::DeliveryWorker worker(settings, *queue, channels, targets, clock, run);
  Record(record_of(task)).line("up");
  while (!ending.asked()) {
    worker.turn(clock.steady());
    if (!channels.answer()) clock.sleep_for(5ms);
  }
  worker.drain();
  worker.turn(clock.steady());
  return said(worker.stats());
}

Json drain(const SenderTask& task, db::Store& store, std::uint64_t run, const Ending& ending) {
  const core::SystemClock clock;
  const auto queue = must(store.make_delivery_queue());
  const sideeffects::Claimer claimer{.node = task.node, .run = run};
  (void)must(queue->release_former(claimer));
  const std::vector<std::string> names = names_of(task);
  std::vector<sideeffects::Want> wants;
  for (const std::string& name : names) wants.push_back({.target = name, .room = task.room});
  Record record(record_of(task));
  record.line("up");
  std::vector<double> claims_ms;
  std::uint64_t finished = 0;
  std::uint64_t lost = 0;
  while (!ending.asked()) {
    const core::SteadyTime begin = clock.steady();
    const auto claimed = must(queue->claim(wants, 1min, claimer));
    if (claimed.deliveries.empty()) {
      clock.sleep_for(5ms);
      continue;
    }
    claims_ms.push_back(1000 * core::to_seconds(clock.steady() - begin));
    std::vector<sideeffects::Finish> all;
    for (const sideeffects::Delivery& one : claimed.deliveries)
      all.push_back({.id = one.id, .token = one.token, .verdict = sideeffects::Delivered{}});
    const auto not_ours = must(queue->finish(all));
    lost += not_ours.size();
    std::string ids;
    for (const sideeffects::Finish& one : all) {
      if (std::find(not_ours.begin(), not_ours.end(), one.id) != not_ours.end()) continue;
      ++finished;
      ids += (ids.empty() ? "" : "\n") + std::to_string(one.id.value);
    }
    if (!ids.empty()) record.line(ids);
  }
  std::sort(claims_ms.begin(), claims_ms.end());
  const auto share = [&](double of) {
    const auto at = static_cast<std::size_t>(of * static_cast<double>(claims_ms.size()));
    return claims_ms.empty() ? 0 : claims_ms[std::min(at, claims_ms.size() - 1)];
  };
  return {{"finished", finished},
          {"lost", lost},
          {"claims", claims_ms.size()},
          {"claim_ms_median", share(0.5)},
          {"claim_ms_p99", share(0.99)}};
}

}  // namespace

std::uint64_t outages_of(const std::string& phases) {
  std::uint64_t all = 0;
  for (const Phase& phase : phases_of(phases)) all += count_of(phase);
  return all;
}

SenderTask task_of(const std::vector<std::string>& words) {
  const auto number = [&](std::size_t at) {
    return static_cast<std::uint32_t>(std::stoul(words.at(at)));
  };
  return {.what = static_cast<SenderTask::What>(number(0)),
          .store = words.at(1),
          .node = words.at(2),
          .port = static_cast<int>(number(3)),
          .in_flight = number(4),
          .per_minute = number(5),
          .burst = number(6),
          .outages = words.at(7),
          .record = words.at(8),
          .room = number(9),
          .targets = number(10)};
}

int run(const SenderTask& task) {
  try {
    const Ending ending;
    const auto store = must(db::open_store(task.store));
    const auto run =
        static_cast<std::uint64_t>(core::SystemClock().wall().time_since_epoch().count());
    Json did;
    switch (task.what) {
      case SenderTask::What::Tell:
        did = tell(task, *store, run, ending);
        break;
      case SenderTask::What::Refuse:
        did = refuse(task, *store, run, ending);
        break;
      case SenderTask::What::Drain:
        did = drain(task, *store, run, ending);
        break;
    }
    std::printf("%s\n", did.dump().c_str());
    return 0;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return 3;
  }
}

}  // namespace watchwheel::testing
