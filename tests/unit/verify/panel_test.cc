// SPDX-License-Identifier: Apache-2.0
#include "verify/panel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>

namespace watchwheel::verify {
namespace {

using core::Saw;
using nlohmann::json;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

struct Sent {
  std::size_t seat = 0;
  std::uint64_t batch = 0;
  json body;
  core::Duration timeout{};
};
struct Told {
  std::uint64_t asker = 0;
  std::uint64_t id = 0;
  std::size_t seat = 0;
  core::Witness witness;
};

// A panel in virtual time: what it sends and tells is kept, answers are what the test says.
class PanelTest : public ::testing::Test {
 protected:
  void make(std::size_t seats, PanelLimits limits = {}) {
    std::vector<VerifierSeat> list;
    for (std::size_t i = 0; i < seats; ++i)
      list.push_back({"v" + std::to_string(i), "", "https://v" + std::to_string(i)});
    panel_ = std::make_unique<Panel>(
        limits, list,
        [this](std::size_t seat, std::uint64_t batch, const std::string& body,
               core::Duration timeout) {
          sent_.push_back({seat, batch, json::parse(body), timeout});
        },
        [this](std::uint64_t asker, sideeffects::SeatAnswer answer) {
          told_.push_back({asker, answer.id, answer.seat, std::move(answer.witness)});
        },
        [this](const VerifierReading& now, Standing before) {
          said_.push_back(std::string(to_string(before)) + ">" +
                          std::string(to_string(now.standing)));
        });
  }
  Panel::Now now() const { return {now_, core::from_unix_ms(1'700'000'000'000), well_here_}; }
  bool ask(std::uint64_t id, core::Duration within = 15s) {
    const bool taken = panel_->ask(
        7,
        {.id = id,
         .subject = {"http://s" + std::to_string(id) + "/", std::make_shared<core::CheckOptions>()},
         .deadline = now_ + within},
        now());
    panel_->turn(now());
    return taken;
  }
  void pass(core::Duration time) {
    now_ += time;
    panel_->turn(now());
  }
  // Answers every check of a batch that was sent with one cause.
  void answer(const Sent& sent, core::Cause cause) {
    json results = json::array();
    for (const json& check : sent.body["checks"])
      results.push_back({{"id", check["id"]},
                         {"cause", core::to_string(cause)},
                         {"phase", "done"},
                         {"http_status", 503},
                         {"detail", "as seen"}});
    end(sent, batch_end(200, json{{"results", results}}.dump(), std::nullopt));
  }
  void end(const Sent& sent, BatchEnd how) {
    panel_->on_end(sent.seat, sent.batch, std::move(how), now());
  }
  void fail(const Sent& sent, BatchEnd::How how = BatchEnd::How::Failed) {
    end(sent, {.how = how, .problem = "connection refused"});
  }

  // Answers an examination: what does not exist, and then each canary.
  void mark(const Sent& sent, const std::vector<core::Cause>& causes) {
    json results = json::array();
    for (std::size_t i = 0; i < causes.size(); ++i)
      results.push_back({{"id", sent.body["checks"][i]["id"]},
                         {"cause", core::to_string(causes[i])},
                         {"phase", "done"}});
    end(sent, batch_end(200, json{{"results", results}}.dump(), std::nullopt));
  }

  bool well_here_ = true;
  core::SteadyTime now_ = core::SteadyTime{} + 1h;
  std::unique_ptr<Panel> panel_;
  std::vector<Sent> sent_;
  std::vector<Told> told_;
  std::vector<std::string> said_;
};

TEST_F(PanelTest, AsksAllAtOnceAndTellsWhatEachSaw) {
  make(2);
  ASSERT_TRUE(ask(41));
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[0].body["checks"][0]["url"], "http://s41/");
  // A cold connection has its time, and who is a little late is heard.
  EXPECT_EQ(sent_[0].body["deadline_ms"], 14'000);
  EXPECT_EQ(sent_[0].timeout, 17s);
  answer(sent_[1], core::Cause::HttpStatus);
  answer(sent_[0], core::Cause::Ok);
  ASSERT_EQ(told_.size(), 2U);
  EXPECT_EQ(told_[0].asker, 7U);
  EXPECT_EQ(told_[0].id, 41U);
  EXPECT_EQ(told_[0].seat, 1U);
  EXPECT_EQ(told_[0].witness.saw, Saw::Down);
  EXPECT_EQ(told_[0].witness.cause, core::Cause::HttpStatus);
  EXPECT_EQ(told_[0].witness.http_status, 503);
  EXPECT_EQ(told_[0].witness.detail, "as seen");
  EXPECT_EQ(told_[1].witness.saw, Saw::Up);
  EXPECT_EQ(panel_->questions(), 0U);
  EXPECT_EQ(panel_->readings()[0].standing, Standing::Well);
}

TEST_F(PanelTest, WhatIsNoWordAboutTheSiteIsNoVote) {
  make(3);
  ask(1);
  answer(sent_[0], core::Cause::LocalOverload);
  answer(sent_[1], core::Cause::AddressBlocked);
  end(sent_[2], batch_end(200, R"({"results":[]})", std::nullopt));
  ASSERT_EQ(told_.size(), 3U);
  EXPECT_EQ(told_[0].witness.saw, Saw::Overloaded);
  EXPECT_EQ(told_[1].witness.saw, Saw::NotMeasured);
  EXPECT_EQ(told_[2].witness.saw, Saw::Error);
}

TEST_F(PanelTest, GathersWhatWaitsInBatchesOfBoundedSizeAndNumber) {
  make(1, {.batch_max = 3, .batches_max = 2});
  ask(1);
  ask(2);
  for (std::uint64_t id = 3; id <= 9; ++id) ask(id);
  ASSERT_EQ(sent_.size(), 2U);  // One check each; the rest waits.
  answer(sent_[0], core::Cause::Ok);
  ASSERT_EQ(sent_.size(), 3U);
  EXPECT_EQ(sent_[2].body["checks"].size(), 3U);
}

TEST_F(PanelTest, AskedAgainAfterARefusalAsLongAsThereIsTime) {
  make(1);
  ask(1);
  end(sent_[0], batch_end(503, "", 4s));
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(panel_->readings()[0].standing, Standing::Overloaded);
  pass(3s);
  EXPECT_EQ(sent_.size(), 1U);
  pass(1s);
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[1].timeout, 13s);
  end(sent_[1], batch_end(429, "", 20s));  // Longer than there is time.
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_EQ(told_[0].witness.saw, Saw::Overloaded);
  EXPECT_EQ(said_, (std::vector<std::string>{"unknown>overloaded"}));
}

// Goal: a verifier that is not there holds nobody up, is told once, and is found again. Method: it fails; from the third failure on a
// question is answered for it at once, but for one that probes.
TEST_F(PanelTest, TheDeadAreNotWaitedForAndAreFoundAgain) {
  make(1);
  ask(1);
  fail(sent_[0]);
  EXPECT_TRUE(told_.empty());  // Once is nothing: there is time to ask again.
  pass(1s);
  fail(sent_[1]);
  pass(2s);
  fail(sent_[2]);
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_EQ(told_[0].witness.saw, Saw::Error);
  EXPECT_EQ(said_, (std::vector<std::string>{"unknown>silent"}));
  EXPECT_EQ(panel_->readings()[0].last_error, "connection refused");
  ask(2);
  EXPECT_EQ(told_.size(), 1U);  // It is tried again in 4 s: in time for this one,
  ask(3, 8s);
  ASSERT_EQ(told_.size(), 2U);  // not for that one.
  EXPECT_THAT(told_[1].witness.detail, HasSubstr("not asked"));
  pass(4s);
  ASSERT_EQ(sent_.size(), 4U);
  ask(4);  // Whoever comes while it is tried does not wait for that.
  EXPECT_EQ(told_.size(), 3U);
  answer(sent_[3], core::Cause::HttpStatus);
  EXPECT_EQ(told_.size(), 4U);
  EXPECT_EQ(said_.back(), "silent>well");
  ask(5);
  EXPECT_EQ(sent_.size(), 5U);
}

TEST_F(PanelTest, OneThatDoesNotAnswerIsSilentNotWrong) {
  make(1);
  ask(1);
  now_ += 15s;
  fail(sent_[0], BatchEnd::How::TimedOut);
  ASSERT_EQ(told_.size(), 1U);  // No time is left to ask again.
  EXPECT_EQ(told_[0].witness.saw, Saw::Silent);
}

TEST_F(PanelTest, ABatchThatIsTooLargeIsDivided) {
  make(1, {.batch_max = 8, .batches_max = 1});
  ask(1);
  for (std::uint64_t id = 2; id <= 9; ++id) ask(id);
  answer(sent_[0], core::Cause::Ok);
  ASSERT_EQ(sent_[1].body["checks"].size(), 8U);
  end(sent_[1], batch_end(413, "", std::nullopt));
  ASSERT_EQ(sent_[2].body["checks"].size(), 4U);
  EXPECT_EQ(sent_[2].body["checks"][0]["url"], "http://s2/");  // In their order still.
  answer(sent_[2], core::Cause::Ok);
  answer(sent_[3], core::Cause::Ok);
  EXPECT_EQ(told_.size(), 9U);
}

TEST_F(PanelTest, OneThatAlwaysSeesItUpIsToldOnce) {
  make(1);
  for (std::uint64_t id = 1; id <= kUpsToContrary + 5; ++id) {
    ask(id);
    answer(sent_.back(), core::Cause::Ok);
  }
  EXPECT_EQ(said_, (std::vector<std::string>{"unknown>well", "well>contrary"}));
  ask(100);
  answer(sent_.back(), core::Cause::HttpStatus);
  EXPECT_EQ(said_.back(), "contrary>well");
}

// A site may be well where the verifier stands, however often it is asked: that makes no verifier one that always disagrees.
TEST_F(PanelTest, OneSiteThatItSeesUpMakesItNotContrary) {
  make(1);
  for (std::uint64_t id = 1; id <= kUpsToContrary + 5; ++id) {
    (void)panel_->ask(7,
                      {.id = id,
                       .subject = {"http://one/", std::make_shared<core::CheckOptions>()},
                       .deadline = now_ + 15s},
                      now());
    panel_->turn(now());
    answer(sent_.back(), core::Cause::Ok);
  }
  EXPECT_EQ(said_, std::vector<std::string>{"unknown>well"});
}

// A batch has one deadline: what has much more time is not cut short by what has little.
TEST_F(PanelTest, WhatHasMoreTimeGoesWithALaterBatch) {
  make(1, {.batches_max = 1});
  ask(1);
  ask(2, 3s);
  ask(3, 3500ms);
  ask(4, 15s);
  answer(sent_[0], core::Cause::Ok);
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[1].body["checks"].size(), 2U);
  EXPECT_EQ(sent_[1].body["deadline_ms"], 2000);
  answer(sent_[1], core::Cause::Ok);
  ASSERT_EQ(sent_.size(), 3U);
  EXPECT_EQ(sent_[2].body["checks"][0]["url"], "http://s4/");
  EXPECT_EQ(sent_[2].body["deadline_ms"], 14'000);
}

TEST_F(PanelTest, WhatWasDroppedIsNotAskedAndNotTold) {
  make(1, {.batch_max = 8, .batches_max = 1});
  ask(1);
  ask(2);
  ask(3);
  panel_->drop(7, 1);
  panel_->drop(7, 2);
  answer(sent_[0], core::Cause::Ok);
  EXPECT_TRUE(told_.empty());
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[1].body["checks"].size(), 1U);
  EXPECT_EQ(sent_[1].body["checks"][0]["url"], "http://s3/");
}

TEST_F(PanelTest, RefusesMoreThanItMayHold) {
  make(1, {.questions_max = 2});
  EXPECT_TRUE(ask(1));
  EXPECT_TRUE(ask(2));
  EXPECT_FALSE(ask(3));
  answer(sent_[0], core::Cause::Ok);
  EXPECT_TRUE(ask(3));
}

// Goal: a verifier that sees up what does not exist is known before it is needed, its word is no vote, and it is believed again.
TEST_F(PanelTest, OneThatInventsNamesIsNotCountedUntilItPasses) {
  make(1, {.examine_every = 60s});
  panel_->turn(now());
  ASSERT_EQ(sent_.size(), 1U);  // At once, for whom nobody has asked anything yet.
  EXPECT_EQ(sent_[0].body["checks"][0]["url"], kNowhere);
  mark(sent_[0], {core::Cause::Ok});
  EXPECT_EQ(said_, std::vector<std::string>{"unknown>well"});  // Once is not enough.
  ask(1);
  answer(sent_[1], core::Cause::Ok);
  EXPECT_EQ(told_[0].witness.saw, Saw::Up);
  pass(5s);
  ASSERT_EQ(sent_.size(), 3U);
  mark(sent_[2], {core::Cause::Ok});
  EXPECT_EQ(said_.back(), "well>wrong");
  EXPECT_THAT(panel_->readings()[0].last_error, HasSubstr("does not exist"));
  ask(2);
  answer(sent_[3], core::Cause::HttpStatus);
  EXPECT_EQ(told_[1].witness.saw, Saw::NotMeasured);
  EXPECT_THAT(told_[1].witness.detail, HasSubstr("it said down"));
  EXPECT_EQ(said_.back(), "well>wrong");  // Told once.
  pass(60s);
  mark(sent_[4], {core::Cause::DnsNxdomain});
  EXPECT_EQ(said_.back(), "wrong>well");
  ask(3);
  answer(sent_[5], core::Cause::HttpStatus);
  EXPECT_EQ(told_[2].witness.saw, Saw::Down);
  EXPECT_EQ(panel_->stats(0).exams_failed.value(), 2U);
  EXPECT_EQ(panel_->stats(0).exams_passed.value(), 1U);
}

// Goal: one that sees everything down is noticed by what is up. Method: our canaries; one of them alone proves nothing, nor do they
// while we do not see them up ourselves, nor what it did not measure.
TEST_F(PanelTest, OneThatSeesAllCanariesDownIsNotCounted) {
  using core::Cause;
  make(1, {.examine_every = 60s});
  panel_->set_canaries({"http://c1/", "http://c2/"});
  panel_->turn(now());
  ASSERT_EQ(sent_[0].body["checks"].size(), 3U);
  mark(sent_[0], {Cause::DnsNxdomain, Cause::ConnectRefused, Cause::Ok});
  pass(60s);
  mark(sent_[1], {Cause::DnsNxdomain, Cause::ConnectRefused, Cause::LocalNetwork});
  pass(60s);
  well_here_ = false;
  mark(sent_[2], {Cause::DnsNxdomain, Cause::ConnectRefused, Cause::ConnectRefused});
  EXPECT_EQ(panel_->stats(0).exams_failed.value(), 0U);
  pass(60s);
  EXPECT_EQ(sent_[3].body["checks"].size(), 1U);  // Not asked: it would prove nothing.
  mark(sent_[3], {Cause::DnsNxdomain});
  well_here_ = true;
  pass(60s);
  mark(sent_[4], {Cause::DnsNxdomain, Cause::ConnectRefused, Cause::ConnectTimeout});
  pass(5s);
  mark(sent_[5], {Cause::DnsNxdomain, Cause::ConnectRefused, Cause::ConnectTimeout});
  EXPECT_EQ(said_, (std::vector<std::string>{"unknown>well", "well>wrong"}));
}

// Goal: a dead verifier, or one with another token, is known without an outage; and one that takes small batches is examined with
// fewer canaries.
TEST_F(PanelTest, TheDeadAreNoticedBeforeTheyAreNeeded) {
  make(1, {.examine_every = 60s});
  panel_->turn(now());
  end(sent_[0], batch_end(401, "", std::nullopt));
  pass(1s);
  end(sent_[1], batch_end(401, "", std::nullopt));
  pass(2s);
  end(sent_[2], batch_end(401, "", std::nullopt));
  EXPECT_EQ(said_, std::vector<std::string>{"unknown>silent"});
  EXPECT_THAT(panel_->readings()[0].last_error, HasSubstr("token"));
  pass(60s);
  mark(sent_[3], {core::Cause::DnsNxdomain});
  EXPECT_EQ(said_.back(), "silent>well");
  panel_->set_canaries({"http://c1/", "http://c2/", "http://c3/"});
  pass(60s);
  ASSERT_EQ(sent_[4].body["checks"].size(), 4U);
  end(sent_[4], batch_end(400, "", std::nullopt));
  pass(1ms);
  EXPECT_EQ(sent_[5].body["checks"].size(), 2U);
}

// Goal: a restart, or a link that breaks for a moment, is one failure, however much was under way. Method: eight batches end in one
// instant; a second later all of it is asked again.
TEST_F(PanelTest, WhatFailsTogetherIsOneFailure) {
  make(1);
  for (std::uint64_t id = 1; id <= 8; ++id) ask(id);
  ASSERT_EQ(sent_.size(), 8U);
  for (std::size_t i = 0; i < 8; ++i) fail(sent_[i]);
  EXPECT_TRUE(told_.empty());
  EXPECT_NE(panel_->readings()[0].standing, Standing::Silent);
  pass(1s);
  ASSERT_EQ(sent_.size(), 9U);
  EXPECT_EQ(sent_[8].body["checks"].size(), 8U);
  answer(sent_[8], core::Cause::HttpStatus);
  EXPECT_EQ(told_.size(), 8U);
}

// Goal: nobody is sent of whom nothing can be known in time. Method: they wait behind a verifier that is full for too long.
TEST_F(PanelTest, WhoHasTooLittleTimeIsNotSentAnyMore) {
  make(1, {.batches_max = 1});
  ask(1);
  ask(2);
  pass(10s);  // 5 s are left: less than a check and its way may take.
  answer(sent_[0], core::Cause::Ok);
  EXPECT_EQ(sent_.size(), 1U);
  ASSERT_EQ(told_.size(), 2U);
  EXPECT_EQ(told_[0].witness.saw, Saw::Overloaded);
  // Who never had more is sent all the same.
  ask(3, 2s);
  ASSERT_EQ(sent_.size(), 2U);
}

TEST_F(PanelTest, WhatWaitsIsSpreadOverTheBatchesThatMayGo) {
  make(1, {.batches_max = 4});
  for (std::uint64_t id = 1; id <= 4; ++id) ask(id);
  for (std::uint64_t id = 5; id <= 84; ++id) ask(id);
  for (std::size_t i = 0; i < 4; ++i) fail(sent_[i]);
  pass(1s);  // 84 wait.
  ASSERT_EQ(sent_.size(), 8U);
  for (std::size_t i = 4; i < 8; ++i) EXPECT_EQ(sent_[i].body["checks"].size(), 21U);
}

TEST_F(PanelTest, WhatWasTooLargeOnceMayFitLater) {
  make(1, {.batch_max = 8, .batches_max = 1});
  ask(1);
  for (std::uint64_t id = 2; id <= 9; ++id) ask(id);
  answer(sent_[0], core::Cause::Ok);
  end(sent_[1], batch_end(413, "", std::nullopt));
  EXPECT_EQ(panel_->stats(0).divided_batches.value(), 1U);
  EXPECT_EQ(panel_->stats(0).failed_batches.value(), 0U);
  for (std::uint64_t id = 10; id <= 60; ++id) ask(id);
  std::size_t largest = 0;
  for (std::size_t i = 2; i < 10; ++i) {
    ASSERT_GT(sent_.size(), i);
    largest = std::max(largest, sent_[i].body["checks"].size());
    answer(sent_[i], core::Cause::Ok);
  }
  EXPECT_EQ(largest, 8U);
}

TEST_F(PanelTest, OverloadIsToldOnceThoughSomeIsAnswered) {
  make(1);
  ask(1);
  answer(sent_.back(), core::Cause::HttpStatus);
  for (std::uint64_t id = 2; id <= 6; ++id) {
    ask(id);
    end(sent_.back(), batch_end(503, "", 1s));
    pass(1s);
    answer(sent_.back(), core::Cause::HttpStatus);
  }
  EXPECT_EQ(said_, (std::vector<std::string>{"unknown>well", "well>overloaded"}));
  pass(30s);
  ask(7);
  answer(sent_.back(), core::Cause::HttpStatus);
  EXPECT_EQ(said_.back(), "overloaded>well");
}

// One that refuses answers: it is not silent, whatever it did before.
TEST_F(PanelTest, WhoRefusesIsThere) {
  make(1);
  ask(1);
  for (const core::Duration hold : {1s, 2s, 4s}) {
    fail(sent_.back());
    if (hold < 4s) pass(hold);
  }
  ASSERT_EQ(panel_->readings()[0].standing, Standing::Silent);
  ask(2);
  pass(4s);
  end(sent_.back(), batch_end(503, "", 1s));
  EXPECT_EQ(panel_->readings()[0].standing, Standing::Overloaded);
}

// A site that is well by now, and that it rightly sees up, says nothing against it.
TEST_F(PanelTest, WhatNobodyAsksAnyMoreMakesNobodyContrary) {
  make(1);
  for (std::uint64_t id = 1; id <= kUpsToContrary + 5; ++id) {
    ask(id);
    panel_->drop(7, id);
    answer(sent_.back(), core::Cause::Ok);
  }
  EXPECT_EQ(said_, std::vector<std::string>{"unknown>well"});
  EXPECT_EQ(panel_->stats(0).answers[static_cast<std::size_t>(Saw::Up)].value(), 0U);
}

// Goal: what stood still were we. Method: 20 s pass in one turn; the batch under way is answered then.
TEST_F(PanelTest, WhatWeSleptThroughIsNobodysSilence) {
  make(1, {.batches_max = 1});
  ask(1);
  ask(2);
  now_ += 20s;
  panel_->stalled(20s);
  panel_->turn(now());
  EXPECT_TRUE(told_.empty());
  answer(sent_[0], core::Cause::Ok);
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_EQ(told_[0].witness.saw, Saw::Up);
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[1].body["deadline_ms"], 14'000);
}

// A name that is known only in our network is not known elsewhere: that is no vote. What is reached there is one.
TEST_F(PanelTest, WhatPointsIntoOurNetworkNeedNotHaveANameElsewhere) {
  make(1);
  core::CheckOptions inward;
  inward.allow_private = true;
  for (const core::Cause cause : {core::Cause::DnsNxdomain, core::Cause::HttpStatus}) {
    (void)panel_->ask(7,
                      {.id = 50 + sent_.size(),
                       .subject = {.url = "http://intranet/",
                                   .options = std::make_shared<core::CheckOptions>(inward)},
                       .deadline = now_ + 15s},
                      now());
    panel_->turn(now());
    answer(sent_.back(), cause);
  }
  ASSERT_EQ(told_.size(), 2U);
  EXPECT_EQ(told_[0].witness.saw, Saw::NotMeasured);
  EXPECT_THAT(told_[0].witness.detail, HasSubstr("not counted"));
  EXPECT_EQ(told_[1].witness.saw, Saw::Down);
}

TEST_F(PanelTest, AWrongTokenIsSaid) {
  EXPECT_THAT(batch_end(401, "", std::nullopt).problem, HasSubstr("token"));
  EXPECT_EQ(batch_end(500, "", std::nullopt).how, BatchEnd::How::Failed);
  EXPECT_EQ(batch_end(400, "", std::nullopt).how, BatchEnd::How::TooLarge);
}

}  // namespace
}  // namespace watchwheel::verify
