// SPDX-License-Identifier: Apache-2.0
#include "scheduler/admission.h"

#include <gtest/gtest.h>

namespace watchwheel::scheduler {
namespace {

using core::SteadyTime;
using namespace std::chrono_literals;

constexpr Tier kPlain = Tier::Plain;
constexpr Tier kTls = Tier::Tls;

std::uint64_t refused(const Admission& admission, AdmissionReason reason) {
  return admission.stats().refused[static_cast<std::size_t>(reason)].value();
}

std::uint64_t admitted_until_refused(Admission& admission, Tier tier) {
  std::uint64_t n = 0;
  while (n < 10'000 && admission.admit(tier)) ++n;
  return n;
}

TEST(Admission, EachLimitRefusesUnderItsOwnReason) {
  struct Case {
    AdmissionLimits limits;
    AdmissionReason reason;
  };
  const Case cases[] = {
      {{.in_flight_max = 7, .descriptors = 8, .memory_bytes = 1 << 30}, AdmissionReason::InFlight},
      {{.in_flight_max = 0, .descriptors = 7, .memory_bytes = 1 << 30},
       AdmissionReason::Descriptors},
      {{.in_flight_max = 0, .descriptors = 9, .memory_bytes = 7 * kPlainProbeBytes},
       AdmissionReason::Memory}};
  for (const Case& c : cases) {
    Admission admission(c.limits);
    EXPECT_EQ(admitted_until_refused(admission, kPlain), 7U) << to_string(c.reason);
    for (std::size_t i = 0; i < kAdmissionReasonCount; ++i) {
      const auto reason = static_cast<AdmissionReason>(i);
      EXPECT_EQ(refused(admission, reason), reason == c.reason ? 1U : 0U) << to_string(reason);
    }
    EXPECT_EQ(admission.pressure(c.reason), 1);
    EXPECT_EQ(admission.limiting_reason(), c.reason);
    EXPECT_EQ(admission.limit(), 7U);
    admission.released(kPlain, 1s);
    EXPECT_LT(admission.pressure(c.reason), 1);
    EXPECT_TRUE(admission.admit(kPlain));
  }
}

TEST(Admission, ATlsProbeReservesMoreMemoryThanAPlainOne) {
  Admission admission({.memory_bytes = 3 * kTlsProbeBytes});
  EXPECT_EQ(admitted_until_refused(admission, kTls), 3U);
  admission.released(kTls, 1s);
  EXPECT_EQ(admitted_until_refused(admission, kPlain), kTlsProbeBytes / kPlainProbeBytes);
  EXPECT_EQ(admission.ceiling(), 3 * kTlsProbeBytes / kPlainProbeBytes);
  EXPECT_GT(bytes_of(Tier::Kept), bytes_of(kTls));
}

TEST(Admission, ABudgetSmallerThanOneProbeStillChecksOneAtATime) {
  Admission admission({.memory_bytes = 1});
  EXPECT_EQ(admission.limit(), 1U);
  EXPECT_EQ(admission.ceiling(), 1U);
  EXPECT_TRUE(admission.admit(kTls));
  EXPECT_FALSE(admission.admit(kPlain));
  admission.released(kTls, 1s);
  EXPECT_TRUE(admission.admit(kPlain));
}

TEST(Admission, WithNothingGivenIsStillBounded) {
  const Admission admission(AdmissionLimits{});
  EXPECT_EQ(admission.ceiling(), kInFlightMost);
  EXPECT_EQ(admission.limit(), kInFlightMost);
  EXPECT_EQ(admission.limiting_reason(), AdmissionReason::InFlight);
}

TEST(Admission, TheMemoryLimitFollowsTheMixOfTiers) {
  Admission admission({.memory_bytes = 1000 * kTlsProbeBytes});
  EXPECT_EQ(admission.limit(),
            1000U);  // Before anything is known, all is taken to be the dearer tier.
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(admission.admit(kPlain));
    admission.released(kPlain, 10ms);
  }
  EXPECT_GT(admission.limit(), 3150U);
  EXPECT_LE(admission.limit(), admission.ceiling());
}

TEST(Admission, WantedIsLittlesLawOverAllOutcomes) {
  Admission admission({.descriptors = 10});
  EXPECT_EQ(admission.wanted(), 64U);
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(admission.admit(kPlain));
    admission.released(kPlain, i % 2 == 0 ? 100ms : 1900ms);
  }
  admission.update(500, SteadyTime{1h});
  EXPECT_NEAR(static_cast<double>(admission.wanted()), 500 * 1.0 * 2, 20);
  EXPECT_EQ(admission.stats().wanted.value(), static_cast<double>(admission.wanted()));
  // It is told, not used: the limit stays what the machine affords.
  EXPECT_EQ(admission.limit(), 10U);
}

TEST(Admission, AWithdrawnProbeTeachesNothing) {
  Admission admission({.descriptors = 1});
  ASSERT_TRUE(admission.admit(kTls));
  admission.withdraw(kTls);
  EXPECT_EQ(admission.in_flight(), 0U);
  EXPECT_EQ(refused(admission, AdmissionReason::Descriptors), 1U) << "but it was refused";
  ASSERT_TRUE(admission.admit(kTls));
  admission.released(kTls, 8s);
  admission.update(100, SteadyTime{1h});
  EXPECT_EQ(admission.wanted(), 1600U);
}

TEST(Admission, ALaggingLoopStartsNothingBeyondAFloorUntilItHasCaughtUp) {
  Admission admission(AdmissionLimits{});
  const SteadyTime start{1h};
  admission.note_loop_lag(kLoopLagMax - 1ms, start);
  for (std::uint64_t i = 0; i < kInFlightFloor; ++i) ASSERT_TRUE(admission.admit(kPlain));
  admission.note_loop_lag(kLoopLagMax, start);
  EXPECT_FALSE(admission.admit(kPlain));
  EXPECT_EQ(refused(admission, AdmissionReason::LoopLag), 1U);
  EXPECT_EQ(admission.pressure(AdmissionReason::LoopLag), 1);
  EXPECT_EQ(admission.limiting_reason(), AdmissionReason::LoopLag);
  admission.note_loop_lag(kLoopLagMax / 2 + 1ms,
                          start + 10ms);  // Better, not good: no flapping around the limit.
  EXPECT_FALSE(admission.admit(kPlain));
  admission.note_loop_lag(kLoopLagMax / 2, start + 20ms);
  EXPECT_TRUE(admission.admit(kPlain));
}

// Goal: a host whose loop never catches up still checks something.
TEST(Admission, ALoopThatIsLateForEverKeepsAFloorInFlight) {
  Admission admission(AdmissionLimits{});
  for (int turn = 0; turn < 1000; ++turn) {
    const SteadyTime now{1h + turn * 300ms};
    admission.note_loop_lag(turn == 0 ? core::Duration{kLoopLagMax} : core::Duration{300ms}, now);
    admission.update(100, now);
    ASSERT_EQ(admitted_until_refused(admission, kPlain), turn == 0 ? kInFlightFloor : 1U);
    admission.released(kPlain, 300ms);
  }
}

TEST(Admission, LoopLagIsForgottenWhenNobodyRepeatsIt) {
  Admission admission(AdmissionLimits{});
  const SteadyTime start{1h};
  admission.note_loop_lag(10s, start);
  for (std::uint64_t i = 0; i < kInFlightFloor; ++i) ASSERT_TRUE(admission.admit(kPlain));
  admission.update(1, start + 999ms);
  EXPECT_FALSE(admission.admit(kPlain));
  admission.update(1, start + 1s);
  EXPECT_TRUE(admission.admit(kPlain));
}

TEST(Admission, TellsWhatItDecidedAutomatically) {
  Admission admission({.in_flight_max = 4, .descriptors = 8});
  ASSERT_TRUE(admission.admit(kPlain));
  ASSERT_TRUE(admission.admit(kPlain));
  admission.update(10, SteadyTime{1h});
  const AdmissionStats& stats = admission.stats();
  EXPECT_EQ(stats.in_flight.value(), 2);
  EXPECT_EQ(stats.limit.value(), 4);
  EXPECT_EQ(stats.limited_by.value(), static_cast<double>(AdmissionReason::InFlight));
  EXPECT_EQ(stats.pressure[static_cast<std::size_t>(AdmissionReason::InFlight)].value(), 0.5);
  EXPECT_EQ(stats.pressure[static_cast<std::size_t>(AdmissionReason::Descriptors)].value(), 0.25);
}

// Goal: with a third of a fleet timing out, what is wanted is the mean over all outcomes, and stands still. Method: results come
// in bunches, as they do: many quick ones, then the slow ones of ten seconds ago.
TEST(Admission, WantedStandsStillWhileAThirdOfTheFleetTimesOut) {
  Admission admission(AdmissionLimits{});
  SteadyTime now{1h};
  admission.update(3000, now);
  std::size_t least = SIZE_MAX;
  std::size_t most = 0;
  for (int tick = 0; tick < 1200; ++tick) {
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE(admission.admit(kPlain));
      // All the timeouts of a second end together.
      admission.released(kPlain, tick % 3 == 0 ? core::Duration{10s} : core::Duration{50ms});
    }
    now += 100ms;
    admission.update(3000, now);
    if (tick < 600) continue;
    least = std::min(least, admission.wanted());
    most = std::max(most, admission.wanted());
  }
  const double exact = 3000 * (10.0 + 2 * 0.05) / 3 * 2;
  EXPECT_NEAR(static_cast<double>(least), exact, exact * 0.02);
  EXPECT_NEAR(static_cast<double>(most), exact, exact * 0.02);
}

TEST(Admission, WhatIsWantedIsNotForgottenWhileNothingEnds) {
  Admission admission(AdmissionLimits{});
  ASSERT_TRUE(admission.admit(kPlain));
  admission.released(kPlain, 2s);
  for (int hour = 1; hour < 50; ++hour) admission.update(100, SteadyTime{std::chrono::hours{hour}});
  EXPECT_EQ(admission.wanted(), 400U);
}

// Goal: while answers wait, one check starts for each that ended, and none else; afterwards as many as there is room for.
TEST(Admission, AnswersThatWaitGoBeforeStarts) {
  Admission admission({.descriptors = 1000});
  admission.note_answers_left(true);
  EXPECT_EQ(admission.starts_left(), kInFlightFloor) << "with nothing in flight the work would stop";
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(admission.admit(kPlain));
  for (int i = 0; i < 16; ++i) {
    admission.note_answers_left(false);
    ASSERT_TRUE(admission.admit(kPlain));
  }
  admission.note_answers_left(true);
  EXPECT_EQ(admission.starts_left(), 0U);
  EXPECT_FALSE(admission.admit(kPlain));
  EXPECT_EQ(refused(admission, AdmissionReason::Cpu), 1U);

  for (int i = 0; i < 3; ++i) admission.released(kPlain, 50ms);
  admission.note_answers_left(true);
  EXPECT_EQ(admitted_until_refused(admission, kPlain), 3U);
  EXPECT_EQ(admission.in_flight(), 32U);

  admission.note_answers_left(false);
  EXPECT_EQ(admitted_until_refused(admission, kPlain), 968U);
}

TEST(Admission, TellsThatTheCpuLimitsWhenAnswersAreLeftMostOfTheTime) {
  Admission admission({.descriptors = 1000});
  SteadyTime now{1h};
  const auto turns = [&](int count, bool left) {
    for (int i = 0; i < count; ++i) {
      now += 10ms;
      admission.note_answers_left(left);
      admission.update(10, now);
    }
  };
  turns(300, false);
  EXPECT_EQ(admission.limiting_reason(), AdmissionReason::Descriptors);
  turns(300, true);
  EXPECT_EQ(admission.limiting_reason(), AdmissionReason::Cpu);
  EXPECT_NEAR(admission.pressure(AdmissionReason::Cpu), 1, 0.1);
  turns(300, false);
  EXPECT_NEAR(admission.pressure(AdmissionReason::Cpu), 0, 0.1);
}

// Goal: short memory starves no tier, whatever of the others is in flight.
TEST(Admission, ShortMemoryShedsTheLargeTiersDownToAFloorOfEach) {
  Admission admission(AdmissionLimits{});
  for (std::uint64_t i = 0; i < 10 * kInFlightFloor; ++i) ASSERT_TRUE(admission.admit(kPlain));
  admission.set_memory_relief({.refuse = {false, true, true}, .pressure = 0.9});
  EXPECT_FALSE(admission.sheds(kPlain));
  for (const Tier tier : {kTls, Tier::Kept}) {
    for (std::uint64_t i = 0; i < kInFlightFloor; ++i) {
      EXPECT_FALSE(admission.sheds(tier)) << i;
      ASSERT_TRUE(admission.admit(tier));
    }
    EXPECT_TRUE(admission.sheds(tier));
    admission.released(tier, 1s);
    EXPECT_FALSE(admission.sheds(tier));
    ASSERT_TRUE(admission.admit(tier));
  }
  EXPECT_EQ(refused(admission, AdmissionReason::MemoryResident), 2U);
  EXPECT_TRUE(admission.admit(kPlain));
  EXPECT_EQ(admission.limiting_reason(), AdmissionReason::MemoryResident);
  EXPECT_EQ(admission.pressure(AdmissionReason::MemoryResident), 0.9);
  // Nothing but the floor, where no tier is small enough.
  admission.set_memory_relief({.refuse = {true, true, true}, .pressure = 1});
  EXPECT_FALSE(admission.sheds(kTls));
  EXPECT_FALSE(admission.admit(kPlain));
  EXPECT_FALSE(admission.admit(kTls));
  admission.released(kTls, 1s);
  EXPECT_TRUE(admission.admit(kTls));
  EXPECT_FALSE(admission.admit(kTls));
  admission.set_memory_relief({});
  EXPECT_TRUE(admission.admit(Tier::Kept));
}

TEST(Admission, APortThatWasNotToBeHadIsToldForASecondAndRefusesNothing) {
  Admission admission(AdmissionLimits{});
  const SteadyTime start{1h};
  admission.note_no_port(start);
  admission.update(1, start + 500ms);
  EXPECT_EQ(admission.pressure(AdmissionReason::Ports), 1);
  EXPECT_TRUE(admission.admit(kPlain));
  admission.update(1, start + 1s);
  EXPECT_EQ(admission.pressure(AdmissionReason::Ports), 0);
}

TEST(AdmissionDeathTest, ReleasingWhatWasNotAdmittedIsOurMistake) {
  Admission admission(AdmissionLimits{});
  EXPECT_DEATH(admission.released(kPlain, 1s), "not admitted");
}

TEST(AdmissionReason, HasTheNamesOfTheMetricLabels) {
  EXPECT_EQ(to_string(AdmissionReason::InFlight), "in_flight");
  EXPECT_EQ(to_string(AdmissionReason::Descriptors), "descriptors");
  EXPECT_EQ(to_string(AdmissionReason::Memory), "memory");
  EXPECT_EQ(to_string(AdmissionReason::Ports), "ports");
  EXPECT_EQ(to_string(AdmissionReason::LoopLag), "loop_lag");
  EXPECT_EQ(to_string(AdmissionReason::Cpu), "cpu");
  EXPECT_EQ(to_string(AdmissionReason::MemoryResident), "memory_resident");
}

}  // namespace
}  // namespace watchwheel::scheduler
