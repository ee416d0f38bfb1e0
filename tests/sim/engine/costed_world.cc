// SPDX-License-Identifier: Apache-2.0
#include "costed_world.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "core/ensure.h"

namespace watchwheel::sim {

using core::Cause;
using core::Duration;
using core::SteadyTime;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kEventsPerTurn = 512;
constexpr Duration kCallMost = 10ms;
constexpr Duration kTimeout = 10s;
constexpr std::size_t kTimersWaitBatches = 4;

std::uint64_t site_of(std::string_view url) {
  std::uint64_t site = 0;
  const std::string_view digits = url.substr(std::string_view("http://s").size());
  std::from_chars(digits.data(), digits.data() + digits.size(), site);
  return site;
}

}  // namespace

class CostedWorld::Prober final : public checker::Prober {
 public:
  Prober(const CostedSettings& settings, const core::ManualClock& clock, const double& cost_factor)
      : settings_(settings), clock_(clock), cost_factor_(cost_factor) {}
  void report_to(checker::ResultHandler& handler) { handler_ = &handler; }

  core::Result<checker::PlanRef> prepare(const core::CheckOptions&) override {
    // Never looked into; only an object to hold.
    return checker::PlanRef(std::make_shared<int>(0), reinterpret_cast<checker::ProbePlan*>(this));
  }
  checker::Start start(checker::ProbeToken token, std::string_view url, const checker::PlanRef&,
                       SteadyTime now) override {
    if (in_flight_ >= limit_) return checker::Start::Full;
    if (free_.empty()) {
      free_.push_back(probes_.size());
      probes_.emplace_back();
    }
    const std::size_t index = free_.back();
    free_.pop_back();
    Probe& probe = probes_[index];
    const bool silent = settings_.silent_every != 0 && site_of(url) % settings_.silent_every == 0;
    probe = {.token = token,
             .uses = probe.uses + 1,
             .started = now,
             .left = settings_.costs.events,
             .silent = silent,
             .used = true};
    fresh_.push_back(index);
    deadlines_.push({now + kTimeout, index, probe.uses});
    ++in_flight_;
    return checker::Start::Started;
  }
  void cancel_all(SteadyTime) override {}
  void set_in_flight_limit(std::size_t limit) override { limit_ = limit; }
  std::size_t in_flight() const override { return in_flight_; }

  bool behind() const { return more_; }

  void turn(SteadyTime now) {
    std::vector<std::size_t> begun;
    begun.swap(fresh_);
    for (const std::size_t index : begun) {
      spend(settings_.costs.start);
      if (!probes_[index].silent) wait_for_next(index);
    }
    const std::size_t events = run_events();
    seen_since_timers_ += events;
    ++calls_since_timers_;
    const bool wait =
        settings_.answers_first
            ? seen_since_timers_ <= std::max(kTimersWaitBatches * kEventsPerTurn, in_flight_)
            : calls_since_timers_ <= kTimersWaitBatches;
    if (more_ && wait) return;
    seen_since_timers_ = 0;
    calls_since_timers_ = 0;
    for (std::size_t i = 0; i < kEventsPerTurn && expire_one(now);) ++i;
  }

  std::optional<SteadyTime> next() const {
    if (!fresh_.empty() || more_) return clock_.steady();
    std::optional<SteadyTime> next;
    if (!events_.empty()) next = events_.top().at;
    if (!deadlines_.empty() && (!next || deadlines_.top().at < *next)) next = deadlines_.top().at;
    return next;
  }

 private:
  struct Probe {
    checker::ProbeToken token = 0;
    std::uint64_t uses = 0;
    SteadyTime started;
    std::uint32_t left = 0;
    bool silent = false;
    bool used = false;
  };
  struct Timed {
    SteadyTime at;
    std::size_t index = 0;
    std::uint64_t uses = 0;
    bool operator<(const Timed& other) const { return at > other.at; }
  };

  void spend(Duration cost) {
    clock_.advance(std::chrono::nanoseconds{
        static_cast<std::int64_t>(static_cast<double>(cost.count()) * cost_factor_)});
  }
  void wait_for_next(std::size_t index) {
    events_.push({clock_.steady() + settings_.step, index, probes_[index].uses});
  }
  // As the reactor: a batch is what is ready when it is fetched.
  std::size_t run_events() {
    const SteadyTime fetched_at = clock_.steady();
    const SteadyTime until = fetched_at + kCallMost;
    std::size_t handled = 0;
    while (handled < kEventsPerTurn && !events_.empty() && events_.top().at <= fetched_at) {
      const Timed event = events_.top();
      events_.pop();
      ++handled;
      if (alive(event)) advance(event.index);
      if (settings_.answers_first && clock_.steady() >= until) break;
    }
    more_ = !events_.empty() && events_.top().at <= fetched_at;
    return handled;
  }
  void advance(std::size_t index) {
    spend(settings_.costs.event);
    Probe& probe = probes_[index];
    if (--probe.left > 0) {
      wait_for_next(index);
    } else {
      finish(index, Cause::Ok);
    }
  }
  bool expire_one(SteadyTime now) {
    while (!deadlines_.empty() && !alive(deadlines_.top())) deadlines_.pop();
    if (deadlines_.empty() || deadlines_.top().at > now) return false;
    const Timed due = deadlines_.top();
    deadlines_.pop();
    spend(settings_.costs.event);
    finish(due.index, Cause::HttpTimeout);
    return true;
  }
  bool alive(const Timed& one) const {
    return probes_[one.index].used && probes_[one.index].uses == one.uses;
  }
  void finish(std::size_t index, Cause cause) {
    Probe& probe = probes_[index];
    probe.used = false;
    free_.push_back(index);
    --in_flight_;
    core::ProbeResult result;
    result.cause = cause;
    result.started = probe.started;
    result.started_at = clock_.wall();
    result.timings.total = clock_.steady() - probe.started;
    handler_->on_result(probe.token, std::move(result));
  }

  const CostedSettings& settings_;
  const core::ManualClock& clock_;
  const double& cost_factor_;
  checker::ResultHandler* handler_ = nullptr;
  std::vector<Probe> probes_;
  std::vector<std::size_t> free_;
  std::vector<std::size_t> fresh_;
  std::priority_queue<Timed> events_;
  std::priority_queue<Timed> deadlines_;
  std::size_t limit_ = 0;
  std::size_t in_flight_ = 0;
  std::size_t seen_since_timers_ = 0;
  std::size_t calls_since_timers_ = 0;
  bool more_ = false;
};

CostedWorld::CostedWorld(const CostedSettings& settings)
    : settings_(settings), prober_(std::make_unique<Prober>(settings_, clock_, cost_factor_)) {
  app::LaneSettings lane;
  lane.admission.descriptors = 100'000;
  lane.jitter_seed = 7;
  app::LanePorts ports{
      .inbox = &inbox_, .notes = {&notes_}, .shards = {{&mailbox_, [] {}}}, .marks = &marks_};
  lane_ = std::make_unique<app::Lane>(lane, std::move(ports), clock_.steady(), clock_.wall());
  lane_->attach(*prober_);
  prober_->report_to(*lane_);
  meant_ = clock_.steady();
  load();
}

CostedWorld::~CostedWorld() = default;

void CostedWorld::load() {
  const auto options = std::make_shared<const core::CheckOptions>();
  for (std::uint64_t site = 1; site <= settings_.sites; ++site) {
    app::LaneMessage message;
    message.kind = app::LaneMessage::Kind::Put;
    message.id = core::SiteId{site};
    message.url = "http://s" + std::to_string(site) + ".test/";
    message.interval = settings_.interval;
    message.active = true;
    message.options = options;
    // Known before, so that each begins at its own phase.
    message.last_checked_at = clock_.wall();
    while (!inbox_.offer(std::move(message))) lane_->turn(clock_.steady(), clock_.wall());
  }
}

void CostedWorld::turn() {
  const SteadyTime now = clock_.steady();
  lane_->begin_turn(now, clock_.wall());
  if (const auto lag = std::max(now - meant_, took_); lag > Duration::zero())
    lane_->note_loop_lag(lag, now);
  prober_->turn(now);
  if (settings_.answers_first) lane_->note_answers_left(prober_->behind());
  lane_->turn(now, clock_.wall());
  core::FreshnessMark mark;
  while (marks_.take(mark)) {
  }
  const SteadyTime after = clock_.steady();
  took_ = after - now;
  longest_turn_ = std::max(longest_turn_, took_);
  SteadyTime next = std::max(lane_->next_turn(after), after + 1ms);
  if (const auto ready = prober_->next()) next = std::min(next, std::max(*ready, after));
  meant_ = next;
  if (next > after) clock_.advance(next - after);
}

void CostedWorld::run_for(Duration how_long) {
  const SteadyTime end = clock_.steady() + how_long;
  while (clock_.steady() < end) turn();
}

std::uint64_t CostedWorld::results(Cause cause) const {
  return lane_->stats().results[static_cast<std::size_t>(cause)].value();
}

std::uint64_t CostedWorld::done() const {
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < core::kCauseCount; ++i) {
    const auto cause = static_cast<Cause>(i);
    if (core::outcome_of(cause) != core::Outcome::NotMeasured) done += results(cause);
  }
  return done;
}

std::size_t CostedWorld::in_flight() const {
  return prober_->in_flight();
}

}  // namespace watchwheel::sim
