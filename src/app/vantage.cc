// SPDX-License-Identifier: Apache-2.0
#include "app/vantage.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "app/result_words.h"

namespace watchwheel::app {

using core::Cause;
using core::Duration;
using core::VantageReason;
using core::VantageState;
using core::WallTime;
using namespace std::chrono_literals;

namespace {

constexpr Duration kTick = 250ms;
// A canary is near and always up: what takes longer has failed.
constexpr Duration kCanaryTimeout = 4s;
constexpr Duration kCanaryConnect = 3s;
constexpr std::uint64_t kCanaryBody = 64 * 1024;
// How often an open fault is told again, for the count of what it withheld.
constexpr Duration kTellEvery = 60s;
// A mass outage that was growing so shortly before the start, and grows so soon after it, is one.
constexpr Duration kGoesOnWithin = 5min;

// As every site is asked by default, but that a canary need only answer.
core::CheckOptions canary_options(core::CheckOptions options) {
  options.timeout = std::min(options.timeout, kCanaryTimeout);
  options.connect_timeout = std::min({options.connect_timeout, options.timeout, kCanaryConnect});
  options.latency_warning = {};
  options.keyword.clear();
  options.forbidden.clear();
  options.body_match.clear();
  options.body_not_match.clear();
  options.json_equals.clear();
  options.expect_header.clear();
  options.size_min_bytes = 0;
  options.size_max_bytes = 0;
  options.detect_error_pages = false;
  options.max_body_bytes = std::min(options.max_body_bytes, kCanaryBody);
  return options;
}

sideeffects::VantagePolicy policy_of(const VantageSettings& settings) {
  return {.failure_share = settings.failure_share, .has_canaries = !settings.canaries.empty()};
}

WallTime whole_ms(WallTime at) {
  return core::from_unix_ms(core::to_unix_ms(at));
}

// The counters only rise; what wraps is the difference of what fits 32 bits.
std::uint32_t difference(const core::Counter& now, std::uint32_t& before) {
  const auto value = static_cast<std::uint32_t>(now.value());
  return value - std::exchange(before, value);
}

}  // namespace

Vantage::Vantage(const VantageSettings& settings, std::vector<const core::VantageTally*> lanes,
                 core::VantageGate& gate, Record record, Log& log, core::SteadyTime now,
                 WallTime wall)
    : lanes_(std::move(lanes)),
      gate_(gate),
      record_(std::move(record)),
      log_(log),
      judge_(policy_of(settings), now),
      before_(lanes_.size()),
      now_(now),
      wall_(wall),
      next_tick_(now),
      since_(wall) {
  set(settings);
}

void Vantage::set(const VantageSettings& settings) {
  const bool same_list = settings.canaries == settings_.canaries;
  const bool same_options = settings.options == settings_.options;
  settings_ = settings;
  judge_.set_policy(policy_of(settings_));
  if (!same_options) plan_.reset();
  if (same_list) return;
  ++generation_;
  round_open_ = false;
  last_round_ = core::kNoSteadyTime;
  canaries_.clear();
  for (const std::string& url : settings_.canaries) {
    if (canaries_.size() == kCanariesMax) break;
    canaries_.push_back({.reading = {.url = url}});
  }
}

void Vantage::go_on_with(WallTime group, WallTime newest) {
  if (wall_ - newest > kGoesOnWithin) return;
  group_before_ = group;
  group_before_until_ = now_ + kGoesOnWithin;
}

void Vantage::turn(core::SteadyTime now, WallTime wall) {
  now_ = now;
  wall_ = wall;
  if (now < next_tick_) return;
  next_tick_ = now + kTick;
  const VantageState before = judge_.state();
  const auto looks = take_looks();
  seen_ = judge_.recent();  // A change may forget it.
  judge_.tick(looks, now);
  if (judge_.state() == before) seen_ = judge_.recent();
  if (judge_.state() != before) follow(before);
  if (fault_ && now - fault_told_ >= kTellEvery) {
    fault_told_ = now;
    fault_->withheld = withheld() - withheld_before_;
    record_(*fault_);
  }
  publish();
  const auto round = judge_.next_round(last_round_);
  if (!round_open_ && round && *round <= now) begin_round();
}

// ---- Canaries ----

void Vantage::begin_round() {
  // One that takes longer than the others is waited for: at most its timeout.
  const auto is_asking = [](const Canary& canary) { return canary.asking; };
  if (canaries_.empty() || std::any_of(canaries_.begin(), canaries_.end(), is_asking)) return;
  last_round_ = now_;
  round_open_ = true;
  round_failed_ = 0;
  round_resolver_ = 0;
  round_left_ = static_cast<std::uint32_t>(canaries_.size());
  const bool ready = prepare();
  for (std::size_t i = 0; i < canaries_.size(); ++i) {
    canaries_[i].in_round = true;
    if (ready) {
      start(i);
    } else {
      answered(canaries_[i], Cause::TargetInvalid);
    }
  }
  end_round_when_decided();
}

bool Vantage::prepare() {
  if (plan_) return true;
  auto plan = prober_->prepare(canary_options(settings_.options));
  if (plan) {
    plan_ = *std::move(plan);
    return true;
  }
  log_.warn(fmt::format("canaries_not_asked error=\"{}\"", plan.error().message));
  return false;
}

void Vantage::start(std::size_t canary) {
  const checker::ProbeToken token = static_cast<std::uint64_t>(generation_) << 32U | canary;
  canaries_[canary].asking = true;
  if (prober_->start(token, canaries_[canary].reading.url, plan_, now_) == checker::Start::Started)
    return;
  canaries_[canary].asking = false;
  answered(canaries_[canary], Cause::LocalResources);
}

void Vantage::on_result(checker::ProbeToken token, core::ProbeResult&& result) noexcept {
  if (token >> 32U != generation_) return;
  Canary& canary = canaries_[token & 0xffff'ffffU];
  canary.asking = false;
  answered(canary, result.cause);
  end_round_when_decided();
}

void Vantage::answered(Canary& canary, Cause cause) {
  if (cause == Cause::Cancelled) return;  // We stop.
  const bool ok = cause == Cause::Ok;
  canary.reading.asked = true;
  canary.reading.ok = ok;
  canary.reading.cause = cause;
  canary.reading.checked_at = wall_;
  (ok ? stats_.canaries_ok : stats_.canaries_failed).add();
  if (ok != std::exchange(canary.ok_before, ok)) {
    const std::string line =
        fmt::format("canary_{} url=\"{}\" cause={}", ok ? "recovered" : "failed",
                    without_userinfo(canary.reading.url), core::to_string(cause));
    ok ? log_.info(line) : log_.warn(line);
  }
  if (!round_open_ || !std::exchange(canary.in_round, false)) return;
  --round_left_;
  if (!ok) ++round_failed_;
  if (cause == Cause::ResolverUnreachable) ++round_resolver_;
}

// As soon as nothing that still comes can change it.
void Vantage::end_round_when_decided() {
  if (!round_open_) return;
  const auto asked = static_cast<std::uint32_t>(canaries_.size());
  const std::uint32_t passed = asked - round_left_ - round_failed_;
  const bool decided = passed * 2 >= asked || round_failed_ * 2 > asked || round_left_ == 0;
  if (!decided) return;
  round_open_ = false;
  for (Canary& canary : canaries_) canary.in_round = false;
  const bool has_passed = passed * 2 >= asked;
  judge_.on_round({.began = last_round_,
                   .asked = asked,
                   .failed = has_passed ? round_failed_ : std::max(round_failed_, asked - passed),
                   .resolver = round_resolver_ * 2 > round_failed_});
}

// ---- What the lanes counted ----

sideeffects::VantageLooks Vantage::take_looks() {
  sideeffects::VantageLooks looks;
  double held = 0;
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    const core::VantageTally& tally = *lanes_[lane];
    sideeffects::VantageLooks& before = before_[lane];
    for (std::size_t i = 0; i < core::kVantageCells; ++i) {
      looks.cells[i].up += difference(tally.cells[i].up, before.cells[i].up);
      looks.cells[i].failed += difference(tally.cells[i].failed, before.cells[i].failed);
      looks.cells[i].failed_first +=
          difference(tally.cells[i].failed_first, before.cells[i].failed_first);
    }
    for (std::size_t i = 0; i < core::kOurTroubles; ++i) {
      const std::uint64_t value = tally.ours[i].value();
      looks.ours[i] += value - std::exchange(before.ours[i], value);
    }
    const std::uint64_t results = tally.results.value();
    looks.results += results - std::exchange(before.results, results);
    held += tally.held.value();
  }
  looks.held = static_cast<std::uint64_t>(held);
  return looks;
}

std::uint64_t Vantage::withheld() const {
  std::uint64_t sum = 0;
  for (const core::VantageTally* tally : lanes_) {
    for (const core::Counter& count : tally->withheld) sum += count.value();
  }
  return sum;
}

// ---- What follows from a change ----

void Vantage::follow(VantageState before) {
  const VantageState state = judge_.state();
  since_ = wall_;
  if (fault_ && state != VantageState::Fault) {
    fault_->ended_at = std::max(whole_ms(wall_), fault_->started_at);
    fault_->withheld = withheld() - withheld_before_;
    record_(*fault_);
    fault_.reset();
  }
  if (state == VantageState::Doubt) stats_.doubts.add();
  if (state == VantageState::Fault) {
    stats_.faults.add();
    withheld_before_ = withheld();
    fault_told_ = now_;
    fault_ = sideeffects::VantageEvent{.started_at = whole_ms(wall_),
                                       .ended_at = core::kNoWallTime,
                                       .reason = std::string(core::to_string(judge_.reason())),
                                       .detail = {},
                                       .withheld = 0};
    const auto failed = std::count_if(canaries_.begin(), canaries_.end(), [](const Canary& canary) {
      return canary.reading.asked && !canary.reading.ok;
    });
    fault_->detail = canaries_.empty()
                         ? "no canaries are configured that could settle it"
                         : fmt::format("{} of {} canaries failed", failed, canaries_.size());
    fault_->detail += fmt::format("; {} of {} networks failing", seen_.failing, seen_.seen);
    record_(*fault_);
  }
  if (state == VantageState::MassOutage && group_ == core::kNoWallTime) {
    stats_.mass_outages.add();
    group_ = whole_ms(wall_);
    const WallTime before_us = std::exchange(group_before_, core::kNoWallTime);
    if (before_us != core::kNoWallTime && now_ <= group_before_until_) group_ = before_us;
  }
  // A doubt in the middle of a mass outage does not make two of it.
  if (state == VantageState::Healthy || state == VantageState::Fault) group_ = core::kNoWallTime;
  say(before);
}

void Vantage::say(VantageState before) {
  const std::string line = fmt::format(
      "vantage_{} before={} reason={} failure_share={:.2f} networks_failing={} networks_seen={} "
      "canaries={}",
      core::to_string(judge_.state()), core::to_string(before), core::to_string(judge_.reason()),
      seen_.share, seen_.failing, seen_.seen, canaries_.size());
  switch (judge_.state()) {
    case VantageState::Fault:
      log_.error(line + (canaries_.empty() ? " action=hold_failures remedy=\"set vantage.canaries\""
                                           : " action=hold_failures"));
      break;
    case VantageState::MassOutage:
      log_.error(line + " action=report");
      break;
    case VantageState::Doubt:
      log_.warn(line);
      break;
    case VantageState::Healthy:
      log_.info(line);
      break;
  }
}

void Vantage::publish() {
  const bool mass = judge_.state() == VantageState::MassOutage;
  gate_.publish({.state = judge_.state(),
                 .reason = judge_.reason(),
                 .cleared = judge_.cleared(),
                 .blind_until = judge_.blind_until(),
                 .group = mass ? group_ : core::kNoWallTime});
}

VantageReading Vantage::reading() const {
  VantageReading reading{.state = judge_.state(),
                         .reason = judge_.reason(),
                         .since = since_,
                         .failure_share = seen_.share,
                         .networks_failing = seen_.failing,
                         .networks_seen = seen_.seen,
                         .canaries_trusted = judge_.canaries_trusted(),
                         .canaries = {},
                         .group = group_};
  for (const Canary& canary : canaries_) reading.canaries.push_back(canary.reading);
  return reading;
}

}  // namespace watchwheel::app
