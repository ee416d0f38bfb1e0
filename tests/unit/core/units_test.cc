// SPDX-License-Identifier: Apache-2.0
#include "core/units.h"

#include <gtest/gtest.h>

#include <utility>

namespace watchwheel::core {
namespace {

TEST(DurationText, ReadsANumberAndAUnit) {
  const std::pair<const char*, Duration> cases[] = {
      {"250ms", 250ms},  {"10s", 10s}, {"5m", 5min},    {"1h", 1h},
      {"1d", 24h},       {"0", 0s},    {"0s", 0s},      {"0ms", 0s},
      {"3650d", 87600h}, {"90s", 90s}, {"00010s", 10s}, {"315360000s", 87600h}};
  for (const auto& [text, expected] : cases) {
    const Result<Duration> read = parse_duration(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(*read, expected) << text;
  }
}

TEST(DurationText, RefusesAnythingElseAndSaysWhatWouldBeRight) {
  for (const char* text : {"",
                           "10",
                           "s",
                           "ms",
                           "-5s",
                           "+5s",
                           "1.5s",
                           "10 s",
                           " 10s",
                           "10s ",
                           "10S",
                           "5min",
                           "1h30m",
                           "1w",
                           "10us",
                           "0x10s",
                           "3651d",
                           "315360001s",
                           "99999999999999999999s",
                           "18446744073709551615ms"}) {
    const Result<Duration> read = parse_duration(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind, ErrorKind::Invalid);
    const bool helps = read.error().message.find("10s") != std::string::npos ||
                       read.error().message.find("3650d") != std::string::npos;
    EXPECT_TRUE(helps) << read.error().message;
  }
}

TEST(DurationText, ShowsOnlyTheBeginningOfALongText) {
  const Result<Duration> read = parse_duration(std::string(100'000, 'x'));
  ASSERT_FALSE(read);
  EXPECT_LT(read.error().message.size(), 200U);
}

TEST(DurationText, ShowsATextFromOutsideOnOneLine) {
  for (const std::string& message : {parse_duration("1\n2\x1b\x7f").error().message,
                                     parse_size("1\n2\x1b\x7f").error().message}) {
    EXPECT_TRUE(message.starts_with("\"1?2??\"")) << message;
  }
}

TEST(DurationText, IsWrittenInTheShortestExactForm) {
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_duration(250ms), "250ms");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(5min), "5m");
  EXPECT_EQ(format_duration(90min), "90m");
  EXPECT_EQ(format_duration(48h), "2d");
  EXPECT_EQ(format_duration(999us), "0s");
  EXPECT_EQ(format_duration(2ms + 999us), "2ms");
}

TEST(DurationText, IsReadBackAsWritten) {
  for (const Duration d :
       {Duration{0s}, Duration{1ms}, Duration{999ms}, Duration{1s}, Duration{61s}, Duration{1h},
        Duration{25h}, Duration{24h * 365}, Duration{87600h}}) {
    const Result<Duration> read = parse_duration(format_duration(d));
    ASSERT_TRUE(read) << format_duration(d);
    EXPECT_EQ(*read, d);
  }
}

TEST(DurationText, ForPeopleHasTwoUnitsAtMost) {
  EXPECT_EQ(humanize(0s), "0ms");
  EXPECT_EQ(humanize(250ms), "250ms");
  EXPECT_EQ(humanize(12'345ms), "12.3s");
  EXPECT_EQ(humanize(12s), "12s");
  EXPECT_EQ(humanize(59'999ms), "59.9s");  // Cut, not rounded: 60.0s would be a minute.
  EXPECT_EQ(humanize(60s), "1m");
  EXPECT_EQ(humanize(61s), "1m 1s");
  EXPECT_EQ(humanize(2h + 5min + 9s), "2h 5m");
  EXPECT_EQ(humanize(76h), "3d 4h");
  EXPECT_EQ(humanize(72h), "3d");
  EXPECT_EQ(humanize(-61s), "-1m 1s");
  EXPECT_EQ(humanize(Duration::min()).front(), '-');
}

TEST(SizeText, ReadsANumberAndAUnitOrBareBytes) {
  const std::pair<const char*, std::uint64_t> cases[] = {{"0", 0},
                                                         {"512", 512},
                                                         {"512B", 512},
                                                         {"64KiB", 64 * 1024},
                                                         {"1MiB", 1024 * 1024},
                                                         {"2GiB", 2ULL << 30U},
                                                         {"1TiB", 1ULL << 40U},
                                                         {"18446744073709551615", UINT64_MAX},
                                                         {"16777215TiB", 16777215ULL << 40U}};
  for (const auto& [text, expected] : cases) {
    const Result<std::uint64_t> read = parse_size(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(*read, expected) << text;
  }
}

TEST(SizeText, RefusesAnythingElseAndOverflow) {
  for (const char* text : {"", "MiB", "-1", "1.5MiB", "1 MiB", "1MB", "1mib", "1M",
                           "18446744073709551616", "16777216TiB"}) {
    const Result<std::uint64_t> read = parse_size(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind, ErrorKind::Invalid);
  }
  EXPECT_NE(parse_size("1MB").error().message.find("1MiB"), std::string::npos);
}

TEST(SizeText, IsReadBackAsWritten) {
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_size(1000), "1000B");
  EXPECT_EQ(format_size(64 * 1024), "64KiB");
  for (const std::uint64_t bytes :
       {0ULL, 1ULL, 1023ULL, 1024ULL, 1025ULL, 1ULL << 20U, 3ULL << 30U, ~0ULL}) {
    const Result<std::uint64_t> read = parse_size(format_size(bytes));
    ASSERT_TRUE(read) << format_size(bytes);
    EXPECT_EQ(*read, bytes);
  }
}

}  // namespace
}  // namespace watchwheel::core
