// SPDX-License-Identifier: Apache-2.0
// Every case of tests/cases through a checker, as strict as it is for a user: nothing is allowed that the case's own options do
// not allow. Many at once, as in a lane, and each by both exchanges: the one that users get, and libcurl, which is the reference.
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
#include "support/slow_build.h"
#include "support/two_exchanges.h"

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

// The answers to `cases` by both exchanges, in their order, at most `at_once` of them asked at a time.
std::vector<BothAnswers> ask(const std::vector<CheckCase>& cases, std::size_t at_once) {
  std::vector<Question> questions;
  for (const CheckCase& one : cases) {
    const auto options = core::merge_options(case_defaults(), one.options);
    EXPECT_TRUE(options) << one.name << ": options: " << options.error().message;
    questions.push_back({one.url, *options});
  }
  return TwoExchanges(strict_settings()).ask(questions, at_once);
}

long in_ms(core::Duration took) {
  return static_cast<long>(core::duration_cast<milliseconds>(took).count());
}

// One line, or "" when the answer is right and came in time.
std::string verdict(const CheckCase& one, const core::ProbeResult& answer) {
  const core::Duration took = answer.timings.total;
  std::string wrong = mismatch(one, answer);
  if (took > one.within * kSlowness) {
    wrong += (wrong.empty() ? "" : "; ") + std::string("too late: ") +
             std::to_string(in_ms(took)) + " ms, at most " +
             std::to_string(one.within.count() * kSlowness);
  }
  if (took < one.at_least) {
    wrong += (wrong.empty() ? "" : "; ") + std::string("too soon: ") +
             std::to_string(in_ms(took)) + " ms, at least " +
             std::to_string(one.at_least.count());
  }
  if (wrong.empty()) return "";
  return one.name + ": expected " + describe(one) + "; " + wrong;
}

// Of both exchanges, and where they differ.
std::string verdict(const CheckCase& one, const BothAnswers& answers) {
  std::string wrong = verdict(one, answers.chosen);
  if (const std::string by_curl = verdict(one, answers.curl); !by_curl.empty())
    wrong += (wrong.empty() ? "by libcurl: " : "; by libcurl: ") + by_curl;
  if (wrong.empty() && one.varies.empty()) {
    if (const std::string how = difference(answers.curl, answers.chosen); !how.empty())
      wrong = one.name + ": libcurl says " + how;
  }
  return wrong;
}

// The machine, not the checker, can make an answer late, and with it another one: what drips goes on while we stand still. Then it is
// asked again with nothing beside it.
bool is_only_late(const CheckCase& one, const core::ProbeResult& answer) {
  return is_our_haste(one, answer.cause) || answer.timings.total > one.within;
}
bool is_only_late(const CheckCase& one, const BothAnswers& answers) {
  return is_only_late(one, answers.curl) || is_only_late(one, answers.chosen);
}

// For who looks for one case: WATCHWHEEL_CASE=loop asks only those with "loop" in their names.
std::vector<CheckCase> chosen(std::vector<CheckCase> cases) {
  if (const char* part = getenv("WATCHWHEEL_CASE"); part != nullptr)
    std::erase_if(cases,
                  [&](const CheckCase& one) { return one.name.find(part) == std::string::npos; });
  return cases;
}

class CaseTable : public ::testing::TestWithParam<NamedArea> {};

// Goal: every case has the answer that is right, at its time, also while others are asked; and it is the same, to the last
// byte that a user may see, whichever exchange asks.
TEST_P(CaseTable, EveryCaseHasItsAnswerByBothExchanges) {
  const auto area = GetParam().make();
  const std::vector<CheckCase> cases = chosen(area->cases());
  const std::vector<BothAnswers> answers = ask(cases, kAtOnce);
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
