// SPDX-License-Identifier: Apache-2.0
#include "app/logging.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

namespace watchwheel::app {
namespace {

constexpr std::int64_t kAt = 1795176000123;  // 2026-11-20T12:00:00.123Z

TEST(Logging, EachFormatHasItsShape) {
  const std::string line = "lease_lost bucket=7";
  EXPECT_EQ(format_log_line(LogFormat::Text, LogLevel::Warning, kAt, line),
            "2026-11-20T12:00:00.123Z warning lease_lost bucket=7");
  EXPECT_EQ(format_log_line(LogFormat::Journal, LogLevel::Warning, kAt, line),
            "<4>lease_lost bucket=7");
  EXPECT_EQ(format_log_line(LogFormat::Journal, LogLevel::Debug, kAt, line),
            "<7>lease_lost bucket=7");
  EXPECT_EQ(
      format_log_line(LogFormat::Json, LogLevel::Error, kAt, line),
      R"({"ts":"2026-11-20T12:00:00.123Z","level":"error","event":"lease_lost","message":"lease_lost bucket=7"})");
}

TEST(Logging, TextFromOutsideCannotMakeALineOrAJsonField) {
  const std::string line = "probe detail=\"a\n<3>forged\" \xff";
  for (const LogFormat format : {LogFormat::Text, LogFormat::Journal, LogFormat::Json}) {
    EXPECT_EQ(format_log_line(format, LogLevel::Info, kAt, line).find('\n'), std::string::npos);
  }
  EXPECT_TRUE(nlohmann::json::accept(format_log_line(LogFormat::Json, LogLevel::Info, kAt, line)));
}

TEST(Logging, AutoIsTheJournalsFormUnderSystemdOnly) {
  EXPECT_EQ(resolve_log_format(LogFormat::Auto, nullptr, nullptr, false), LogFormat::Text);
  EXPECT_EQ(resolve_log_format(LogFormat::Auto, "abc", nullptr, false), LogFormat::Journal);
  EXPECT_EQ(resolve_log_format(LogFormat::Auto, nullptr, "8:1", false), LogFormat::Journal);
  EXPECT_EQ(resolve_log_format(LogFormat::Auto, "abc", "8:1", true), LogFormat::Text);
  EXPECT_EQ(resolve_log_format(LogFormat::Json, "abc", "8:1", true), LogFormat::Json);
}

// Goal: what was logged before the end is written, at or above the level, and nothing goes to standard output.
TEST(Logging, WritesWhatIsQueuedBeforeItEnds) {
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  {
    LogConfig config;
    config.format = LogFormat::Text;
    config.level = LogLevel::Warning;
    const auto log = Logging::make(config);
    EXPECT_FALSE(log->enabled(LogLevel::Info));
    log->info("not_seen");
    log->warn("seen n=1");
    log->set_level(LogLevel::Debug);
    EXPECT_TRUE(log->enabled(LogLevel::Debug));
    log->debug("seen n=2");
    EXPECT_EQ(log->dropped(), 0U);
  }
  const std::string err = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_NE(err.find(" warning seen n=1\n"), std::string::npos) << err;
  EXPECT_NE(err.find(" debug seen n=2\n"), std::string::npos) << err;
  EXPECT_EQ(err.find("not_seen"), std::string::npos);
}

// Goal: a standard error that nobody reads costs lines, which are counted, and never the time of whoever logs.
// Method: it becomes a pipe that holds far less than what is logged, and is read only afterwards.
TEST(Logging, AStandardErrorThatIsStuckDropsLinesAndCountsThem) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  std::fflush(stderr);
  const int kept = ::dup(STDERR_FILENO);
  ASSERT_EQ(::dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
  ::close(ends[1]);
  auto log = Logging::make({});
  const std::string line = "event text=" + std::string(200, 'x');
  for (int i = 0; i < 20'000; ++i) log->info(line);  // 4 MB, into 64 KiB and a queue of 2048 lines.
  const std::uint64_t dropped = log->dropped();
  std::size_t lines = 0;
  std::thread reader([&lines, in = ends[0]] {
    std::array<char, 65536> chunk{};
    for (ssize_t got = 0; (got = ::read(in, chunk.data(), chunk.size())) > 0;) {
      lines += static_cast<std::size_t>(std::count(chunk.begin(), chunk.begin() + got, '\n'));
    }
  });
  log.reset();
  ::dup2(kept, STDERR_FILENO);  // The pipe's last writing end is gone: the reader ends.
  ::close(kept);
  reader.join();
  ::close(ends[0]);
  EXPECT_GT(dropped, 0U);
  EXPECT_EQ(lines + dropped, 20'000U);
}

}  // namespace
}  // namespace watchwheel::app
