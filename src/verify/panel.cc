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
                                                                "overloaded", "contrary", "wrong"};
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
  const core::CheckOptions& options = *question.subject.options;
  const Duration within = question.deadline - now.steady;
  const Number number = ++last_;
  questions_.emplace(number, Open{.asker = asker,
                                  .id = question.id,
                                  .url = question.subject.url,
                                  .options = options_to_send(*question.subject.options,
                                                             question.subject.own_resolvers),
                                  .deadline = question.deadline,
                                  .least = std::min<Duration>(
                                      std::min(options.timeout, limits_.check_least) + limits_.reserve,
                                      within / 2),
                                  .inward = options.allow_private || !options.allow.empty(),
                                  .answered = std::vector<bool>(seats_.size()),
                                  .left = seats_.size(),
                                  .due = due_.emplace(question.deadline, number)});
  numbers_[asker].emplace(question.id, number);
  for (std::size_t seat = 0; seat < seats_.size(); ++seat) {
    Seat& s = seats_[seat];
    // Who is in doubt and being tried may come back for good, or for nothing: nobody waits for that.
    const bool tried = in_doubt(s) && !s.batches.empty();
    const auto open = questions_.find(number);
    if (open == questions_.end()) break;
    const bool in_time =
        std::max(now.steady, s.hold_until) + open->second.least < question.deadline;
    if (tried || (in_doubt(s) && !in_time)) {
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
  const auto question = questions_.find(found->second);
  due_.erase(question->second.due);
  questions_.erase(question);  // Queues and batches pass over what is gone.
  of_asker->second.erase(found);
}

// Wherever they wait, on the way or behind others that have more time.
void Panel::expire(Now now) {
  while (!due_.empty() && due_.begin()->first <= now.steady) {
    const Number number = due_.begin()->second;
    const std::vector<bool> answered = questions_.at(number).answered;
    for (std::size_t seat = 0; seat < seats_.size(); ++seat) {
      const Seat& s = seats_[seat];
      if (answered[seat]) continue;
      const Saw saw = s.failures > 0 ? s.last_failure : s.refusals > 0 ? Saw::Overloaded : Saw::Silent;
      give(seat, number, {.saw = saw, .detail = "it did not answer in time"}, now);
    }
  }
}

// One answer of a seat to each question.
void Panel::give(std::size_t seat, Number number, Witness witness, Now now) {
  Seat& s = seats_[seat];
  // What nobody asks any more, a site that is well by now as a rule, says nothing about a verifier either.
  const auto found = questions_.find(number);
  if (found == questions_.end()) return;
  Open& open = found->second;
  if (open.answered[seat]) return;
  open.answered[seat] = true;
  s.stats->answers[static_cast<std::size_t>(witness.saw)].add();
  if (witness.saw == Saw::Up) {
    ++s.ups;
    if (s.up_urls.size() < kSitesToContrary &&
        std::find(s.up_urls.begin(), s.up_urls.end(), open.url) == s.up_urls.end())
      s.up_urls.push_back(open.url);
  } else if (witness.saw == Saw::Down) {
    s.ups = 0;
    s.up_urls.clear();
  }
  witness.at = now.wall;
  const std::uint64_t asker = open.asker;
  const std::uint64_t id = open.id;
  if (--open.left == 0) drop(asker, id);
  tell_(asker, {.id = id, .seat = seat, .witness = std::move(witness)});
}

// ---- Batches ----

void Panel::turn(Now now) {
  expire(now);
  for (std::size_t seat = 0; seat < seats_.size(); ++seat) {
    fill(seat, now);
    examine(seat, now);
  }
}

void Panel::fill(std::size_t seat, Now now) {
  Seat& s = seats_[seat];
  // What is gone, and what has no time left, from the front: it is the oldest.
  while (!s.queue.empty()) {
    const auto open = questions_.find(s.queue.front());
    if (open != questions_.end()) {
      // Held for longer than it can wait: no later turn could do better.
      const SteadyTime earliest = std::max(now.steady, s.hold_until);
      if (earliest + open->second.least < open->second.deadline) break;
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
  Batch batch{.questions = {}, .sent = now.steady, .exam = 0};
  Request request;
  Duration least = Duration::max();
  const std::size_t at_once = in_doubt(s) ? 1 : limits_.batches_max;
  const std::size_t free = at_once - std::min(s.batches.size(), at_once - 1);
  const std::size_t fair = std::max((s.queue.size() + free - 1) / free, limits_.batch_least);
  while (!s.queue.empty() && batch.questions.size() < std::min(fair, s.batch_max)) {
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
  request.deadline = std::max<Duration>(least - std::min<Duration>(limits_.reserve, least / 3), kDeadlineLeast);
  s.stats->asked.add(batch.questions.size());
  s.stats->batches.add();
  const std::uint64_t number = ++last_batch_;
  s.batches.emplace(number, std::move(batch));
  send_(seat, number, encode(request), std::max<Duration>(least, kDeadlineLeast) + limits_.grace);
}

void Panel::on_end(std::size_t seat, std::uint64_t number, BatchEnd end, Now now) {
  Seat& s = seats_[seat];
  const auto found = s.batches.find(number);
  if (found == s.batches.end()) return;
  Batch batch = std::move(found->second);
  s.batches.erase(found);
  if (batch.exam > 0) s.examined = false;
  s.stats->batch.observe(now.steady - batch.sent);
  if (end.how == BatchEnd::How::Answered) {
    if (const auto reply = decode_reply(end.body)) {
      s.stats->answered_batches.add();
      s.failures = 0;
      s.refusals = 0;
      s.reading.last_error.clear();
      // What was too large once may fit by now.
      if (batch.questions.size() >= s.batch_max)
        s.batch_max = std::min(limits_.batch_max, s.batch_max + std::max<std::size_t>(1, s.batch_max / 8));
      if (batch.exam > 0) mark_exam(s, batch.exam, *reply, now);
      if (wrong(s)) s.reading.last_error = s.wrong;
      take_answers(seat, batch, *reply, now);
      stand_answered(s, now);
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
    Witness witness{.saw = saw_of(answer.cause),
                    .cause = answer.cause,
                    .http_status = answer.http_status,
                    .detail = answer.detail};
    if (wrong(seats_[seat]) && core::is_vote(witness.saw)) {
      witness.detail = "not counted, it said " + std::string(core::to_string(witness.saw)) + ": " +
                       seats_[seat].wrong;
      witness.saw = Saw::NotMeasured;
    }
    const auto open = questions_.find(number);
    const bool unknown_there = answer.cause == Cause::DnsNxdomain || answer.cause == Cause::DnsNoAddress ||
                               answer.cause == Cause::DnsRefused;
    if (open != questions_.end() && open->second.inward && unknown_there) {
      witness.detail = "not counted: what points into our network need not have a name elsewhere; " + witness.detail;
      witness.saw = Saw::NotMeasured;
    }
    give(seat, number, std::move(witness), now);
  }
}

void Panel::stalled(Duration time) {
  std::multimap<SteadyTime, Number> due;
  for (auto& [number, open] : questions_) {
    open.deadline += time;
    open.due = due.emplace(open.deadline, number);
  }
  due_ = std::move(due);
}

// ---- Examinations ----

void Panel::set_canaries(std::vector<std::string> urls) {
  if (urls.size() > kExamCanariesMost) urls.resize(kExamCanariesMost);
  canaries_ = std::move(urls);
}

void Panel::examine(std::size_t seat, Now now) {
  Seat& s = seats_[seat];
  const bool is_time = limits_.examine_every > Duration::zero() && !s.examined &&
                       now.steady >= std::max(s.exam_at, s.hold_until);
  // Who is in doubt is tried with one batch at a time, whichever it is.
  if (!is_time || (in_doubt(s) && !s.batches.empty())) return;
  Request request{.deadline = limits_.exam_time - limits_.reserve, .checks = {}};
  request.checks.push_back({.id = "exam-0", .url = std::string(kNowhere), .options = {}});
  for (const std::string& url : canaries_) {
    const std::size_t size = request.checks.size();
    if (!now.well_here || size >= s.batch_max) break;
    request.checks.push_back({.id = "exam-" + std::to_string(size), .url = url, .options = {}});
  }
  s.examined = true;
  // Without the canaries, which are not known to be up here, it is half an examination: the whole follows as soon as they are.
  const bool is_half = !canaries_.empty() && !now.well_here;
  s.exam_at = now.steady + (is_half ? limits_.exam_again : limits_.examine_every);
  s.stats->batches.add();
  const std::uint64_t number = ++last_batch_;
  s.batches.emplace(number,
                    Batch{.questions = {}, .sent = now.steady, .exam = request.checks.size()});
  send_(seat, number, encode(request), limits_.exam_time);
}

// Not measured is no mistake. Of the canaries one alone may be down, for it as for us: all of them are not.
void Panel::mark_exam(Seat& seat, std::size_t checks, const Reply& reply, Now now) {
  const auto saw = [&](std::size_t check) -> std::optional<Saw> {
    const std::string id = "exam-" + std::to_string(check);
    const auto found = std::find_if(reply.answers.begin(), reply.answers.end(),
                                    [&](const verify::Answer& answer) { return answer.id == id; });
    if (found == reply.answers.end()) return std::nullopt;
    return saw_of(found->cause);
  };
  if (!saw(0)) return;  // It said nothing.
  const bool nowhere_is_up = saw(0) == Saw::Up;
  bool sees_none = now.well_here && checks > 1;
  for (std::size_t check = 1; check < checks; ++check)
    sees_none = sees_none && saw(check) == Saw::Down;
  if (!nowhere_is_up && !sees_none) {
    seat.exams_failed = 0;
    seat.wrong.clear();
    seat.stats->exams_passed.add();
    return;
  }
  // Before it is believed to be wrong it may think again, soon.
  seat.exams_failed = std::min<std::uint32_t>(seat.exams_failed + 1, kExamsToWrong);
  seat.stats->exams_failed.add();
  if (!wrong(seat)) seat.exam_at = now.steady + limits_.exam_again;
  seat.wrong = nowhere_is_up ? "it sees up a name that does not exist"
                             : "it sees all of our canaries down";
}

void Panel::fail_batch(std::size_t seat, Batch&& batch, const BatchEnd& end, Now now) {
  Seat& s = seats_[seat];
  const bool refused = end.how == BatchEnd::How::Refused;
  s.reading.last_error = end.problem;
  // A batch of one that is too large is a failure like any other.
  const std::size_t checks = batch.questions.size() + batch.exam;
  const bool splits = end.how == BatchEnd::How::TooLarge && checks > 1;
  Duration hold{};
  const bool with_another = batch.sent <= s.failed_at;
  (refused ? s.stats->refused_batches : splits ? s.stats->divided_batches : s.stats->failed_batches).add();
  if (splits) {
    s.batch_max = std::max<std::size_t>(1, checks / 2);
  } else if (refused) {
    s.refusals = std::min<std::uint32_t>(s.refusals + 1, 16);
    s.refused_at = now.steady;
    s.failures = 0;
    hold = end.retry_after.value_or(limits_.hold * (1U << (s.refusals - 1)));
  } else {
    if (!with_another) {
      s.failures = std::min<std::uint32_t>(s.failures + 1, 16);
      s.failed_at = now.steady;
      hold = limits_.hold * (1U << (s.failures - 1));
    }
    s.last_failure = end.how == BatchEnd::How::TimedOut ? Saw::Silent : Saw::Error;
  }
  // What an earlier one asked for holds, too.
  s.hold_until = std::max(s.hold_until, now.steady + std::min(hold, limits_.hold_most));
  // Of one that is contrary or wrong that is the more important word.
  const bool is_worse = s.reading.standing == Standing::Contrary || s.reading.standing == Standing::Wrong;
  if (refused && !is_worse) stand(s, Standing::Overloaded, now);
  if (in_doubt(s)) stand(s, Standing::Silent, now);
  // An examination that came to nothing is tried again soon, as a question would be.
  if (batch.exam > 0 && !in_doubt(s)) s.exam_at = s.hold_until;
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

// One that refuses one batch and answers the next is overloaded still, and that is said once.
void Panel::stand_answered(Seat& seat, Now now) {
  Standing standing = wrong(seat) ? Standing::Wrong : contrary(seat) ? Standing::Contrary : Standing::Well;
  const bool just_refused = seat.reading.standing == Standing::Overloaded &&
                            now.steady - seat.refused_at < limits_.hold_most;
  if (standing == Standing::Well && just_refused) standing = Standing::Overloaded;
  stand(seat, standing, now);
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
  if (!due_.empty()) next = due_.begin()->first;
  for (const Seat& seat : seats_) {
    const bool is_tried = in_doubt(seat) && !seat.batches.empty();
    if (limits_.examine_every > Duration::zero() && !seat.examined && !is_tried) {
      const SteadyTime exam = std::max(seat.exam_at, seat.hold_until);
      if (!next || exam < *next) next = exam;
    }
    if (seat.queue.empty()) continue;
    const SteadyTime at = seat.hold_until;
    // Full of batches: their ends are turns. But what waits has a deadline.
    const auto open = questions_.find(seat.queue.front());
    SteadyTime until = open == questions_.end() ? at : open->second.deadline - open->second.least;
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
