// SPDX-License-Identifier: Apache-2.0
// Every case of tests/cases through a checker, as strict as it is for a user: nothing is allowed that the case's own options do
// not allow. Many at once, as in a lane.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "cases/check_case.h"
#include "support/checker_driver.h"
#include "support/slow_build.h"

namespace watchwheel::testing {

// For GoogleTest, which would print bytes.
void PrintTo(const NamedArea& area, std::ostream* out) {
  *out << area.name;
}

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kAtOnce = 24;
constexpr std::size_t kCasesMin = 200;
constexpr std::size_t kCasesOfACauseMin = 2;

// No global allow; nobody to ask for names unless a case says whom.
checker::Settings strict_settings() {
  checker::Settings settings = loopback_settings();
  settings.allow.clear();
  settings.user_agent = "Watchwheel/0 (uptime monitor)";
  return settings;
}

struct Answer {
  core::ProbeResult result;
  core::Duration took{};
};

// The answers to `cases`, in their order, at most `at_once` of them asked at a time.
std::vector<Answer> ask(const std::vector<CheckCase>& cases, std::size_t at_once) {
  CheckerDriver driver(strict_settings());
  std::vector<Answer> answers(cases.size());
  std::vector<core::SteadyTime> started(cases.size());
  driver.hook = [&](checker::ProbeToken token, const core::ProbeResult& result) {
    answers[token] = {result, driver.now() - started[token]};
  };
  for (std::size_t next = 0; next < cases.size(); ++next) {
    while (next - driver.results() >= at_once) driver.turn_once(milliseconds{100});
    const CheckCase& one = cases[next];
    const auto options = core::merge_options(case_defaults(), one.options);
    if (!options) {
      ADD_FAILURE() << one.name << ": options: " << options.error().message;
      return answers;
    }
    started[next] = driver.now();
    EXPECT_EQ(driver.start(next, one.url, *options), checker::Start::Started) << one.name;
  }
  EXPECT_TRUE(driver.run(cases.size(), std::chrono::seconds{60})) << "results are missing";
  return answers;
}

long in_ms(core::Duration took) {
  return static_cast<long>(core::duration_cast<milliseconds>(took).count());
}

// One line, or "" when the answer is right and came in time.
std::string verdict(const CheckCase& one, const Answer& answer) {
  std::string wrong = mismatch(one, answer.result);
  if (answer.took > one.within * kSlowness) {
    wrong += (wrong.empty() ? "" : "; ") + std::string("too late: ") +
             std::to_string(in_ms(answer.took)) + " ms, at most " +
             std::to_string(one.within.count() * kSlowness);
  }
  if (answer.took < one.at_least) {
    wrong += (wrong.empty() ? "" : "; ") + std::string("too soon: ") +
             std::to_string(in_ms(answer.took)) + " ms, at least " +
             std::to_string(one.at_least.count());
  }
  if (wrong.empty()) return "";
  return one.name + ": expected " + describe(one) + "; " + wrong;
}

// The machine, not the checker, can make an answer late: then it is asked again with nothing beside it.
bool is_only_late(const CheckCase& one, const Answer& answer) {
  if (answer.result.cause == core::Cause::LocalOverload) return true;
  return mismatch(one, answer.result).empty() && answer.took > one.within * kSlowness;
}

// For who looks for one case: WATCHWHEEL_CASE=loop asks only those with "loop" in their names.
std::vector<CheckCase> chosen(std::vector<CheckCase> cases) {
  if (const char* part = getenv("WATCHWHEEL_CASE"); part != nullptr)
    std::erase_if(cases,
                  [&](const CheckCase& one) { return one.name.find(part) == std::string::npos; });
  return cases;
}

class CaseTable : public ::testing::TestWithParam<NamedArea> {};

// Goal: every case has the answer that is right, at its time, also while others are asked.
TEST_P(CaseTable, EveryCaseHasItsAnswer) {
  const auto area = GetParam().make();
  const std::vector<CheckCase> cases = chosen(area->cases());
  const std::vector<Answer> answers = ask(cases, kAtOnce);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::string wrong = verdict(cases[i], answers[i]);
    if (!wrong.empty() && is_only_late(cases[i], answers[i])) {
      std::printf("asked again: %s\n", wrong.c_str());
      wrong = verdict(cases[i], ask({cases[i]}, 1).front());
    }
    if (!wrong.empty()) ADD_FAILURE() << wrong;
  }
  std::printf("%s: %zu cases\n", GetParam().name, cases.size());
}

INSTANTIATE_TEST_SUITE_P(Area, CaseTable, ::testing::ValuesIn(case_areas()),
                         [](const auto& area) { return std::string(area.param.name); });

// The cases of all areas. Their servers are gone: only for laws of the table itself.
const std::vector<CheckCase>& all_cases() {
  static const std::vector<CheckCase> all = [] {
    std::vector<CheckCase> cases;
    for (const NamedArea& area : case_areas())
      for (CheckCase& one : area.make()->cases()) cases.push_back(std::move(one));
    return cases;
  }();
  return all;
}

TEST(CaseTableLaws, NamesAreUniqueAndBeginWithTheirArea) {
  std::set<std::string> areas;
  for (const NamedArea& area : case_areas()) areas.insert(area.name);
  std::set<std::string> names;
  for (const CheckCase& one : all_cases()) {
    EXPECT_TRUE(names.insert(one.name).second) << one.name << " is there twice";
    EXPECT_TRUE(areas.contains(one.name.substr(0, one.name.find('/')))) << one.name;
  }
}

TEST(CaseTableLaws, CausesStandInTheirPhases) {
  for (const CheckCase& one : all_cases())
    EXPECT_TRUE(phase_fits(one.cause, one.phase)) << one.name << ": " << describe(one);
}

// Goal: no case can end before it may, and none is given more time than its own deadline leaves.
TEST(CaseTableLaws, OptionsAreAcceptedAndTimesAreSane) {
  for (const CheckCase& one : all_cases()) {
    const auto options = core::merge_options(case_defaults(), one.options);
    ASSERT_TRUE(options) << one.name << ": " << options.error().message;
    EXPECT_LT(one.at_least, one.within) << one.name;
    EXPECT_LE(one.within, options->timeout + milliseconds{500}) << one.name;
  }
}

// Goal: the table is whole, and says how it is made up.
TEST(CaseTableLaws, EveryCauseIsThereTwice) {
  std::map<core::Cause, std::size_t> of_cause;
  std::map<std::string, std::size_t> of_area;
  for (const CheckCase& one : all_cases()) {
    ++of_cause[one.cause];
    ++of_area[one.name.substr(0, one.name.find('/'))];
  }
  for (const auto& [area, count] : of_area) std::printf("%4zu %s\n", count, area.c_str());
  for (std::size_t i = 0; i < core::kCauseCount; ++i) {
    const auto cause = static_cast<core::Cause>(i);
    std::printf("%4zu %s\n", of_cause[cause], std::string(to_string(cause)).c_str());
    const auto& exempt = causes_without_cases();
    const bool is_exempt = std::any_of(exempt.begin(), exempt.end(),
                                       [&](const auto& one) { return one.cause == cause; });
    EXPECT_TRUE(is_exempt || of_cause[cause] >= kCasesOfACauseMin) << to_string(cause);
  }
  EXPECT_GE(all_cases().size(), kCasesMin);
}

}  // namespace
}  // namespace watchwheel::testing
