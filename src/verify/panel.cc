// SPDX-License-Identifier: Apache-2.0
#include "verify/panel.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::verify {

using core::Cause;
using core::Duration;
using core::Saw;
using core::SteadyTime;
using core::Witness;

namespace {

Saw saw_of(Cause cause) {
  switch (core::outcome_of(cause)) {
    case core::Outcome::Up:
      return Saw::Up;
    case core::Outcome::Down:
      return Saw::Down;
    case core::Outcome::NotMeasured:
      break;
  }
  return cause == Cause::LocalOverload ? Saw::Overloaded : Saw::NotMeasured;
}

}  // namespace

std::string_view to_string(Standing standing) {
  constexpr std::array<std::string_view, kStandingCount> kNames{"unknown", "well", "silent",
                                                                "overloaded", "contrary"};
  ENSURE(static_cast<std::size_t>(standing) < kStandingCount, "a standing outside its list");
  return kNames[static_cast<std::size_t>(standing)];
}

BatchEnd batch_end(int status, std::string body, std::optional<Duration> retry_after) {
  if (status == 200) return {.how = BatchEnd::How::Answered, .body = std::move(body)};
  BatchEnd end{.problem = "it answered " + std::to_string(status)};
  if (status == 401) end.problem += ": the token is not the one that it asks for";
  if (status == 429 || status == 503) {
    end.how = BatchEnd::How::Refused;
    end.retry_after = retry_after;
  } else if (status == 400 || status == 413) {
    end.how = BatchEnd::How::TooLarge;
  }
  return end;
}

Panel::Panel(const PanelLimits& limits, std::vector<VerifierSeat> seats, Send send, Tell tell,
             Say say)
    : limits_(limits), send_(std::move(send)), tell_(std::move(tell)), say_(std::move(say)) {
  for (VerifierSeat& seat : seats) {
    Seat& made = seats_.emplace_back();
    made.reading.name = std::move(seat.name);
    made.reading.region = std::move(seat.region);
    made.reading.url = std::move(seat.url);
    made.batch_max = limits.batch_max;
    made.stats = std::make_unique<VerifierStats>();
  }
}

// ---- Questions ----

bool Panel::ask(std::uint64_t asker, const sideeffects::Question& question, Now now) {
  if (questions_.size() >= limits_.questions_max) return false;
  const Number number = ++last_;
  questions_.emplace(number, Open{.asker = asker,
                                  .id = question.id,
                                  .url = question.subject.url,
                                  .options = options_to_send(*question.subject.options,
                                                             question.subject.own_resolvers),
                                  .deadline = question.deadline,
                                  .answered = std::vector<bool>(seats_.size()),
                                  .left = seats_.size()});
  numbers_[asker].emplace(question.id, number);
  for (std::size_t seat = 0; seat < seats_.size(); ++seat) {
    Seat& s = seats_[seat];
    const bool probed = s.hold_until <= now.steady && s.batches.empty() && s.queue.empty();
    if (in_doubt(s) && !probed) {
      give(seat, number,
           {.saw = s.last_failure, .detail = "not asked: " + s.reading.last_error}, now);
    } else {
      s.queue.push_back(number);
    }
  }
  return true;
}

void Panel::drop(std::uint64_t asker, std::uint64_t id) {
  const auto of_asker = numbers_.find(asker);
  if (of_asker == numbers_.end()) return;
  const auto found = of_asker->second.find(id);
  if (found == of_asker->second.end()) return;
  questions_.erase(found->second);  // Queues and batches pass over what is gone.
  of_asker->second.erase(found);
}

// One answer of a seat to each question.
void Panel::give(std::size_t seat, Number number, Witness witness, Now now) {
  Seat& s = seats_[seat];
  s.stats->answers[static_cast<std::size_t>(witness.saw)].add();
  if (witness.saw == Saw::Up) {
    ++s.ups;
  } else if (witness.saw == Saw::Down) {
    s.ups = 0;
    s.up_urls.clear();
  }
  const auto found = questions_.find(number);
  if (found == questions_.end()) return;
  Open& open = found->second;
  if (witness.saw == Saw::Up && s.up_urls.size() < kSitesToContrary &&
      std::find(s.up_urls.begin(), s.up_urls.end(), open.url) == s.up_urls.end())
    s.up_urls.push_back(open.url);
  if (open.answered[seat]) return;
  open.answered[seat] = true;
  witness.at = now.wall;
  const std::uint64_t asker = open.asker;
  const std::uint64_t id = open.id;
  if (--open.left == 0) drop(asker, id);
  tell_(asker, {.id = id, .seat = seat, .witness = std::move(witness)});
}

// ---- Batches ----

void Panel::turn(Now now) {
  for (std::size_t seat = 0; seat < seats_.size(); ++seat) fill(seat, now);
}

void Panel::fill(std::size_t seat, Now now) {
  Seat& s = seats_[seat];
  // What is gone, and what has no time left, from the front: it is the oldest.
  while (!s.queue.empty()) {
    const auto open = questions_.find(s.queue.front());
    if (open != questions_.end()) {
      // Held for longer than it can wait: no later turn could do better.
      const SteadyTime earliest = std::max(now.steady, s.hold_until);
      if (earliest + limits_.reserve < open->second.deadline) break;
      const bool failing = s.failures > 0;
      give(seat, s.queue.front(),
           {.saw = failing ? s.last_failure : Saw::Overloaded,
            .detail = s.reading.last_error.empty() ? "no time was left to ask it" : s.reading.last_error},
           now);
    }
    s.queue.pop_front();
  }
  if (now.steady < s.hold_until) return;
  const std::size_t at_once = in_doubt(s) ? 1 : limits_.batches_max;
  while (!s.queue.empty() && s.batches.size() < at_once) send_batch(seat, now);
}

void Panel::send_batch(std::size_t seat, Now now) {
  Seat& s = seats_[seat];
  Batch batch{.questions = {}, .sent = now.steady};
  Request request;
  Duration least = Duration::max();
  while (!s.queue.empty() && batch.questions.size() < s.batch_max) {
    const Number number = s.queue.front();
    const auto open = questions_.find(number);
    const bool later = open != questions_.end() && !batch.questions.empty() &&
                       open->second.deadline - now.steady > least + limits_.spread;
    if (later) break;
    s.queue.pop_front();
    if (open == questions_.end()) continue;
    batch.questions.push_back(number);
    request.checks.push_back(
        {.id = std::to_string(number), .url = open->second.url, .options = open->second.options});
    least = std::min(least, open->second.deadline - now.steady);
  }
  if (batch.questions.empty()) return;
  request.deadline = std::max<Duration>(least - limits_.reserve, kDeadlineLeast);
  s.stats->asked.add(batch.questions.size());
  s.stats->batches.add();
  const std::uint64_t number = ++last_batch_;
  s.batches.emplace(number, std::move(batch));
  send_(seat, number, encode(request), std::max<Duration>(least, kDeadlineLeast));
}

void Panel::on_end(std::size_t seat, std::uint64_t number, BatchEnd end, Now now) {
  Seat& s = seats_[seat];
  const auto found = s.batches.find(number);
  if (found == s.batches.end()) return;
  Batch batch = std::move(found->second);
  s.batches.erase(found);
  s.stats->batch.observe(now.steady - batch.sent);
  if (end.how == BatchEnd::How::Answered) {
    if (const auto reply = decode_reply(end.body)) {
      s.failures = 0;
      s.refusals = 0;
      s.reading.last_error.clear();
      take_answers(seat, batch, *reply, now);
      stand(s, contrary(s) ? Standing::Contrary : Standing::Well, now);
      fill(seat, now);
      return;
    }
    end.how = BatchEnd::How::Failed;
    end.problem = "what it answered is no list of results";
  }
  fail_batch(seat, std::move(batch), end, now);
  fill(seat, now);
}

void Panel::take_answers(std::size_t seat, const Batch& batch, const Reply& reply, Now now) {
  std::unordered_map<std::string_view, const verify::Answer*> by_id;
  for (const verify::Answer& answer : reply.answers) by_id.emplace(answer.id, &answer);
  for (const Number number : batch.questions) {
    const auto found = by_id.find(std::to_string(number));
    if (found == by_id.end()) {
      give(seat, number, {.saw = Saw::Error, .detail = "it gave no result for this check"}, now);
      continue;
    }
    const verify::Answer& answer = *found->second;
    give(seat, number,
         {.saw = saw_of(answer.cause),
          .cause = answer.cause,
          .http_status = answer.http_status,
          .detail = answer.detail},
         now);
  }
}

void Panel::fail_batch(std::size_t seat, Batch&& batch, const BatchEnd& end, Now now) {
  Seat& s = seats_[seat];
  const bool refused = end.how == BatchEnd::How::Refused;
  s.reading.last_error = end.problem;
  (refused ? s.stats->refused_batches : s.stats->failed_batches).add();
  // A batch of one that is too large is a failure like any other.
  const bool splits = end.how == BatchEnd::How::TooLarge && batch.questions.size() > 1;
  Duration hold{};
  if (splits) {
    s.batch_max = std::max<std::size_t>(1, batch.questions.size() / 2);
  } else if (refused) {
    s.refusals = std::min<std::uint32_t>(s.refusals + 1, 16);
    hold = end.retry_after.value_or(limits_.hold * (1U << (s.refusals - 1)));
  } else {
    s.failures = std::min<std::uint32_t>(s.failures + 1, 16);
    s.last_failure = end.how == BatchEnd::How::TimedOut ? Saw::Silent : Saw::Error;
    hold = limits_.hold * (1U << (s.failures - 1));
  }
  s.hold_until = now.steady + std::min(hold, limits_.hold_most);
  if (refused) stand(s, Standing::Overloaded, now);
  if (in_doubt(s)) stand(s, Standing::Silent, now);
  // Asked again before all others; who is in doubt is not waited for.
  for (auto number = batch.questions.rbegin(); number != batch.questions.rend(); ++number) {
    if (in_doubt(s) && !refused) {
      give(seat, *number, {.saw = s.last_failure, .detail = end.problem}, now);
    } else {
      s.queue.push_front(*number);
    }
  }
}

bool Panel::contrary(const Seat& seat) {
  return seat.ups >= kUpsToContrary && seat.up_urls.size() >= kSitesToContrary;
}

void Panel::stand(Seat& seat, Standing standing, Now now) {
  const Standing before = std::exchange(seat.reading.standing, standing);
  if (before == standing) return;
  seat.reading.since = now.wall;
  seat.stats->standing.set(static_cast<double>(standing));
  say_(seat.reading, before);
}

std::optional<SteadyTime> Panel::next() const {
  std::optional<SteadyTime> next;
  for (const Seat& seat : seats_) {
    if (seat.queue.empty()) continue;
    const SteadyTime at = seat.hold_until;
    // Full of batches: their ends are turns. But what waits has a deadline.
    const auto open = questions_.find(seat.queue.front());
    SteadyTime until = open == questions_.end() ? at : open->second.deadline - limits_.reserve;
    if (seat.batches.size() < (in_doubt(seat) ? 1 : limits_.batches_max)) until = std::min(until, at);
    if (!next || until < *next) next = until;
  }
  return next;
}

std::vector<VerifierReading> Panel::readings() const {
  std::vector<VerifierReading> all;
  for (const Seat& seat : seats_) all.push_back(seat.reading);
  return all;
}

}  // namespace watchwheel::verify
