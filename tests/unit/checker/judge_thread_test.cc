// SPDX-License-Identifier: Apache-2.0
#include "checker/judge_thread.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "checker/plan.h"

namespace watchwheel::checker {
namespace {

using namespace std::chrono_literals;

class JudgeThreadTest : public ::testing::Test, protected JudgeHandler {
 protected:
  std::unique_ptr<JudgeJob> job(std::uint64_t tag, core::SteadyTime deadline) {
    auto made = std::make_unique<JudgeJob>();
    made->tag = tag;
    made->plan = plan;
    made->method = "GET";
    made->deadline = deadline;
    made->wants_findings = true;
    made->result.head_complete = true;
    made->result.body.emplace(plan->body_rules, &means);
    made->result.body->feed("hello");
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
  BodyMeans means{{}, KeptBytes{1024 * 1024}};
  std::shared_ptr<ProbePlan> plan;
  std::vector<std::uint64_t> tags;
  Verdict last;
  std::size_t findings = 0;
};

TEST_F(JudgeThreadTest, VerdictsComeBackInOrderAndOnTheThreadThatRunsTheReactor) {
  JudgeThread judge(50, *reactor, clock, *this);
  for (std::uint64_t i = 1; i <= 50; ++i) ASSERT_TRUE(judge.offer(job(i, clock.steady() + 1min)));
  EXPECT_EQ(judge.away(), 50U);
  run(50);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(tags[i], i + 1);
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
  EXPECT_EQ(findings, 0U);
}

TEST_F(JudgeThreadTest, GoesWithWhatIsUnderWay) {
  {
    JudgeThread judge(200, *reactor, clock, *this);
    for (std::uint64_t i = 1; i <= 200; ++i)
      ASSERT_TRUE(judge.offer(job(i, clock.steady() + 1min)));
  }
  EXPECT_TRUE(tags.empty());
  EXPECT_EQ(means.kept.used(), 0U);
}

}  // namespace
}  // namespace watchwheel::checker
