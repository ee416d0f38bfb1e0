// SPDX-License-Identifier: Apache-2.0
// Goal: what becomes of each attempt, and that no receiver is at another's expense. Method: a queue in memory, receivers that answer
// by script, and a clock that stands still until it is moved.
#include "sideeffects/delivery_worker.h"

#include <gtest/gtest.h>

#include "support/fake_channels.h"
#include "support/fake_delivery_queue.h"

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using testing::FakeChannels;
using testing::FakeDeliveryQueue;
using State = FakeDeliveryQueue::Row::State;

NotifyTarget target_of(const std::string& name) {
  NotifyTarget target;
  target.channel.name = name;
  target.channel.url = "https://" + name + ".example/";
  target.retry.kind = RetryKind::Fixed;
  target.retry.base = 10s;
  target.retry.attempts_max = 4;
  return target;
}

SendResult result_of(SendOutcome outcome, std::optional<core::Duration> after = {}) {
  return {.outcome = outcome, .retry_after = after, .status = 500, .detail = "it says no"};
}

struct World {
  core::ManualClock clock;
  FakeDeliveryQueue queue{clock};
  FakeChannels channels{clock};
  std::vector<std::string> warnings;
  std::unique_ptr<DeliveryWorker> worker;
  std::uint64_t run = 0;
  std::uint64_t made = 0;

  explicit World(const NotifyTargets& targets) { start(targets); }

  void start(const NotifyTargets& targets) {
    worker = std::make_unique<DeliveryWorker>(
        DeliveryWorker::Settings{
            .claimer = {.node = "host", .run = ++run},
            .warn = [this](const std::string& line) { warnings.push_back(line); }},
        queue, channels, std::make_shared<const NotifyTargets>(targets), clock, 7);
  }
  std::string queue_one(const std::string& target, std::uint64_t line) {
    Message message = test_message(target, clock.wall() + std::chrono::nanoseconds{++made});
    queue.insert({.target = target,
                  .kind = "test",
                  .message_id = message.id,
                  .line = line,
                  .site = {},
                  .body = encode_message(message),
                  .events = {},
                  .delay = {},
                  .instead_of = {}});
    return message.id;
  }
  // As the thread does: turns when it is due or an answer came, until nothing is left to do now.
  void settle() {
    for (int i = 0; i < 10'000; ++i) {
      const bool answered = channels.answer();
      const bool due = worker->next_turn().value_or(core::SteadyTime::max()) <= clock.steady();
      if (!answered && !due) return;
      worker->turn(clock.steady());
    }
    FAIL() << "it never comes to rest";
  }
  void run_for(core::Duration time, core::Duration step = 50ms) {
    for (core::Duration passed{}; passed < time; passed += step) {
      settle();
      clock.advance(step);
    }
    settle();
  }
  State state_of(const std::string& message_id) {
    for (const auto& row : queue.rows()) {
      if (row.what.message_id == message_id) return row.state;
    }
    return State::Cancelled;
  }
};

TEST(DeliveryWorker, DeliversWhatIsDueOnceAndInTheOrderOfItsLine) {
  World world({target_of("ops")});
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(world.queue_one("ops", 1));
  world.run_for(3s);
  std::vector<std::string> sent;
  for (const auto& one : world.channels.sent()) sent.push_back(one.id);
  EXPECT_EQ(sent, ids);
  for (const auto& row : world.queue.rows()) EXPECT_EQ(row.state, State::Done);
  EXPECT_TRUE(world.worker->idle());
  EXPECT_EQ(world.worker->stats().attempts[0][0].value(), 5U);
  EXPECT_EQ(world.worker->targets().at(0).delivered, 5U);
}

TEST(DeliveryWorker, EachOutcomeHasItsOwnEnd) {
  const struct {
    SendOutcome outcome;
    std::size_t attempts;
    State state;
    std::optional<DeathReason> reason;
  } rows[] = {
      {SendOutcome::Delivered, 1, State::Done, {}},
      {SendOutcome::Retry, 4, State::Dead, DeathReason::MaxAttempts},
      {SendOutcome::Permanent, 3, State::Dead, DeathReason::Permanent},
      {SendOutcome::Gone, 1, State::Dead, DeathReason::Gone},
  };
  for (const auto& row : rows) {
    World world({target_of("ops")});
    world.channels.script("ops", [&](const Attempt&) {
      return FakeChannels::Answer{.result = result_of(row.outcome), .takes = 10ms};
    });
    world.queue_one("ops", 1);
    world.run_for(10min, 500ms);
    EXPECT_EQ(world.channels.sent().size(), row.attempts) << to_string(row.outcome);
    EXPECT_EQ(world.queue.rows()[0].state, row.state) << to_string(row.outcome);
    EXPECT_EQ(world.queue.rows()[0].reason, row.reason) << to_string(row.outcome);
    std::set<std::string> ids;
    for (const auto& one : world.channels.sent()) ids.insert(one.id);
    EXPECT_EQ(ids.size(), 1U);
    for (std::size_t i = 0; i < world.channels.sent().size(); ++i)
      EXPECT_EQ(world.channels.sent()[i].number, i + 1);
  }
}

// Goal: whoever has taken some of a message is told the end of that. As a dead letter it would count as never told.
TEST(DeliveryWorker, WhatWasTakenInPartIsNotBuried) {
  for (const SendOutcome outcome : {SendOutcome::Permanent, SendOutcome::Retry}) {
    World world({target_of("ops")});
    world.channels.script("ops", [&](const Attempt&) {
      SendResult result = result_of(outcome);
      result.part_taken = true;
      return FakeChannels::Answer{.result = result, .takes = 10ms};
    });
    world.queue_one("ops", 1);
    world.run_for(10min, 500ms);
    EXPECT_EQ(world.channels.sent().size(), outcome == SendOutcome::Permanent ? 3U : 4U);
    EXPECT_EQ(world.queue.rows()[0].state, State::Done);
    EXPECT_EQ(world.worker->stats().dead.value(), 0U);
    ASSERT_EQ(world.warnings.size(), 1U);
    EXPECT_EQ(world.warnings[0].find("delivery_partly_refused target=ops"), 0U);
  }
}

TEST(DeliveryWorker, WaitsAsThePolicySaysAndAsTheReceiverAsks) {
  World world({target_of("ops")});
  int times = 0;
  world.channels.script("ops", [&](const Attempt&) {
    ++times;
    return FakeChannels::Answer{.result = times == 1 ? result_of(SendOutcome::Retry)
                                          : times == 2
                                              ? result_of(SendOutcome::Retry, 70s)
                                              : SendResult{.outcome = SendOutcome::Delivered,
                                                           .retry_after = {},
                                                           .status = 200,
                                                           .detail = ""},
                                .takes = {}};
  });
  world.queue_one("ops", 1);
  world.run_for(3min);
  const auto& sent = world.channels.sent();
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_GE(sent[1].at - sent[0].at, 10s);
  EXPECT_LE(sent[1].at - sent[0].at, 10s + 200ms);
  EXPECT_GE(sent[2].at - sent[1].at, 70s);
  EXPECT_LE(sent[2].at - sent[1].at, 77s + 200ms);
}

TEST(DeliveryWorker, OwnTroubleCostsNoAttempt) {
  World world({target_of("ops")});
  int times = 0;
  world.channels.script("ops", [&](const Attempt& attempt) {
    EXPECT_EQ(attempt.number, 1U);
    const bool well = ++times > 6;
    return FakeChannels::Answer{.result = well ? SendResult{.outcome = SendOutcome::Delivered,
                                                            .retry_after = {},
                                                            .status = 200,
                                                            .detail = ""}
                                               : result_of(SendOutcome::NotSent),
                                .takes = {}};
  });
  world.queue_one("ops", 1);
  world.run_for(5min);
  EXPECT_EQ(world.queue.rows()[0].state, State::Done);
  EXPECT_EQ(world.queue.rows()[0].attempts, 1U);
}

TEST(DeliveryWorker, GoneTargetIsLeftAloneUntilItsConfigurationIsReadAgain) {
  World world({target_of("ops"), target_of("dev")});
  bool gone = true;
  world.channels.script("ops", [&](const Attempt&) {
    return FakeChannels::Answer{.result = gone ? result_of(SendOutcome::Gone)
                                               : SendResult{.outcome = SendOutcome::Delivered,
                                                            .retry_after = {},
                                                            .status = 200,
                                                            .detail = ""},
                                .takes = {}};
  });
  world.queue_one("ops", 1);
  world.queue_one("dev", 1);
  world.run_for(1s);
  for (std::uint64_t line = 2; line < 12; ++line) world.queue_one("ops", line);
  world.run_for(2min, 500ms);
  EXPECT_EQ(world.channels.sent_to("ops").size(), 1U);
  EXPECT_EQ(world.channels.sent_to("dev").size(), 1U);
  for (const auto& row : world.queue.rows_of("ops")) {
    EXPECT_EQ(row.state, State::Dead);
    EXPECT_EQ(row.reason, DeathReason::Gone);
  }
  EXPECT_TRUE(world.worker->targets().at(1).gone);

  gone = false;
  world.worker->set_targets(
      std::make_shared<const NotifyTargets>(NotifyTargets{target_of("ops"), target_of("dev")}));
  const std::string id = world.queue_one("ops", 20);
  world.run_for(3s);
  EXPECT_EQ(world.state_of(id), State::Done);
}

// Goal: what the old place says after a reload has named a new one is not held against that: not that it is gone, not that the
// message is refused, not its failures.
TEST(DeliveryWorker, LateAnswerOfAPlaceThatWasReplacedSaysNothingOfTheNewOne) {
  for (const SendOutcome late : {SendOutcome::Gone, SendOutcome::Permanent, SendOutcome::Retry,
                                 SendOutcome::NotSent, SendOutcome::Delivered}) {
    SCOPED_TRACE(to_string(late));
    NotifyTarget target = target_of("ops");
    target.in_flight_max = 8;
    target.retry.attempts_max = 1;
    World world({target});
    world.channels.script("ops", [&](const Attempt& attempt) {
      const bool old_one = attempt.target->url == "https://ops.example/";
      return FakeChannels::Answer{.result = result_of(old_one ? late : SendOutcome::Delivered),
                                  .takes = old_one ? core::Duration{3s} : core::Duration{10ms}};
    });
    for (std::uint64_t line = 1; line <= 8; ++line) world.queue_one("ops", line);
    world.run_for(1s);
    ASSERT_EQ(world.channels.sent().size(), 8U);
    target.channel.url = "https://new.example/";
    world.worker->set_targets(std::make_shared<const NotifyTargets>(NotifyTargets{target}));
    world.run_for(10s);
    for (const auto& row : world.queue.rows()) EXPECT_EQ(row.state, State::Done);
    EXPECT_EQ(world.channels.sent().size(), late == SendOutcome::Delivered ? 8U : 16U);
    EXPECT_FALSE(world.worker->targets().at(0).gone);
    EXPECT_EQ(world.worker->targets().at(0).circuit, CircuitState::Closed);
    EXPECT_EQ(world.worker->stats().dead.value(), 0U);
  }
}

// Goal: one dead and one slow receiver among fifty do not delay the others.
TEST(DeliveryWorker, DeadAndSlowReceiversHoldOnlyTheirOwnPlaces) {
  NotifyTargets targets;
  for (int i = 0; i < 50; ++i) targets.push_back(target_of("t" + std::to_string(i)));
  World world(targets);
  world.channels.set_attempts_max(32);
  world.channels.script("t0", [](const Attempt&) {
    return FakeChannels::Answer{.result = result_of(SendOutcome::Retry), .takes = 15s};
  });
  world.channels.script("t1", [](const Attempt&) {
    return FakeChannels::Answer{.result = {.outcome = SendOutcome::Delivered,
                                           .retry_after = {},
                                           .status = 200,
                                           .detail = ""},
                                .takes = 14s};
  });
  for (int i = 2; i < 50; ++i) {
    world.channels.script("t" + std::to_string(i), [](const Attempt&) {
      return FakeChannels::Answer{.result = {.outcome = SendOutcome::Delivered,
                                             .retry_after = {},
                                             .status = 200,
                                             .detail = ""},
                                  .takes = 20ms};
    });
  }
  // 200 a second for ten seconds, all receivers alike.
  core::Duration worst{};
  std::map<std::string, core::SteadyTime> queued;
  std::uint64_t line = 0;
  for (int step = 0; step < 200; ++step) {
    for (int i = 0; i < 10; ++i) {
      const std::string target = "t" + std::to_string(++line % 50);
      queued[world.queue_one(target, line)] = world.clock.steady();
    }
    world.worker->note_new();
    world.worker->turn(world.clock.steady());
    for (int i = 0; i < 5; ++i) {
      world.settle();
      world.clock.advance(10ms);
    }
  }
  world.run_for(1s, 10ms);
  for (const auto& one : world.channels.sent()) {
    if (one.target != "t0" && one.target != "t1") worst = std::max(worst, one.at - queued[one.id]);
  }
  EXPECT_LT(worst, 1s);
  for (int i = 2; i < 50; ++i) {
    for (const auto& row : world.queue.rows_of("t" + std::to_string(i)))
      EXPECT_EQ(row.state, State::Done);
  }
  EXPECT_LE(world.channels.most_seen(), 32U);
  EXPECT_LE(world.channels.sent_to("t0").size(), 5U);
}

TEST(DeliveryWorker, NoTargetGetsMoreAtOnceThanItMay) {
  NotifyTarget target = target_of("ops");
  target.in_flight_max = 3;
  World world({target});
  world.channels.script("ops", [](const Attempt&) {
    return FakeChannels::Answer{.result = {.outcome = SendOutcome::Delivered,
                                           .retry_after = {},
                                           .status = 200,
                                           .detail = ""},
                                .takes = 1s};
  });
  for (std::uint64_t line = 1; line <= 20; ++line) world.queue_one("ops", line);
  world.run_for(10s);
  EXPECT_EQ(world.channels.most_seen(), 3U);
  EXPECT_EQ(world.channels.sent().size(), 20U);
}

TEST(DeliveryWorker, RateIsKeptAndCostsNoAttempt) {
  NotifyTarget target = target_of("ops");
  target.rate = {.per_minute = 60, .burst = 5};
  World world({target});
  for (std::uint64_t line = 1; line <= 40; ++line) world.queue_one("ops", line);
  world.run_for(20s);
  EXPECT_GE(world.channels.sent().size(), 24U);
  EXPECT_LE(world.channels.sent().size(), 26U);
  world.run_for(30s);
  EXPECT_EQ(world.channels.sent().size(), 40U);
  for (const auto& row : world.queue.rows()) EXPECT_EQ(row.attempts, 1U);
}

TEST(DeliveryWorker, OpenCircuitLetsProbesThroughAndCostsNoAttempts) {
  NotifyTarget target = target_of("ops");
  target.retry.base = 1s;
  target.retry.attempts_max = 100;
  World world({target});
  bool well = false;
  world.channels.script("ops", [&](const Attempt&) {
    return FakeChannels::Answer{.result = well ? SendResult{.outcome = SendOutcome::Delivered,
                                                            .retry_after = {},
                                                            .status = 200,
                                                            .detail = ""}
                                               : result_of(SendOutcome::Retry),
                                .takes = 5ms};
  });
  for (std::uint64_t line = 1; line <= 50; ++line) world.queue_one("ops", line);
  world.run_for(10min, 250ms);
  const std::size_t tried = world.channels.sent().size();
  EXPECT_LT(tried, 20U);  // Five, then a probe after 30 s, 1 min, 2 min, 4 min.
  EXPECT_EQ(world.worker->targets().at(0).circuit, CircuitState::Open);
  std::uint64_t attempts = 0;
  for (const auto& row : world.queue.rows()) attempts += row.attempts;
  EXPECT_EQ(attempts, tried);
  well = true;
  world.run_for(16min, 250ms);
  for (const auto& row : world.queue.rows()) EXPECT_EQ(row.state, State::Done);
}

TEST(DeliveryWorker, StoreThatIsAwayLosesNothingAndAnswersAreToldWhenItIsBack) {
  World world({target_of("ops")});
  world.channels.script("ops", [](const Attempt&) {
    return FakeChannels::Answer{.result = {.outcome = SendOutcome::Delivered,
                                           .retry_after = {},
                                           .status = 200,
                                           .detail = ""},
                                .takes = 2s};
  });
  world.queue_one("ops", 1);
  world.run_for(1s);
  world.queue.set_away(true);
  world.run_for(20s);
  EXPECT_EQ(world.queue.rows()[0].state, State::Leased);
  world.queue.set_away(false);
  world.run_for(10s);
  EXPECT_EQ(world.queue.rows()[0].state, State::Done);
  EXPECT_EQ(world.channels.sent().size(), 1U);
  EXPECT_GT(world.worker->stats().errors.value(), 0U);
}

TEST(DeliveryWorker, LeaseOfALongAttemptIsKept) {
  NotifyTarget target = target_of("ops");
  target.channel.timeout = 5min;
  World world({target});
  world.channels.script("ops", [](const Attempt&) {
    return FakeChannels::Answer{.result = {.outcome = SendOutcome::Delivered,
                                           .retry_after = {},
                                           .status = 200,
                                           .detail = ""},
                                .takes = 4min};
  });
  world.queue_one("ops", 1);
  world.run_for(10min, 500ms);
  EXPECT_EQ(world.channels.sent().size(), 1U);
  EXPECT_EQ(world.queue.rows()[0].state, State::Done);
  EXPECT_EQ(world.worker->stats().stale.value(), 0U);
}

// Goal: what is claimed again while we are sending it (the store's clock was set forward, the machine slept) is sent once, is
// delivered with that answer, and holds one place, not one for good.
TEST(DeliveryWorker, OwnLeaseThatRanOutHoldsNoSecondPlace) {
  NotifyTarget ops = target_of("ops");
  ops.in_flight_max = 1;
  World world({ops});
  world.channels.script("ops", [](const Attempt&) {
    return FakeChannels::Answer{.result = {.outcome = SendOutcome::Delivered, .status = 200},
                                .takes = 3s};
  });
  const std::string first = world.queue_one("ops", 1);
  world.run_for(1500ms);
  ASSERT_EQ(world.channels.sent().size(), 1U);
  world.queue.expire_leases();
  world.worker->note_new();
  world.run_for(5s);
  EXPECT_EQ(world.channels.sent().size(), 1U);
  EXPECT_EQ(world.state_of(first), State::Done);
  const std::string second = world.queue_one("ops", 1);
  world.run_for(6s);
  EXPECT_EQ(world.state_of(second), State::Done);
  EXPECT_EQ(world.channels.sent().size(), 2U);
}

TEST(DeliveryWorker, DrainBeginsNothingAndGivesBackWhatIsUnderWay) {
  World world({target_of("ops")});
  world.channels.script("ops", [](const Attempt&) {
    return FakeChannels::Answer{.result = {.outcome = SendOutcome::Delivered,
                                           .retry_after = {},
                                           .status = 200,
                                           .detail = ""},
                                .takes = 3s};
  });
  world.queue_one("ops", 1);
  world.run_for(100ms);
  world.worker->drain();
  world.queue_one("ops", 2);
  world.run_for(1s);
  EXPECT_EQ(world.channels.sent().size(), 1U);
  EXPECT_FALSE(world.worker->idle());
  world.worker->abandon();
  EXPECT_EQ(world.queue.rows()[0].state, State::Waiting);
  EXPECT_EQ(world.queue.rows()[0].attempts, 1U) << "the receiver may have it";
  // Its late answer is not heard.
  world.clock.advance(5s);
  world.channels.answer();
  world.worker->turn(world.clock.steady());
  EXPECT_EQ(world.queue.rows()[0].state, State::Waiting);
}

TEST(DeliveryWorker, DrainWaitsForWhatIsUnderWay) {
  World world({target_of("ops")});
  world.channels.script("ops", [](const Attempt&) {
    return FakeChannels::Answer{.result = {.outcome = SendOutcome::Delivered,
                                           .retry_after = {},
                                           .status = 200,
                                           .detail = ""},
                                .takes = 3s};
  });
  world.queue_one("ops", 1);
  world.run_for(100ms);
  world.worker->drain();
  world.run_for(4s);
  EXPECT_TRUE(world.worker->idle());
  EXPECT_EQ(world.queue.rows()[0].state, State::Done);
}

TEST(DeliveryWorker, NewRunTakesWhatTheFormerOneHadUnderWay) {
  World world({target_of("ops")});
  world.channels.script("ops", [&](const Attempt&) {
    return FakeChannels::Answer{.result = {.outcome = SendOutcome::Delivered,
                                           .retry_after = {},
                                           .status = 200,
                                           .detail = ""},
                                .takes = 10s};
  });
  const std::string id = world.queue_one("ops", 1);
  world.run_for(100ms);
  world.start({target_of("ops")});  // The process was killed.
  world.run_for(500ms);
  ASSERT_EQ(world.channels.sent().size(), 2U);
  EXPECT_EQ(world.channels.sent()[1].id, id);
  world.run_for(30s);
  EXPECT_EQ(world.queue.rows()[0].state, State::Done);
  EXPECT_EQ(world.channels.sent().size(), 2U);
}

TEST(DeliveryWorker, TargetThatIsNotConfiguredIsBuriedAfterAWhileAndNotBefore) {
  World world({target_of("ops")});
  world.queue_one("was_here", 1);
  world.run_for(9min, 500ms);
  EXPECT_EQ(world.queue.rows()[0].state, State::Waiting);
  world.run_for(2min, 500ms);
  EXPECT_EQ(world.queue.rows()[0].state, State::Dead);
  EXPECT_EQ(world.queue.rows()[0].reason, DeathReason::NoTarget);
  EXPECT_TRUE(world.channels.sent().empty());
}

TEST(DeliveryWorker, TargetThatAnotherHostKnowsIsBuriedOnlyWhenThatHostIsGone) {
  World world({target_of("ops")});
  world.queue_one("theirs", 1);
  const std::vector<std::string> theirs{"theirs"};
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(world.queue.note_targets(theirs));
    world.run_for(1min, 1s);
  }
  world.run_for(8min, 1s);
  EXPECT_EQ(world.queue.rows()[0].state, State::Waiting);
  world.run_for(2min, 1s);
  EXPECT_EQ(world.queue.rows()[0].state, State::Dead);
  EXPECT_EQ(world.queue.rows()[0].reason, DeathReason::NoTarget);
}

TEST(DeliveryWorker, SaysWhichTargetsItKnowsAndNoOthersAnyMore) {
  World world({target_of("ops"), target_of("former")});
  world.queue_one("former", 1);
  world.channels.script("former", [](const Attempt&) {
    return FakeChannels::Answer{.result = result_of(SendOutcome::Retry, 24h), .takes = 10ms};
  });
  const auto seen = [&] {
    const auto levels = world.queue.levels();
    return levels ? levels->at(0).seen : std::nullopt;
  };
  world.run_for(10min, 1s);
  EXPECT_LE(seen(), 1min);
  world.worker->set_targets(std::make_shared<const NotifyTargets>(NotifyTargets{target_of("ops")}));
  world.run_for(5min, 1s);
  EXPECT_GE(seen(), 4min);
}

// While the store is away nobody can say what is known; whoever is back first must not take that for an answer.
TEST(DeliveryWorker, StoreThatWasAwayIsNoReasonToBuryWhatOthersKnow) {
  World world({target_of("ops")});
  world.queue_one("theirs", 1);
  const std::vector<std::string> theirs{"theirs"};
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(world.queue.note_targets(theirs));
    world.run_for(1min, 1s);
  }
  world.queue.set_away(true);
  world.run_for(15min, 1s);
  world.queue.set_away(false);
  world.run_for(5min, 1s);
  EXPECT_EQ(world.queue.rows()[0].state, State::Waiting);
  ASSERT_TRUE(world.queue.note_targets(theirs));
  world.run_for(8min, 1s);
  EXPECT_EQ(world.queue.rows()[0].state, State::Waiting);
}

// Goal: a receiver that comes back after weeks is not flooded with what nobody needs any more, but it hears of every end. Method: a
// receiver that is away for longer than the limit, with its circuit open, so that nothing is claimed.
TEST(DeliveryWorker, WhatHasWaitedTooLongIsBuriedButForEnds) {
  NotifyTarget target = target_of("ops");
  target.max_age = 30min;
  target.retry.attempts_max = 100;
  NotifyTarget patient = target_of("patient");
  patient.max_age = {};
  World world({target, patient});
  for (const char* name : {"ops", "patient"}) {
    world.channels.script(name, [&](const Attempt&) {
      return FakeChannels::Answer{.result = result_of(SendOutcome::Retry, 24h), .takes = 10ms};
    });
  }
  for (std::uint64_t i = 0; i < 700; ++i) (void)world.queue_one("ops", i);
  world.queue.insert({.target = "ops",
                      .kind = "up",
                      .message_id = "msg_end",
                      .line = 1000,
                      .site = {},
                      .body = encode_message(test_message("ops", world.clock.wall())),
                      .events = {},
                      .delay = {},
                      .instead_of = {}});
  const std::string waits = world.queue_one("patient", 1);
  world.run_for(29min, 1s);
  EXPECT_EQ(world.worker->stats().dead.value(), 0U);
  const std::string young = world.queue_one("ops", 2000);
  world.run_for(3min, 1s);
  EXPECT_EQ(world.worker->stats().dead.value(), 700U);
  for (const auto& row : world.queue.rows()) {
    const bool old = row.what.target == "ops" && row.what.message_id != young && row.what.kind != "up";
    EXPECT_EQ(row.state == State::Dead, old) << row.what.message_id;
    EXPECT_EQ(row.reason, old ? std::optional(DeathReason::TooOld) : std::nullopt);
  }
  EXPECT_EQ(world.state_of(waits), State::Waiting);
}

// Goal: one recipient whose server says "later" is asked again, but those that have the mail do not wait for him for long, and the place
// counts as well. Method: a mail of which some is taken, always.
TEST(DeliveryWorker, MailThatSomeHaveIsTriedAFewTimesMoreAndThePlaceIsWell) {
  NotifyTarget target = target_of("ops");
  target.channel.type = ChannelType::Email;
  target.retry.attempts_max = 20;
  World world({target});
  world.channels.script("ops", [&](const Attempt&) {
    SendResult result = result_of(SendOutcome::Retry);
    result.part_taken = true;
    return FakeChannels::Answer{.result = result, .takes = 10ms};
  });
  const std::string first = world.queue_one("ops", 1);
  for (std::uint64_t i = 2; i <= 10; ++i) (void)world.queue_one("ops", i);
  world.run_for(1s);
  EXPECT_EQ(world.channels.sent().size(), 10U) << "a place that takes something is not failing";
  EXPECT_EQ(world.worker->targets().at(0).circuit, CircuitState::Closed);
  world.run_for(60s);
  EXPECT_EQ(world.state_of(first), State::Done);
  EXPECT_EQ(world.channels.sent().size(), 10U * DeliveryWorker::kPartMailAttempts);
  EXPECT_EQ(world.worker->stats().dead.value(), 0U);
}

// Goal: taking away what is old costs no look at the whole queue. Method: more of it than goes at once, for a minute.
TEST(DeliveryWorker, OldRowsGoInSmallStepsAndLevelsAreReadEachHalfMinuteAllTheSame) {
  World world({target_of("ops")});
  world.queue.set_old_rows(25'000);
  world.run_for(20s);
  EXPECT_LT(world.queue.old_rows(), 17'000U);
  EXPECT_GT(world.queue.old_rows(), 10'000U) << "the store has others to serve";
  world.run_for(55s);
  EXPECT_EQ(world.queue.old_rows(), 0U);
  EXPECT_LE(world.queue.levels_read(), 3);
  EXPECT_GE(world.queue.levels_read(), 2);
}

TEST(DeliveryWorker, BodyThatCannotBeReadIsBuriedAndTheNextGoesOn) {
  World world({target_of("ops")});
  world.queue.insert({.target = "ops",
                      .kind = "down",
                      .message_id = "msg_x",
                      .line = 1,
                      .site = {},
                      .body = "{",
                      .events = {},
                      .delay = {},
                      .instead_of = {}});
  const std::string id = world.queue_one("ops", 1);
  world.run_for(3s);
  EXPECT_EQ(world.state_of("msg_x"), State::Dead);
  EXPECT_EQ(world.state_of(id), State::Done);
}

}  // namespace
}  // namespace watchwheel::sideeffects
