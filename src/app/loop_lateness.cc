// SPDX-License-Identifier: Apache-2.0
#include "app/loop_lateness.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <utility>

namespace watchwheel::app {
namespace {

using core::Cause;
using core::Duration;
using core::SteadyTime;
using namespace std::chrono_literals;

// One so long that servers may have hung up on us meanwhile.
constexpr Duration kStall = 2s;
constexpr int kShareOfTimeout = 10;
constexpr Duration kLeast = 50ms;
// A name is decided within 3 s, and silence about it is remembered for a second: a check may be told of a silence
// that was found out, by us and late, before it began.
constexpr Duration kDnsDecided = 3s;
constexpr Duration kDnsLooksBack = 4s;

std::int64_t number_of(SteadyTime at) {
  return at.time_since_epoch() / LoopLateness::kWindow;
}

// How long a phase was allowed to take, how often it waits for the loop, and since when lateness matters to it.
struct Allowance {
  Duration time;
  std::size_t steps;
  Duration before{};
};

// Nothing: not a timeout.
std::optional<Allowance> allowance_of(Cause cause, const core::CheckOptions& options) {
  switch (cause) {
    case Cause::DnsTimeout:
      return Allowance{std::min<Duration>(kDnsDecided, options.timeout), 2, kDnsLooksBack};
    case Cause::ConnectTimeout:
      return Allowance{std::min<Duration>(options.connect_timeout, options.timeout), 2};
    case Cause::TlsTimeout:
    case Cause::HttpTimeout:
    case Cause::BodyTimeout:
      return Allowance{options.timeout, LoopLateness::kStepsMost};
    default:
      return std::nullopt;
  }
}

// What a connection ends with when the server gave up on a client that did not move.
bool is_giving_up(const core::ProbeResult& result) {
  switch (result.cause) {
    case Cause::ConnectReset:
    case Cause::TlsHandshake:
    case Cause::HttpClosed:
    case Cause::BodyTruncated:
      return true;
    case Cause::HttpStatus:
      return result.http_status == 408;
    default:
      return false;
  }
}

// What lateness can have cost a silent server: what passed until it was asked, for its answer is read before its deadline is looked at.
// But not when we stood still: then the whole machine may have, and answers were lost. Nothing: no such bound.
std::optional<Duration> cost_most(const core::ProbeResult& result, const LoopLateness& loop) {
  if (result.phase != core::Phase::FirstByte || !result.asked) return std::nullopt;
  if (loop.cost_since(result.started, 1) >= kStall) return std::nullopt;
  return *result.asked + loop.waiting();
}

}  // namespace

void LoopLateness::note(Duration absence, SteadyTime until) {
  absence -= kBusyTurn;
  if (absence < 1ms) return;
  const std::int64_t number = number_of(until);
  Window& window = windows_[static_cast<std::size_t>(number) % windows_.size()];
  if (window.number != number) {
    window = {number, absence, until};
  } else {
    window.longest = std::max(window.longest, absence);
    window.until = until;
  }
  last_ = std::max(last_, number);
}

void LoopLateness::note_waiting(SteadyTime since, SteadyTime now) {
  waiting_ = since == core::kNoSteadyTime ? Duration::zero()
                                          : std::max(Duration::zero(), now - since - kBusyTurn);
}

Duration LoopLateness::cost_since(SteadyTime from, std::size_t steps) const {
  std::array<Duration, kStepsMost> longest{waiting_};  // The largest first.
  const auto most = static_cast<std::int64_t>(windows_.size());
  for (std::int64_t n = std::max(number_of(from), last_ - most + 1); n <= last_; ++n) {
    const Window& window = windows_[static_cast<std::size_t>(n) % windows_.size()];
    if (window.number != n || window.until < from || window.longest <= longest.back()) continue;
    longest.back() = window.longest;
    for (std::size_t i = longest.size() - 1; i > 0 && longest[i] > longest[i - 1]; --i)
      std::swap(longest[i], longest[i - 1]);
  }
  const auto counted = static_cast<std::ptrdiff_t>(std::min(steps, longest.size()));
  return std::accumulate(longest.begin(), longest.begin() + counted, Duration::zero());
}

OurShare our_share(const core::ProbeResult& result, const core::CheckOptions& options,
                   const LoopLateness& loop) {
  const auto allowed = allowance_of(result.cause, options);
  if (!allowed && !is_giving_up(result)) return OurShare::None;
  const Duration time = allowed ? allowed->time : options.timeout;
  Duration cost = allowed ? loop.cost_since(result.started - allowed->before, allowed->steps)
                          : loop.cost_since(result.started, LoopLateness::kStepsMost);
  if (const auto most = cost_most(result, loop); allowed && most) cost = std::min(cost, *most);
  const Duration least = allowed ? std::max<Duration>(kLeast, time / kShareOfTimeout) : kStall;
  if (cost < least) return OurShare::None;
  return cost < time / 2 ? OurShare::Some : OurShare::Most;
}

bool is_discounted(const core::ProbeResult& result, const core::CheckOptions& options,
                   const LoopLateness& loop, std::uint8_t& discounted) {
  switch (our_share(result, options, loop)) {
    case OurShare::None:
      if (result.outcome() != core::Outcome::NotMeasured) discounted = 0;
      return false;
    case OurShare::Some:
      if (discounted >= kDiscountsInARow) return false;
      ++discounted;
      return true;
    case OurShare::Most:
      return true;
  }
  return false;
}

}  // namespace watchwheel::app
