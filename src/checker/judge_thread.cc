// SPDX-License-Identifier: Apache-2.0
#include "checker/judge_thread.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "checker/plan.h"
#include "core/ensure.h"

namespace watchwheel::checker {

JudgeThread::JudgeThread(std::size_t jobs_max, Reactor& reactor, const core::Clock& clock,
                         JudgeHandler& handler)
    : reactor_(reactor), clock_(clock), handler_(handler), todo_(jobs_max), done_(jobs_max) {}

JudgeThread::~JudgeThread() {
  if (thread_.joinable()) {
    forget();
    stopping_.store(true);
    waiting_.release();
    thread_.join();
  }
  if (wake_ == -1) return;
  reactor_.unwatch(wake_);
  ::close(wake_);
}

bool JudgeThread::offer(std::unique_ptr<JudgeJob> job) {
  if (away_ >= todo_.capacity() || !start()) return false;
  ++away_;
  plans_away_.insert(job->plan.get());
  job->work = content_work(*job->plan, job->result);
  job->number = ++offered_;
  const bool offered = todo_.offer(std::move(job));
  ENSURE(offered, "a ring is full that has a seat for each job");
  waiting_.release();
  return true;
}

bool JudgeThread::start() {
  if (thread_.joinable()) return true;
  if (wake_ == -1) {
    wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_ == -1) return false;
    if (!reactor_.watch(wake_, EPOLLIN, *this, 0)) {
      ::close(std::exchange(wake_, -1));
      return false;
    }
  }
  try {
    thread_ = std::thread([this] { work(); });
  } catch (const std::system_error&) {
    return false;  // The next job tries again.
  }
  return true;
}

void JudgeThread::work() noexcept {
  pthread_setname_np(pthread_self(), "judge");
  for (;;) {
    waiting_.acquire();
    if (stopping_.load()) return;
    std::unique_ptr<JudgeJob> job = next();
    // A forgotten job needs no look at the clock.
    const Enough enough = [this, &job] {
      return forgotten(*job) || clock_.steady() >= job->deadline;
    };
    job->verdict = judge_content(*job->plan, job->method, job->result, enough);
    if (job->wants_findings)
      job->findings = content_findings(*job->plan, job->method, job->result, enough);
    const bool given = done_.offer(std::move(job));
    ENSURE(given, "a ring is full that has a seat for each job");
    const std::uint64_t one = 1;
    // It can only fail when the counter is full, and then the lane is awake.
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
  }
}

// One is there: each was announced. Those that nobody waits for come first, for what they keep.
std::unique_ptr<JudgeJob> JudgeThread::next() {
  std::unique_ptr<JudgeJob> job;
  while (todo_.take(job)) waiting_jobs_.push_back(std::move(job));
  ENSURE(!waiting_jobs_.empty(), "the judge was woken without a job");
  const auto rank = [this, now = clock_.steady()](const std::unique_ptr<JudgeJob>& one) {
    return std::pair(over(*one, now) ? 0 : one->work, one->number);
  };
  const auto least =
      std::min_element(waiting_jobs_.begin(), waiting_jobs_.end(),
                       [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  job = std::move(*least);
  waiting_jobs_.erase(least);
  return job;
}

bool JudgeThread::forgotten(const JudgeJob& job) const {
  return job.number <= forgotten_.load();
}

bool JudgeThread::over(const JudgeJob& job, core::SteadyTime now) const {
  return forgotten(job) || now >= job.deadline;
}

void JudgeThread::on_io(int fd, std::uint32_t /*events*/, std::uint64_t /*tag*/,
                        core::SteadyTime now) noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto had = ::read(fd, &count, sizeof count);
  std::unique_ptr<JudgeJob> job;
  while (done_.take(job)) {
    --away_;
    plans_away_.erase(plans_away_.find(job->plan.get()));
    handler_.on_judged(*job, now);
    job.reset();
  }
}

}  // namespace watchwheel::checker
