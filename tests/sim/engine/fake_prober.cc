// SPDX-License-Identifier: Apache-2.0
#include "fake_prober.h"

#include <algorithm>

namespace watchwheel::sim {

core::Result<checker::PlanRef> FakeProber::prepare(const core::CheckOptions& options) {
  if (options.ca_file == "/missing")
    return core::Error{core::ErrorKind::Invalid, "ca_file /missing cannot be read"};
  // Nobody looks into it. Not a plan of our own making: two types of one name in a program are undefined, and freed as the other.
  return checker::PlanRef(std::make_shared<int>(0), reinterpret_cast<checker::ProbePlan*>(this));
}

checker::Start FakeProber::start(checker::ProbeToken token, std::string_view url,
                                 const checker::PlanRef&, core::SteadyTime now) {
  if (waiting_.size() >= limit_) return checker::Start::Full;
  const Answer answer = network_(url, now);
  waiting_.push(
      {now + answer.after, ++orders_, token, answer.cause, now, clock_.wall(), std::string(url),
       answer.address});
  most_in_flight_ = std::max(most_in_flight_, waiting_.size());
  return checker::Start::Started;
}

void FakeProber::deliver(const Waiting& one, core::Cause cause, core::SteadyTime now) {
  delivered_(one.url, cause, one.started);
  core::ProbeResult result;
  result.cause = cause;
  result.phase = cause == core::Cause::Ok ? core::Phase::Done : core::Phase::Request;
  result.started = one.started;
  result.started_at = one.started_at;
  result.timings.total = now - one.started;
  result.address = one.address;
  handler_->on_result(one.token, std::move(result));
}

void FakeProber::turn(core::SteadyTime now) {
  while (!waiting_.empty() && waiting_.top().at <= now) {
    const Waiting one = waiting_.top();
    waiting_.pop();
    deliver(one, one.cause, now);
  }
}

void FakeProber::cancel_all(core::SteadyTime now) {
  while (!waiting_.empty()) {
    const Waiting one = waiting_.top();
    waiting_.pop();
    deliver(one, core::Cause::Cancelled, now);
  }
}

std::optional<core::SteadyTime> FakeProber::next() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.top().at;
}

}  // namespace watchwheel::sim
