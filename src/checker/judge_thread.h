// SPDX-License-Identifier: Apache-2.0
// checker/judge_thread.h - judges content that may take long, off the lane's thread.
//
// An expression takes time linear in the text, but there are expressions and texts for which RE2 needs a microsecond and more
// for each byte: one of them on one page of 1 MiB would hold a lane for seconds, and every check of the lane with it. What may
// be of that kind (content_judge.h says) is handed to this thread, and its verdict comes back like any event.
//
// Owns     one thread, started by the first job; a ring in, a ring out, an eventfd that wakes the lane; the jobs while they are away.
// Thread   the lane's, for every call.
// Bounded  `jobs_max` jobs away; their texts are bounded by the lane's kept bytes. Full: offer() refuses, and the check ends
//          as local_resources.
// Fails    a job whose deadline has passed when its turn comes is not judged. The destructor waits for the job under way: at worst
//          as long as one expression takes for one text.
#pragma once

#include <atomic>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
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
  [[nodiscard]] std::size_t away() const { return away_; }

 private:
  void on_io(int fd, std::uint32_t events, std::uint64_t tag,
             core::SteadyTime now) noexcept override;
  [[nodiscard]] bool start();
  void work() noexcept;

  Reactor& reactor_;
  const core::Clock& clock_;
  JudgeHandler& handler_;
  std::size_t away_ = 0;  // Never more than either ring holds, so neither is ever full.
  core::SpscRing<std::unique_ptr<JudgeJob>> todo_;  // lane -> judge.
  core::SpscRing<std::unique_ptr<JudgeJob>> done_;  // judge -> lane.
  std::counting_semaphore<> waiting_{0};            // One for each job in todo_, and one to stop.
  std::atomic<bool> stopping_{false};
  int wake_ = -1;
  std::thread thread_;
};

}  // namespace watchwheel::checker
