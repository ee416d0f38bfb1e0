// SPDX-License-Identifier: Apache-2.0
#include "checker/judge_thread.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <set>
#include <thread>

#include "checker/plan.h"

namespace watchwheel::checker {
namespace {

using namespace std::chrono_literals;

class JudgeThreadTest : public ::testing::Test, protected JudgeHandler {
 protected:
  std::unique_ptr<JudgeJob> job(std::uint64_t tag, core::SteadyTime deadline,
                                std::string_view body = "hello") {
    auto made = std::make_unique<JudgeJob>();
    made->tag = tag;
    made->plan = plan;
    made->method = "GET";
    made->deadline = deadline;
    made->wants_findings = true;
    made->result.head_complete = true;
    made->result.body.emplace(plan->body_rules, &means);
    made->result.body->feed(body);
    made->result.body->finish();
    return made;
  }
  // Until `count` verdicts are there.
  void run(std::size_t count) {
    const core::SteadyTime until = clock.steady() + 20s;
    while (tags.size() < count && clock.steady() < until) {
      pollfd ready{reactor->descriptor(), POLLIN, 0};
      ::poll(&ready, 1, 100);
      reactor->run(clock.steady());
    }
    ASSERT_EQ(tags.size(), count);
  }
  void on_judged(const JudgeJob& done, core::SteadyTime) noexcept override {
    tags.push_back(done.tag);
    threads.insert(std::this_thread::get_id());
    causes.push_back(done.verdict.cause);
    last = done.verdict;
    findings = done.findings.size();
  }
  void SetUp() override {
    core::CheckOptions options;
    options.body_match = {"hel+o$"};
    plan = std::make_shared<ProbePlan>();
    plan->options = options;
    plan->content = std::move(*make_content_rules(options));
    plan->body_rules.keep_text = true;
  }

  core::SystemClock clock;
  std::unique_ptr<Reactor> reactor = std::move(*Reactor::make(64));
  BodyMeans means{{}, KeptBytes{64 * 1024 * 1024}};
  std::shared_ptr<ProbePlan> plan;
  std::vector<std::uint64_t> tags;
  std::vector<core::Cause> causes;
  std::set<std::thread::id> threads;
  Verdict last;
  std::size_t findings = 0;
};

TEST_F(JudgeThreadTest, VerdictsComeBackInOrderAndOnTheThreadThatRunsTheReactor) {
  JudgeThread judge(50, *reactor, clock, *this);
  for (std::uint64_t i = 1; i <= 50; ++i) ASSERT_TRUE(judge.offer(job(i, clock.steady() + 1min)));
  EXPECT_EQ(judge.away(), 50U);
  run(50);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(tags[i], i + 1);
  EXPECT_EQ(threads, std::set<std::thread::id>{std::this_thread::get_id()});
  EXPECT_EQ(last.cause, core::Cause::Ok);
  EXPECT_EQ(findings, 1U);
  EXPECT_EQ(judge.away(), 0U);
  EXPECT_EQ(means.kept.used(), 0U);
}

TEST_F(JudgeThreadTest, RefusesBeyondItsRoomAndTakesAgainWhenThereIsSome) {
  JudgeThread judge(3, *reactor, clock, *this);
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(judge.offer(job(i, clock.steady() + 1min)));
  EXPECT_FALSE(judge.offer(job(4, clock.steady() + 1min)));
  EXPECT_GT(means.kept.used(), 0U);
  run(3);
  EXPECT_TRUE(judge.offer(job(5, clock.steady() + 1min)));
  run(4);
  EXPECT_EQ(means.kept.used(), 0U);
}

TEST_F(JudgeThreadTest, WhatIsTooLateIsNotJudged) {
  JudgeThread judge(3, *reactor, clock, *this);
  ASSERT_TRUE(judge.offer(job(1, clock.steady() - 1ms)));
  run(1);
  EXPECT_EQ(last.cause, core::Cause::LocalResources);
  EXPECT_NE(last.detail.find("not judged in time"), std::string::npos);
  EXPECT_EQ(findings, 1U);  // Which says the same.
}

// A clock that holds the judge at one of its looks until the test lets it go. It looks when it takes a job and before each
// expression, so it is held in the middle of a job.
class GateClock final : public core::Clock {
 public:
  explicit GateClock(std::uint64_t hold_at) : hold_at_(hold_at) {}
  [[nodiscard]] core::SteadyTime steady() const override {
    if (std::this_thread::get_id() != owner_) {
      const bool held = ++looks_ >= hold_at_;
      while (held && !open_.load()) std::this_thread::yield();
    }
    return machine_.steady();
  }
  [[nodiscard]] core::WallTime wall() const override { return machine_.wall(); }
  void sleep_for(core::Duration d) const override { machine_.sleep_for(d); }
  [[nodiscard]] std::uint64_t looks() const { return looks_.load(); }
  void open() { open_.store(true); }
  void wait_for_judge() const {
    while (looks_.load() < hold_at_) std::this_thread::yield();
  }

 private:
  const std::uint64_t hold_at_;
  core::SystemClock machine_;
  std::thread::id owner_ = std::this_thread::get_id();
  mutable std::atomic<std::uint64_t> looks_{0};
  std::atomic<bool> open_{false};
};

TEST_F(JudgeThreadTest, LeastWorkComesFirst) {
  GateClock gate(2);
  JudgeThread judge(10, *reactor, gate, *this);
  const core::SteadyTime late = clock.steady() + 1min;
  ASSERT_TRUE(judge.offer(job(1, late)));
  gate.wait_for_judge();  // It has the first; the others wait together.
  const std::string large(30'000, 'x');
  ASSERT_TRUE(judge.offer(job(2, late, large)));
  ASSERT_TRUE(judge.offer(job(3, late, large)));
  ASSERT_TRUE(judge.offer(job(4, late, "hello hello")));
  ASSERT_TRUE(judge.offer(job(5, late)));
  gate.open();
  run(5);
  EXPECT_EQ(tags, (std::vector<std::uint64_t>{1, 5, 4, 2, 3}));
}

TEST_F(JudgeThreadTest, KnowsWhosePlansAreAway) {
  JudgeThread judge(3, *reactor, clock, *this);
  EXPECT_FALSE(judge.has(*plan));
  ASSERT_TRUE(judge.offer(job(1, clock.steady() + 1min)));
  ASSERT_TRUE(judge.offer(job(2, clock.steady() + 1min)));
  EXPECT_TRUE(judge.has(*plan));
  EXPECT_FALSE(judge.has(ProbePlan{}));
  run(2);
  EXPECT_FALSE(judge.has(*plan));
}

TEST_F(JudgeThreadTest, WhatIsForgottenComesBackUnjudged) {
  GateClock gate(2);
  JudgeThread judge(10, *reactor, gate, *this);
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(judge.offer(job(i, clock.steady() + 1min)));
  gate.wait_for_judge();
  judge.forget();
  gate.open();
  ASSERT_TRUE(judge.offer(job(4, clock.steady() + 1min)));
  run(4);
  // The first had been looked at before: its only expression may have been judged or not.
  EXPECT_EQ(causes[1], core::Cause::LocalResources);
  EXPECT_EQ(causes[2], core::Cause::LocalResources);
  EXPECT_EQ(causes[3], core::Cause::Ok);
}

// Goal: a stop does not wait for what is left of a job, nor for the jobs behind it. Method: hold the judge within the first job
// until the stop has begun, and count how often it looks at the clock afterwards.
TEST_F(JudgeThreadTest, StopsInTheMiddleOfAJob) {
  core::CheckOptions options;
  for (int i = 0; i < 8; ++i) options.body_match.push_back("hello|" + std::to_string(i));
  plan->content = std::move(*make_content_rules(options));
  std::uint64_t looks = 0;
  {
    GateClock gate(4);
    {
      JudgeThread judge(200, *reactor, gate, *this);
      for (std::uint64_t i = 1; i <= 200; ++i)
        ASSERT_TRUE(judge.offer(job(i, clock.steady() + 1min)));
      gate.wait_for_judge();  // Before the third expression of the first job.
      judge.forget();         // As the checker does when it is stopped.
      gate.open();
    }
    looks = gate.looks();
  }
  EXPECT_TRUE(tags.empty());
  EXPECT_EQ(means.kept.used(), 0U);
  EXPECT_EQ(looks,
            4U);  // The third expression ends; a fourth, or another job, would be another look.
}

}  // namespace
}  // namespace watchwheel::checker
