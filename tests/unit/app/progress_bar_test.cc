// SPDX-License-Identifier: Apache-2.0
#include "app/progress_bar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ProgressBarTest : public ::testing::Test {
 protected:
  ProgressStyle style(std::size_t columns = 100) {
    ProgressStyle wanted;
    wanted.shown = true;
    wanted.columns = columns;
    wanted.doing = "importing";
    wanted.unit = "sites";
    return wanted;
  }
  // What was written since the last call.
  std::string written() {
    std::string text = err_.str();
    err_.str("");
    return text;
  }

  core::ManualClock clock_;
  std::ostringstream err_;
};

TEST_F(ProgressBarTest, ShowsShareRateAndWhatIsLeft) {
  ProgressBar bar(err_, style(), clock_);
  bar.update(0, 0);
  EXPECT_EQ(written(), "") << "what is quickly done shows nothing";
  clock_.advance(10s);
  bar.update(250'000, 0.25);
  EXPECT_EQ(
      written(),
      "\rimporting  ######..................  25 %  250,000 sites, 25,000/s, 30.0s left\x1b[K");
  bar.update(250'001, 0.25);
  EXPECT_EQ(written(), "") << "not drawn for every site";
  clock_.advance(100ms);
  bar.update(260'000, 0.26);
  EXPECT_THAT(written(), HasSubstr("260,000 sites"));
}

TEST_F(ProgressBarTest, TheRateIsOfTheLastSeconds) {
  ProgressBar bar(err_, style(), clock_);
  for (int second = 1; second <= 100; ++second) {
    clock_.advance(1s);
    bar.update(static_cast<std::uint64_t>(second), {});  // One a second …
  }
  (void)written();
  for (int second = 1; second <= 20; ++second) {
    clock_.advance(1s);
    bar.update(100 + static_cast<std::uint64_t>(second) * 50, {});  // … then fifty.
  }
  const std::string text = written();
  EXPECT_THAT(text.substr(text.rfind('\r')), HasSubstr("1,100 sites, 50/s"));
}

TEST_F(ProgressBarTest, WithoutTheWholeThereIsNoBarAndNoTimeLeft) {
  ProgressBar bar(err_, style(), clock_);
  clock_.advance(1s);
  bar.update(500, std::nullopt);
  EXPECT_EQ(written(), "\rimporting  500 sites, 500/s\x1b[K");
}

TEST_F(ProgressBarTest, TheLineIsTakenAwayForOthersAndAtTheEnd) {
  {
    ProgressBar bar(err_, style(), clock_);
    bar.clear();
    EXPECT_EQ(written(), "") << "nothing is there to be taken away";
    clock_.advance(1s);
    bar.update(500, 0.5);
    (void)written();
    bar.clear();
    EXPECT_EQ(written(), "\r\x1b[K");
    bar.update(501, 0.5);
    EXPECT_THAT(written(), HasSubstr("501 sites")) << "and comes back at once";
  }
  EXPECT_EQ(written(), "\r\x1b[K");
}

TEST_F(ProgressBarTest, NoLineIsWiderThanTheTerminal) {
  for (const std::size_t columns : {60U, 30U, 10U, 1U}) {
    ProgressBar bar(err_, style(columns), clock_);
    clock_.advance(1s);
    bar.update(123'456'789, 0.5);
    const std::string text = written();
    ASSERT_TRUE(text.starts_with("\r") && text.ends_with("\x1b[K"));
    EXPECT_LT(text.size() - 4, columns);
    bar.clear();
    (void)written();
  }
}

TEST_F(ProgressBarTest, WhereItIsNotShownNothingIsWritten) {
  ProgressStyle hidden = style();
  hidden.shown = false;
  {
    ProgressBar bar(err_, hidden, clock_);
    clock_.advance(10s);
    bar.update(500, 0.5);
    bar.clear();
  }
  EXPECT_EQ(written(), "");
  // A stream that is not the process's own is no terminal.
  std::istringstream in;
  std::ostringstream out;
  Io io{in, out, err_};
  EXPECT_FALSE(progress_for(io, true, false, "importing", "sites").shown);
}

}  // namespace
}  // namespace watchwheel::app
