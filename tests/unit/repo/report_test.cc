// SPDX-License-Identifier: Apache-2.0
// tools/lib/report.sh: whoever reads what continuous integration printed has nothing else, so it must say what failed and why.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>

#include "support/child_process.h"
#include "support/temp_dir.h"

namespace watchwheel::repo {
namespace {

using testing::Finished;
using testing::TempDir;

// What `command` of the report prints of a log of ctest.
std::string told(const std::string& log, const std::string& command = "report_failures \"$1\"") {
  const TempDir dir;
  dir.write("tests.log", log);
  const Finished done = testing::run_program(
      {"bash", "-c",
       "set -euo pipefail; . " WATCHWHEEL_SOURCE_DIR "/tools/lib/report.sh; " + command, "report",
       dir.file("tests.log"), dir.path()});
  EXPECT_EQ(done.status, 0) << done.err;
  return done.out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string lines(std::size_t count, const std::string& word) {
  std::string all;
  for (std::size_t i = 1; i <= count; ++i) all += word + " " + std::to_string(i) + "\n";
  return all;
}

const std::string kPassed =
    "      Start  1: unit_good\n"
    " 1/2 Test  #1: unit_good .......................   Passed    3.61 sec\n";

std::string failed(const std::string& output, const std::string& how = "***Failed  ") {
  return kPassed + " 2/2 Test  #2: unit_bad ........................" + how + "   1.22 sec\n" +
         "Running main() from ./googletest/src/gtest_main.cc\n" + output +
         "\n50% tests passed, 1 tests failed out of 2\n\nThe following tests FAILED:\n"
         "\t  2 - unit_bad (Failed)\nErrors while running CTest\n";
}

TEST(TestReport, SaysNothingOfWhatPassed) {
  EXPECT_EQ(told(kPassed + "\n100% tests passed, 0 tests failed out of 1\n"), "");
}

TEST(TestReport, SaysWhyACaseFailedAndNothingOfItsGoodNeighbour) {
  const std::string out = told(
      failed("[==========] Running 2 tests from 1 test suite.\n[ RUN      ] A.Good\nfine here\n"
             "[       OK ] A.Good (3 ms)\n[ RUN      ] Area/Table.X/tls\n" +
             lines(90, "talk") + "../t_test.cc:118: Failure\nFailed\ntls/expired: expected this\n" +
             lines(90, "chatter") +
             "[  FAILED  ] Area/Table.X/tls, where GetParam() = tls (14895 ms)\n"
             "[  FAILED  ] 1 test, listed below:\n"));
  EXPECT_TRUE(has(out, "unit_bad")) << out;
  EXPECT_TRUE(has(out, "[ RUN      ] Area/Table.X/tls\n")) << out;
  EXPECT_TRUE(has(out,
                  "talk 90\n  ../t_test.cc:118: Failure\n  Failed\n  tls/expired: expected this\n  "
                  "chatter 1\n"))
      << out;
  EXPECT_TRUE(has(out, "(14895 ms)")) << out;
  EXPECT_FALSE(has(out, "talk 1\n")) << out;
  EXPECT_FALSE(has(out, "chatter 90\n")) << out;
  EXPECT_FALSE(has(out, "fine here")) << out;
  EXPECT_FALSE(has(out, "listed below")) << out;
}

// Goal: a report is whole, also one that comes when all cases are done, and ends where it ends.
TEST(TestReport, ShowsASanitizersReport) {
  const std::string report = "==123==ERROR: LeakSanitizer: detected memory leaks\n" +
                             lines(50, "frame") + "SUMMARY: AddressSanitizer: 7 byte(s) leaked\n";
  const std::string out =
      told(failed("[==========] Running 1 test from 1 test suite.\n[ RUN      ] A.Good\n"
                  "[       OK ] A.Good (3 ms)\n[  PASSED  ] 1 test.\n" +
                  report + "afterwards\n"));
  EXPECT_TRUE(has(out, "LeakSanitizer: detected")) << out;
  EXPECT_TRUE(has(out, "frame 1\n")) << out;
  EXPECT_TRUE(has(out, "frame 50\n")) << out;
  EXPECT_TRUE(has(out, "7 byte(s) leaked")) << out;
  EXPECT_FALSE(has(out, "afterwards")) << out;
}

TEST(TestReport, ShowsTheEndOfACaseThatNeverEnded) {
  const std::string out = told(failed(
      "[==========] Running 1 test from 1 test suite.\n[ RUN      ] A.Dies\n" + lines(90, "talk"),
      "Subprocess aborted***Exception:"));
  EXPECT_TRUE(has(out, "never ended")) << out;
  EXPECT_TRUE(has(out, "[ RUN      ] A.Dies")) << out;
  EXPECT_TRUE(has(out, "talk 90\n")) << out;
  EXPECT_FALSE(has(out, "talk 2\n")) << out;
}

TEST(TestReport, ShowsWhatAScriptSaid) {
  EXPECT_TRUE(has(told(failed("no such file\n")), "no such file"));
}

TEST(TestReport, HasALimit) {
  std::string output = "[==========] Running 1000 tests from 1 test suite.\n";
  for (int i = 0; i < 1000; ++i)
    output +=
        "[ RUN      ] A.B\nt.cc:1: Failure\n" + lines(20, "talk") + "[  FAILED  ] A.B (1 ms)\n";
  const std::string out = told(failed(output));
  EXPECT_TRUE(has(out, "in the log alone"));
  EXPECT_LT(out.size(), 100000u);
}

TEST(TestReport, NamesTheLongest) {
  std::string log;
  for (int i = 10; i < 20; ++i) {
    log += " 1/2 Test  #1: unit_" + std::to_string(i) + " ......   Passed   " + std::to_string(i) +
           ".50 sec\n";
  }
  const std::string out = told(log, "report_slowest \"$1\" \"$2\"");
  EXPECT_TRUE(has(out, "19.5 s  unit_19\n     18.5 s  unit_18\n")) << out;
  EXPECT_TRUE(has(out, "unit_15")) << out;
  EXPECT_FALSE(has(out, "unit_14")) << out;
}

}  // namespace
}  // namespace watchwheel::repo
