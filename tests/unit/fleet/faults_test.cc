// SPDX-License-Identifier: Apache-2.0
#include "fleet/faults.h"

#include <gtest/gtest.h>

#include <set>

#include "fleet/timeline.h"

namespace watchwheel::fleet {
namespace {

using std::chrono::seconds;

Config small() {
  Config config;
  config.sites = 100;
  config.https = 10;
  return config;
}

class FleetFaults : public ::testing::Test {
 protected:
  [[nodiscard]] Time at(int s) const { return start_ + seconds(s); }
  void set(FaultKind kind, SiteRange sites, int at_s, std::optional<Duration> lasts = {}) {
    EXPECT_EQ(board_.schedule({kind, sites, seconds(at_s), lasts}, start_, start_), "");
  }
  Time start_{seconds(1000)};
  SiteMap map_{small()};
  FaultBoard board_{map_};
};

TEST_F(FleetFaults, SwitchBeginsAndEndsOnTime) {
  set(FaultKind::Status500, {20, 29}, 60, seconds(30));
  EXPECT_EQ(board_.next(), at(60));
  board_.advance(at(59));
  EXPECT_EQ(board_.kind(20), FaultKind::None);
  board_.advance(at(60));
  EXPECT_EQ(board_.kind(19), FaultKind::None);
  EXPECT_EQ(board_.kind(20), FaultKind::Status500);
  EXPECT_EQ(board_.kind(29), FaultKind::Status500);
  EXPECT_EQ(board_.kind(30), FaultKind::None);
  board_.advance(at(90));
  EXPECT_EQ(board_.kind(20), FaultKind::None);
  EXPECT_TRUE(board_.was_broken(20));
  EXPECT_FALSE(board_.was_broken(30));
  EXPECT_EQ(board_.next(), Time::max());
}

TEST_F(FleetFaults, EndOfAnEarlierSwitchLeavesALaterOneAlone) {
  set(FaultKind::Status500, {0, 9}, 10, seconds(20));
  set(FaultKind::Status404, {5, 9}, 20, seconds(60));
  board_.advance(at(31));
  EXPECT_EQ(board_.kind(4), FaultKind::None);
  EXPECT_EQ(board_.kind(5), FaultKind::Status404);
  board_.advance(at(80));
  EXPECT_EQ(board_.kind(5), FaultKind::None);
}

TEST_F(FleetFaults, OddButHealthyIsNotBroken) {
  set(FaultKind::SlowOk, {0, 0}, 0);
  EXPECT_EQ(board_.kind(0), FaultKind::SlowOk);
  EXPECT_FALSE(board_.was_broken(0));
}

TEST_F(FleetFaults, NewWindowRemembersOnlyWhatIsStillBroken) {
  set(FaultKind::Reset, {0, 1}, 0);
  board_.clear({0, 0});
  board_.begin_window();
  EXPECT_FALSE(board_.was_broken(0));
  EXPECT_TRUE(board_.was_broken(1));
}

TEST_F(FleetFaults, TlsFaultsNeedHttpsSites) {
  EXPECT_EQ(board_.problem_of({FaultKind::TlsAlert, {0, 9}, {}, {}}), "");
  EXPECT_NE(board_.problem_of({FaultKind::TlsAlert, {9, 10}, {}, {}}).find("up to 9"),
            std::string::npos);
}

TEST_F(FleetFaults, TooManySwitchesAreRefused) {
  std::string problem;
  for (std::size_t i = 0; i <= FaultBoard::kSwitchesMax / 2 && problem.empty(); ++i) {
    problem = board_.schedule({FaultKind::Reset, {0, 0}, seconds(10), seconds(1)}, start_, start_);
  }
  EXPECT_NE(problem.find("too many"), std::string::npos);
  EXPECT_LE(board_.pending(), FaultBoard::kSwitchesMax);
}

TEST_F(FleetFaults, RunsJoinNeighbours) {
  set(FaultKind::Reset, {3, 5}, 0);
  set(FaultKind::Status404, {6, 6}, 0);
  const auto runs = board_.runs(10);
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].sites.first, 3U);
  EXPECT_EQ(runs[0].sites.last, 5U);
  EXPECT_EQ(runs[1].kind, FaultKind::Status404);
  EXPECT_EQ(board_.runs(1).size(), 1U);
}

TEST(FleetFaultTable, NamesAreUniqueAndLeadBack) {
  std::set<std::string_view> names;
  for (const FaultFacts& facts : fault_table()) {
    EXPECT_TRUE(names.insert(facts.name).second) << facts.name;
    EXPECT_EQ(fault_by_name(facts.name), facts.kind);
    EXPECT_EQ(is_broken(facts.kind), facts.cause != "ok") << facts.name;
  }
  EXPECT_FALSE(fault_by_name("nonsense"));
}

TEST_F(FleetFaults, TimelineIsReadInAnyOrderOfWords) {
  const Timeline timeline = parse_timeline("t.txt",
                                           "# a comment\n\n"
                                           "at=60s for=30s fault=status_500 sites=0-19\n"
                                           "  sites=all fault=silent at=2m # for good\r\n",
                                           board_, 100);
  EXPECT_TRUE(timeline.problems.empty());
  ASSERT_EQ(timeline.switches.size(), 2U);
  EXPECT_EQ(timeline.switches[0].kind, FaultKind::Status500);
  EXPECT_EQ(timeline.switches[0].lasts, seconds(30));
  EXPECT_EQ(timeline.switches[1].at, seconds(120));
  EXPECT_EQ(timeline.switches[1].sites.last, 99U);
  EXPECT_FALSE(timeline.switches[1].lasts);
}

TEST_F(FleetFaults, EveryBadLineOfATimelineIsNamed) {
  const Timeline timeline = parse_timeline("t.txt",
                                           "at=60 fault=status_500 sites=0\n"
                                           "at=60s fault=status_501 sites=0\n"
                                           "at=60s fault=status_500 sites=100\n"
                                           "at=60s fault=tls_alert sites=50\n"
                                           "fault=status_500 sites=0\n"
                                           "at=1s at=2s fault=status_500 sites=0\n"
                                           "at=1s fault=status_500 sites=0 color=red\n"
                                           "at=1s fault=status_500 sites=0",
                                           board_, 100);
  EXPECT_EQ(timeline.switches.size(), 1U);
  ASSERT_EQ(timeline.problems.size(), 7U);
  for (std::size_t i = 0; i < timeline.problems.size(); ++i) {
    EXPECT_EQ(timeline.problems[i].find("t.txt:" + std::to_string(i + 1) + ": error: "), 0U)
        << timeline.problems[i];
  }
}

TEST_F(FleetFaults, MissingTimelineFileIsAProblem) {
  EXPECT_EQ(load_timeline("/nonexistent/timeline", board_, 100).problems.size(), 1U);
}

}  // namespace
}  // namespace watchwheel::fleet
