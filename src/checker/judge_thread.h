// SPDX-License-Identifier: Apache-2.0
// checker/judge_thread.h - judges content that may take long, off the lane's thread.
//
// An expression takes time linear in the text, but there are expressions and texts for which RE2 needs a microsecond and more
// for each byte: one of them on one page of 1 MiB would hold a lane for seconds, and every check of the lane with it. What may
// be of that kind (content_judge.h says) is handed to this thread, and its verdict comes back like any event.
//
// Owns     one thread, started by the first job; a ring in, a ring out, an eventfd that wakes the lane; the jobs while they are away.
// Thread   the lane's, for every call.
// Order    the job of least work first, so a page that is hard holds up only what is as hard; of equal ones the older.
// Bounded  `jobs_max` jobs away; their texts are bounded by the lane's kept bytes. Full: offer() refuses, and the check ends
//          as local_resources.
// Fails    a job whose deadline passes, or that was forgotten, is judged no further: RE2 cannot be interrupted, but between two
//          expressions this looks. The destructor waits for the expression under way: content_judge.h bounds it, at worst some 3 s.
#pragma once

#include <atomic>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "checker/content_judge.h"
#include "checker/exchange.h"
#include "checker/prober.h"
#include "checker/reactor.h"
#include "core/clock.h"
#include "core/ring.h"

namespace watchwheel::checker {

struct JudgeJob {
  std::uint64_t tag = 0;
  PlanRef plan;
  std::string method;
  ExchangeResult result;
  core::SteadyTime deadline{};
  bool wants_findings = false;
  // Its place in the queue; offer() sets both.
  std::uint64_t work = 0;
  std::uint64_t number = 0;
  // What came of it.
  Verdict verdict;
  std::vector<std::string> findings;
};

class JudgeHandler {
 public:
  virtual ~JudgeHandler() = default;
  // From the reactor's run(). What was asked for may have ended meanwhile.
  virtual void on_judged(const JudgeJob& job, core::SteadyTime now) noexcept = 0;
};

class JudgeThread : core::Pinned, private IoHandler {
 public:
  JudgeThread(std::size_t jobs_max, Reactor& reactor, const core::Clock& clock,
              JudgeHandler& handler);
  ~JudgeThread() override;

  // False: too many are away, or the machine gives no thread. Otherwise exactly one on_judged follows while this lives.
  [[nodiscard]] bool offer(std::unique_ptr<JudgeJob> job);
  // Nobody waits for what was offered until now: it comes back soon, and not judged.
  void forget() { forgotten_.store(offered_); }
  [[nodiscard]] std::size_t away() const { return away_; }
  // A job of this plan is away. Its expressions must not be used here meanwhile: RE2 locks their cache, and the lane would wait.
  [[nodiscard]] bool has(const ProbePlan& plan) const { return plans_away_.count(&plan) != 0; }

 private:
  void on_io(int fd, std::uint32_t events, std::uint64_t tag,
             core::SteadyTime now) noexcept override;
  [[nodiscard]] bool start();
  void work() noexcept;
  [[nodiscard]] std::unique_ptr<JudgeJob> next();
  [[nodiscard]] bool forgotten(const JudgeJob& job) const;
  [[nodiscard]] bool over(const JudgeJob& job, core::SteadyTime now) const;

  Reactor& reactor_;
  const core::Clock& clock_;
  JudgeHandler& handler_;
  std::size_t away_ = 0;  // Never more than either ring holds, so neither is ever full.
  std::uint64_t offered_ = 0;
  std::unordered_multiset<const ProbePlan*> plans_away_;
  core::SpscRing<std::unique_ptr<JudgeJob>> todo_;  // lane -> judge.
  core::SpscRing<std::unique_ptr<JudgeJob>> done_;  // judge -> lane.
  std::counting_semaphore<> waiting_{0};            // One for each job in todo_, and one to stop.
  std::vector<std::unique_ptr<JudgeJob>>
      waiting_jobs_;                         // The judge's: what it took and has not begun.
  std::atomic<std::uint64_t> forgotten_{0};  // Jobs up to this number are.
  std::atomic<bool> stopping_{false};
  int wake_ = -1;
  std::thread thread_;
};

}  // namespace watchwheel::checker
