// SPDX-License-Identifier: Apache-2.0
#include "app/lane_thread.h"

#include <pthread.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <string>
#include <thread>

#include "app/run_delay.h"
#include "app/turn_rhythm.h"

namespace watchwheel::app {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

// The pacer may want to start a check every few hundred microseconds; waking for each would cost
// more than the checks.
constexpr core::Duration kShortestWait = 1ms;
// How often the kernel is asked how long we waited for a processor.
constexpr core::Duration kRunDelayEvery = 20ms;

}  // namespace

struct LaneThread::Parts {
  Parts(const LaneSettings& lane_settings, const checker::Settings& wanted, LanePorts ports,
        const core::Clock& time)
      : clock(time),
        checker_settings(wanted),
        number(lane_settings.number),
        lane(lane_settings, std::move(ports), time.steady(), time.wall()) {}
  // However it ended: the descriptor is the checker's to close, and by the second time it may be another thread's.
  ~Parts() {
    if (descriptor) descriptor->release();
  }

  const core::Clock& clock;
  const checker::Settings checker_settings;
  const std::uint32_t number;
  Lane lane;
  std::unique_ptr<checker::Checker> checker;
  asio::io_context io{1};
  // Between the end of one wait and the next there is no work, and a context without work stops for
  // good: the loop then spun without ever waiting.
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::unique_ptr<asio::posix::stream_descriptor>
      descriptor;  // Wraps the checker's epoll descriptor; does not own it.
  bool waiting_readable = false;
  std::atomic<bool> wake_pending{false};
  std::atomic<bool> admission_closed{false};
  std::atomic<bool> stopping{false};
  std::thread thread;

  void wait_readable();
  void wait_until(core::SteadyTime earliest, core::SteadyTime latest, core::SteadyTime now);
  void loop() noexcept;
};

// Asio tells when the epoll descriptor has something; the turn that follows takes it. Armed again only
// after that turn: the descriptor stays readable until then, and a handler that armed itself again at
// once kept poll() busy for ever.
void LaneThread::Parts::wait_readable() {
  if (waiting_readable) return;
  waiting_readable = true;
  descriptor->async_wait(asio::posix::stream_descriptor::wait_read,
                         [this](const boost::system::error_code&) { waiting_readable = false; });
}

// Until `earliest` whatever comes, then until something has come or it is `latest`.
void LaneThread::Parts::wait_until(core::SteadyTime earliest, core::SteadyTime latest,
                                   core::SteadyTime now) {
  if (earliest > now) {
    clock.sleep_for(earliest - now);
    now = clock.steady();
  }
  if (latest > now) io.run_one_for(latest - now);
  io.poll();
}

void LaneThread::Parts::loop() noexcept {
  const std::string name = "lane-" + std::to_string(number);
  pthread_setname_np(pthread_self(), name.c_str());
  checker->warm_up();
  core::SteadyTime meant = clock.steady();  // When this turn was to begin at the latest.
  core::Duration took{};  // The turn before: answers waited meanwhile, so it is lag too.
  RunDelay run_delay;
  core::SteadyTime run_delay_read = meant;
  while (!stopping.load()) {
    const core::SteadyTime now = clock.steady();
    const core::WallTime wall = clock.wall();
    lane.begin_turn(now, wall);
    core::Duration lag = std::max(now - meant, took);
    if (now - run_delay_read >= kRunDelayEvery) {
      lag = std::max(lag, run_delay.since_last());
      run_delay_read = now;
    }
    if (lag > core::Duration::zero()) lane.note_loop_lag(lag, now);
    if (admission_closed.load()) lane.close_admission();
    wake_pending.store(
        false);  // Before the rings are read: a wake that comes later makes another turn.
    const checker::ReactorWaits waits = checker->answers_wait();
    lane.note_answers_wait(waits.ended, waits.since);
    checker->turn(now);
    lane.note_answers_left(checker->behind());
    lane.note_dials_without_port(checker->stats().dials_without_port.value());
    lane.turn(now, wall);

    const core::SteadyTime after = clock.steady();
    took = after - now;
    lane.note_turn(took);
    core::SteadyTime next = std::max(lane.next_turn(after), after + kShortestWait);
    if (const auto deadline = checker->next_deadline()) {
      next = std::min(next, std::max(*deadline, after));
    }
    const core::SteadyTime earliest = TurnRhythm::earliest(
        now, lane.scheduler().required_per_second(), checker->behind());
    next = std::max(next, earliest);
    meant = next;
    wait_readable();
    wait_until(earliest, next, after);
  }
  const core::SteadyTime now = clock.steady();
  checker->cancel_all(now);
  checker->turn(now);
}

LaneThread::LaneThread(const LaneSettings& settings, const checker::Settings& checker_settings,
                       LanePorts ports, const core::Clock& clock)
    : parts_(std::make_unique<Parts>(settings, checker_settings, std::move(ports), clock)) {}

LaneThread::~LaneThread() {
  stop();
}

core::Result<void> LaneThread::start() {
  auto made = checker::Checker::make(parts_->checker_settings, parts_->clock, parts_->lane);
  if (!made) return made.error();
  parts_->checker = *std::move(made);
  parts_->lane.attach(*parts_->checker);
  parts_->descriptor =
      std::make_unique<asio::posix::stream_descriptor>(parts_->io, parts_->checker->descriptor());
  parts_->thread = std::thread([this] { parts_->loop(); });
  return {};
}

void LaneThread::wake() {
  if (!parts_->wake_pending.exchange(true)) asio::post(parts_->io, [] {});
}

void LaneThread::close_admission() {
  parts_->admission_closed.store(true);
  wake();
}

void LaneThread::stop() {
  if (!parts_->thread.joinable()) return;
  parts_->stopping.store(true);
  asio::post(parts_->io, [] {});
  parts_->thread.join();
}

const Lane& LaneThread::lane() const {
  return parts_->lane;
}
const checker::Stats& LaneThread::checker_stats() const {
  return parts_->checker->stats();
}

}  // namespace watchwheel::app
