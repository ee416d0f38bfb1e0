// SPDX-License-Identifier: Apache-2.0
//
// A *job* is one attempt under way. It has either requests or mails of which some are transfers now, or a program. It ends when nothing of it is under way and nothing more is to begin; then its result is the worst of its parts', and it is
// told and forgotten.
#include "channels/sender.h"

#include <curl/curl.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "channels/prepare.h"
#include "channels/program.h"
#include "channels/transfer.h"
#include "channels/verdict.h"
#include "core/ensure.h"

namespace watchwheel::channels {
namespace {

using core::SteadyTime;
using sideeffects::Attempt;
using sideeffects::SendOutcome;
using sideeffects::SendResult;

// Without anything to wait for it looks so often whether it is told to stop: a wake-up that was lost costs no more.
constexpr core::Duration kLookEvery = std::chrono::seconds{1};

SendResult not_sent(std::string why) {
  return {.outcome = SendOutcome::NotSent, .detail = std::move(why)};
}

// Which of two results of one attempt decides: what is gone or has to be tried again before what will never do.
int weight(SendOutcome outcome) {
  switch (outcome) {
    case SendOutcome::Delivered:
      return 0;
    case SendOutcome::Permanent:
      return 1;
    case SendOutcome::NotSent:
      return 2;
    case SendOutcome::Retry:
      return 3;
    case SendOutcome::Gone:
      break;
  }
  return 4;
}

// After one of these the rest of an attempt's requests would fare no better.
bool ends_attempt(SendOutcome outcome) {
  return outcome == SendOutcome::Retry || outcome == SendOutcome::Gone ||
         outcome == SendOutcome::NotSent;
}

struct Given {
  Attempt attempt;
  Sender::Done done;
  SteadyTime deadline;
};

struct Job;

// One transfer of a job: what the multi handle's messages lead back to.
struct Leg {
  Job* job = nullptr;
  std::size_t index = 0;  // Which of its requests.
  std::unique_ptr<Transfer> transfer;
};

struct Job {
  Attempt attempt;
  Sender::Done done;
  SteadyTime deadline;
  std::vector<checker::Cidr> allow;
  HttpRequests requests;  // Those that are done are empty.
  MailRequests mails;     // The same.
  std::size_t next = 0;   // Of the requests or mails: which begins next.
  std::list<Leg> legs;
  std::unique_ptr<Program> program;
  bool stopped = false;  // Nothing more of it begins.
  bool taken = false;    // Some of it.
  std::optional<SendResult> result;

  [[nodiscard]] std::size_t parts() const { return requests.size() + mails.size(); }
  // `of_part`: it says nothing about the others.
  void take(SendResult one, bool of_part = false) {
    if (one.outcome == SendOutcome::Delivered) taken = true;
    const bool refused_all = !mails.empty() && one.outcome == SendOutcome::Permanent;
    if (!of_part && (ends_attempt(one.outcome) || refused_all)) stopped = true;
    if (!result || weight(one.outcome) > weight(result->outcome)) result = std::move(one);
  }
  [[nodiscard]] std::string key() const { return attempt.target->name + "\n" + attempt.message_id; }
  [[nodiscard]] bool is_done() const {
    return legs.empty() && !program && (stopped || next >= parts());
  }
};

// Which requests of a message were taken already, by its id and target, so that a message to a slow receiver ends some time.
class Progress {
 public:
  [[nodiscard]] bool has(const std::string& key, std::size_t index) const {
    const auto found = done_.find(key);
    return found != done_.end() && found->second.contains(index);
  }
  void add(const std::string& key, std::size_t index) {
    if (!done_.contains(key)) {
      if (order_.size() >= Sender::kRemembered) {
        done_.erase(order_.front());
        order_.pop_front();
      }
      order_.push_back(key);
    }
    done_[key].insert(index);
  }
  void forget(const std::string& key) {
    if (done_.erase(key) != 0) order_.erase(std::find(order_.begin(), order_.end(), key));
  }

 private:
  std::map<std::string, std::set<std::size_t>> done_;
  std::deque<std::string> order_;
};

struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

}  // namespace

struct Sender::Parts {
  Parts(Settings given, const core::Clock& its_clock)
      : settings(std::move(given)), clock(its_clock), multi(curl_multi_init()) {}

  // ---- any thread ----
  const Settings settings;
  const core::Clock& clock;
  const std::unique_ptr<CURLM, FreeMulti> multi;  // Of it, curl_multi_wakeup alone.
  std::mutex mutex;
  std::deque<Given> inbox;  // Guarded by mutex.
  std::deque<Done>
      refused;  // Guarded by mutex. Beyond attempts_max: the caller's mistake, answered all the same.
  std::optional<SteadyTime> stop_by;  // Guarded by mutex.
  bool over = false;                  // Guarded by mutex. The thread takes nothing any more.
  std::atomic<std::size_t> in_flight{0};
  std::thread thread;

  // ---- the thread "channels" ----
  std::list<Job> jobs;
  Progress progress;

  void run() noexcept;
  [[nodiscard]] bool take_inbox();
  void begin(Given given);
  void begin_requests(Job& job);
  template <typename Request>
  void add_leg(Job& job, std::size_t index, Request request);
  void end_leg(CURL* easy, CURLcode code);
  void read_messages();
  void look_at_programs(SteadyTime now);
  void finish_jobs();
  void answer(const Done& done, SendResult result);
  void wait(SteadyTime now);
  void give_up();
};

core::Result<std::unique_ptr<Sender>> Sender::make(const Settings& settings,
                                                   const core::Clock& clock) {
  ENSURE(settings.attempts_max >= 1 && settings.attempts_max <= 10'000,
         "attempts_max is 1 to 10,000");
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  auto parts = std::make_unique<Parts>(settings, clock);
  if (!ready || parts->multi == nullptr)
    return core::Error{core::ErrorKind::Unavailable, "libcurl cannot be made ready"};
  return std::unique_ptr<Sender>(new Sender(std::move(parts)));
}

Sender::Sender(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Sender::~Sender() {
  stop(parts_->clock.steady());
}

void Sender::start() {
  ENSURE(!parts_->thread.joinable(), "the channels' thread is started once");
  parts_->thread = std::thread([parts = parts_.get()] { parts->run(); });
}

void Sender::stop(SteadyTime deadline) {
  {
    const std::lock_guard lock(parts_->mutex);
    if (!parts_->stop_by) parts_->stop_by = deadline;
    if (!parts_->thread.joinable()) parts_->over = true;
  }
  curl_multi_wakeup(parts_->multi.get());
  if (parts_->thread.joinable()) parts_->thread.join();
}

void Sender::send(Attempt attempt, Done done) {
  ENSURE(attempt.target != nullptr && attempt.message != nullptr && done != nullptr,
         "an attempt has a target, a message and somebody to answer");
  const SteadyTime deadline = parts_->clock.steady() + attempt.target->timeout;
  {
    const std::lock_guard lock(parts_->mutex);
    if (!parts_->over) {
      const std::size_t before = parts_->in_flight.fetch_add(1);
      if (before < parts_->settings.attempts_max) {
        parts_->inbox.push_back(
            {.attempt = std::move(attempt), .done = std::move(done), .deadline = deadline});
      } else {
        parts_->refused.push_back(std::move(done));
      }
      done = nullptr;
    }
  }
  if (done != nullptr) return done(not_sent("the channels have stopped"));
  curl_multi_wakeup(parts_->multi.get());
}

std::size_t Sender::attempts_max() const {
  return parts_->settings.attempts_max;
}

std::size_t Sender::in_flight() const {
  return parts_->in_flight.load();
}

// ---- the thread ----

void Sender::Parts::run() noexcept {
  pthread_setname_np(pthread_self(), "channels");
  while (take_inbox()) {
    int running = 0;
    curl_multi_perform(multi.get(), &running);
    read_messages();
    look_at_programs(clock.steady());
    finish_jobs();
    wait(clock.steady());
  }
  give_up();
}

// False: it is time to end.
bool Sender::Parts::take_inbox() {
  std::deque<Given> given;
  std::deque<Done> too_many;
  bool go_on = true;
  {
    const std::lock_guard lock(mutex);
    given.swap(inbox);
    too_many.swap(refused);
    if (stop_by && ((jobs.empty() && given.empty()) || clock.steady() >= *stop_by)) {
      over = true;
      go_on = false;
    }
  }
  for (const Done& done : too_many) answer(done, not_sent("too many attempts at once"));
  if (go_on) {
    for (Given& one : given) begin(std::move(one));
  } else {
    for (const Given& one : given) answer(one.done, not_sent("the daemon stops"));
  }
  return go_on;
}

void Sender::Parts::answer(const Done& done, SendResult result) {
  in_flight.fetch_sub(1);  // Before: it may send the next one.
  done(std::move(result));
}

void Sender::Parts::begin(Given given) {
  core::Result<Prepared> prepared = prepare(given.attempt, clock.wall(), settings.user_agent);
  if (!prepared) return answer(given.done, not_sent(prepared.error().message));
  Job& job = jobs.emplace_back();
  job.attempt = std::move(given.attempt);
  job.done = std::move(given.done);
  job.deadline = given.deadline;
  job.allow = std::move(prepared->allow);
  if (auto* requests = std::get_if<HttpRequests>(&prepared->what)) {
    job.requests = std::move(*requests);
    begin_requests(job);
  } else if (auto* mails = std::get_if<MailRequests>(&prepared->what)) {
    job.mails = std::move(*mails);
    begin_requests(job);
  } else {
    core::Result<std::unique_ptr<Program>> program =
        Program::run(std::get<ProgramRequest>(prepared->what));
    if (program) {
      job.program = *std::move(program);
    } else if (program.error().kind == core::ErrorKind::Invalid) {
      job.take({.outcome = SendOutcome::Retry, .detail = program.error().message});
    } else {
      job.take(not_sent(program.error().message));
    }
  }
}

void Sender::Parts::begin_requests(Job& job) {
  while (!job.stopped && job.legs.size() < kRequestsAtOnce && job.next < job.parts()) {
    const std::size_t index = job.next++;
    if (job.parts() > 1 && progress.has(job.key(), index)) {
      job.take({.outcome = SendOutcome::Delivered, .detail = "taken at an earlier attempt"});
    } else if (!job.mails.empty()) {
      add_leg(job, index, std::exchange(job.mails[index], {}));
    } else {
      add_leg(job, index, std::exchange(job.requests[index], {}));
    }
  }
}

template <typename Request>
void Sender::Parts::add_leg(Job& job, std::size_t index, Request request) {
  const core::Duration left = job.deadline - clock.steady();
  if (left <= core::Duration::zero())
    return job.take({.outcome = SendOutcome::Retry, .detail = "out of time before it was sent"});
  Leg& leg = job.legs.emplace_back();
  leg.job = &job;
  leg.index = index;
  leg.transfer = std::make_unique<Transfer>(&leg, job.allow, job.attempt.target->ca_file, left);
  if (leg.transfer->begin(std::move(request)) &&
      curl_multi_add_handle(multi.get(), leg.transfer->easy()) == CURLM_OK)
    return;
  job.legs.pop_back();
  job.take(not_sent("no memory for a transfer"));
}

void Sender::Parts::read_messages() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg == CURLMSG_DONE) end_leg(message->easy_handle, message->data.result);
  }
}

void Sender::Parts::end_leg(CURL* easy, CURLcode code) {
  Leg* leg = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &leg);
  Job& job = *leg->job;
  const std::size_t index = leg->index;
  const TransferEnd end = leg->transfer->end(code);
  curl_multi_remove_handle(multi.get(), easy);
  job.legs.remove_if([leg](const Leg& one) { return &one == leg; });

  const bool mail = job.attempt.target->type == sideeffects::ChannelType::Email;
  SendResult result = mail ? judge_mail(end) : judge_http(end, clock.wall());
  if (job.parts() > 1 && result.outcome == SendOutcome::Delivered) progress.add(job.key(), index);
  job.take(std::move(result), mail && end.of_recipient);
  begin_requests(job);
}

void Sender::Parts::look_at_programs(SteadyTime now) {
  for (Job& job : jobs) {
    if (!job.program) continue;
    std::optional<ProgramEnd> end = job.program->turn();
    if (!end && now >= job.deadline) end = job.program->kill(ProgramEnd::Why::TimedOut);
    if (!end) continue;
    job.program.reset();
    job.take(judge_program(*end));
  }
}

void Sender::Parts::finish_jobs() {
  for (auto job = jobs.begin(); job != jobs.end();) {
    if (!job->is_done()) {
      ++job;
      continue;
    }
    ENSURE(job->result.has_value(), "an attempt ended without a result");
    SendResult result = *std::move(job->result);
    // An address that is wrong for good must not hold up what comes after it for those that are right.
    if (!job->mails.empty() && job->taken && result.outcome == SendOutcome::Permanent) {
      result.outcome = SendOutcome::Delivered;
      result.detail = "taken, but not for all recipients: " + result.detail;
    }
    // What is refused is asked again, and only that.
    const SendOutcome outcome = result.outcome;
    if (job->parts() > 1 && (outcome == SendOutcome::Delivered || outcome == SendOutcome::Gone))
      progress.forget(job->key());
    const Done done = std::move(job->done);
    result.part_taken = job->taken && outcome != SendOutcome::Delivered;
    job = jobs.erase(job);
    answer(done, std::move(result));
  }
}

void Sender::Parts::wait(SteadyTime now) {
  std::vector<curl_waitfd> also;
  core::Duration longest = kLookEvery;
  for (const Job& job : jobs) {
    if (!job.program) continue;
    for (const int fd : job.program->descriptors()) {
      if (fd != -1) also.push_back({.fd = fd, .events = CURL_WAIT_POLLIN, .revents = 0});
    }
    longest = std::min(longest, job.deadline - now);
  }
  {
    const std::lock_guard lock(mutex);
    if (stop_by && jobs.empty()) return;
    if (stop_by) longest = std::min(longest, *stop_by - now);
  }
  // What came meanwhile has woken it.
  const auto ms =
      std::chrono::ceil<std::chrono::milliseconds>(std::max(longest, core::Duration::zero()));
  curl_multi_poll(multi.get(), also.data(), static_cast<unsigned int>(also.size()),
                  static_cast<int>(ms.count()), nullptr);
}

void Sender::Parts::give_up() {
  for (Job& job : jobs) {
    for (Leg& leg : job.legs) curl_multi_remove_handle(multi.get(), leg.transfer->easy());
    job.legs.clear();
    job.program.reset();
  }
  while (!jobs.empty()) {
    const Done done = std::move(jobs.front().done);
    jobs.pop_front();
    answer(done, not_sent("the daemon stops"));
  }
}

}  // namespace watchwheel::channels
