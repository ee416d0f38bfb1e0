// SPDX-License-Identifier: Apache-2.0
#include "app/result_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "app/result_words.h"

namespace watchwheel::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::chrono_literals;

constexpr TextStyle kPlain{};
constexpr TextStyle kUtf8{.utf8 = true};

core::ProbeResult refused() {
  core::ProbeResult result;
  result.cause = core::Cause::ConnectRefused;
  result.phase = core::Phase::Connect;
  result.started_at = *core::parse_iso8601("2026-11-20T12:00:00.123Z");
  result.timings.dns = 1ms;
  result.timings.total = 2ms;
  result.address = "203.0.113.7";
  result.addresses_tried = 1;
  result.detail = "refused";
  return result;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

// Everything long, and from outside.
core::ProbeResult hostile() {
  core::ProbeResult result = refused();
  result.cause = core::Cause::HttpStatus;
  result.http_status = 500;
  result.detail = std::string(300, 'd') +
                  "\nUP  forged\x1b[2J \xc2\x9b"
                  "2J";
  auto tls = std::make_shared<core::TlsFacts>();
  tls->version = "TLSv1.3";
  tls->subject = "CN=" + std::string(300, 's');
  tls->issuer = "CN=gr\xc3\xbcn \xff, O=\nDOWN";
  for (int i = 0; i < 32; ++i) tls->sans.push_back("name-" + std::to_string(i) + ".shop.example");
  tls->not_after = result.started_at + 80h;
  tls->chain = {std::string(200, 'c') + " " + std::string(200, 'c')};
  result.tls = tls;
  result.redirects = 1;
  result.warnings.add(core::Warning::TlsExpiring);
  core::ProbeTrace trace;
  for (int i = 0; i < 2; ++i) {
    core::HopTrace& hop = trace.hops.emplace_back();
    hop.url = "https://shop.example/" + std::string(1900, 'u');
    hop.status = 302;
    for (int k = 0; k < 32; ++k)
      hop.addresses.push_back("2001:db8:1234:5678:9abc:def0:1234:" + std::to_string(1000 + k));
    hop.tries = {{hop.addresses[0], 100s, std::string(200, 'r') + "\n"}};
    hop.timings.total = 1ms;
    hop.response = {"X: " + std::string(5000, 'x'), "Y: \x1b]0;title\x07\r\nZ: forged"};
  }
  trace.findings = {std::string(90, 'f') + " " + std::string(900, 'f')};
  result.trace = std::make_shared<core::ProbeTrace>(trace);
  return result;
}

TEST(ResultText, BeginsWithTheVerdictAndItsCauseInWords) {
  core::ProbeResult result = refused();
  EXPECT_THAT(result_text("http://me:pw@a.example/", result, kPlain),
              StartsWith("DOWN  http://a.example/\n"
                         "  connect_refused: nobody listens: the connection was refused\n"
                         "  refused\n"
                         "  at 203.0.113.7, ended in phase connect, 2.0 ms in all\n"));
  result.cause = core::Cause::Ok;
  result.detail.clear();
  result.timings.connect = 1ms;
  result.http_status = 200;
  result.warnings.add(core::Warning::LatencyExceeded);
  EXPECT_THAT(
      result_text("http://a.example/", result, kPlain),
      AllOf(StartsWith("UP  http://a.example/\n  status 200, from 203.0.113.7, 2.0 ms in all\n"),
            HasSubstr("latency_exceeded    the check took longer than")));
  result.cause = core::Cause::LocalOverload;
  EXPECT_THAT(
      result_text("http://a.example/", result, kPlain),
      StartsWith("NOT MEASURED  http://a.example/\n  nothing can be said about the site\n"));
}

// Goal: nothing from outside writes a line of its own or speaks to the terminal, and no line is wider than the page.
TEST(ResultText, TextFromTheSiteStaysInItsPlace) {
  for (const TextStyle style :
       {TextStyle{.verbose = true}, TextStyle{.utf8 = true, .verbose = true}}) {
    const std::string text =
        result_text("http://a.example/" + std::string(2000, 'a') + "\n", hostile(), style);
    for (const std::string& line : lines_of(text)) {
      EXPECT_LE(characters(line), kPageColumns) << line;
      EXPECT_THAT(line, AllOf(Not(StartsWith("UP")), Not(HasSubstr("\x1b")), Not(HasSubstr("\x07")),
                              Not(HasSubstr("\xc2\x9b")), Not(HasSubstr("\xff"))));
      EXPECT_FALSE(line.ends_with(' ')) << "'" << line << "'";
    }
    EXPECT_EQ(text.find("gr\xc3\xbcn") != std::string::npos, style.utf8);
    EXPECT_THAT(text, Not(HasSubstr("\nZ: forged")));
  }
}

TEST(ResultText, WithoutUtf8AllIsAsciiAndWithoutColourNothingIsEscaped) {
  const std::string plain = result_text("http://a.example/", hostile(), kPlain);
  EXPECT_TRUE(std::all_of(plain.begin(), plain.end(),
                          [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); }));
  EXPECT_THAT(result_text("http://a.example/", hostile(), {.colour = true}),
              StartsWith("\x1b[1;31mDOWN\x1b[0m  http"));
}

// Bars begin where the phase before ended, and are as long as their share: 69 columns for the whole.
TEST(ResultText, BarsAreToScale) {
  core::ProbeResult result = refused();
  result.timings = {.dns = 10ms,
                    .connect = 10ms,
                    .tls = std::nullopt,
                    .first_byte = 20ms,
                    .transfer = 1us,
                    .total = 40ms};
  const std::vector<std::string> lines = lines_of(result_text("http://a.example/", result, kPlain));
  const auto row = [&lines](std::string_view label) {
    for (const std::string& line : lines) {
      if (line.starts_with("  " + std::string(label) + "  ")) return line;
    }
    return std::string();
  };
  const auto bar = [](std::size_t from, std::size_t length) {
    return std::string(from, ' ') + std::string(length, '#');
  };
  EXPECT_EQ(row("dns"), "  dns                 10.0 ms  " + bar(0, 17));
  EXPECT_EQ(row("connect"), "  connect             10.0 ms  " + bar(17, 17));
  EXPECT_EQ(row("tls"), "  tls                       -");
  EXPECT_EQ(row("first byte"), "  first byte          20.0 ms  " + bar(34, 35));
  // Never invisible, never beyond the page.
  EXPECT_EQ(row("transfer"), "  transfer             0.0 ms  " + bar(68, 1));
  EXPECT_THAT(result_text("http://a.example/", result, kUtf8), HasSubstr("  █████████████████▎\n"));
}

TEST(ResultText, AUrlThatWasNeverAskedHasNoTimes) {
  core::ProbeResult result = refused();
  result.cause = core::Cause::TargetInvalid;
  EXPECT_THAT(result_text("ftp://a.example/", result, kPlain), Not(HasSubstr("Time\n")));
}

// A timeout is all in the phase that did not end.
TEST(ResultText, ThePhaseInWhichItEndedHasTheTimeThatWasLeft) {
  core::ProbeResult result = refused();
  result.cause = core::Cause::TlsTimeout;
  result.phase = core::Phase::Tls;
  result.timings = {.dns = 1ms,
                    .connect = 9ms,
                    .tls = std::nullopt,
                    .first_byte = std::nullopt,
                    .transfer = std::nullopt,
                    .total = 10s};
  EXPECT_THAT(result_text("https://a.example/", result, kPlain),
              AllOf(HasSubstr("\n  tls (end)         9990.0 ms  #####"),
                    HasSubstr("\n  first byte                -\n")));
}

TEST(ResultText, EveryCauseAndWarningHasWords) {
  for (std::size_t i = 0; i < core::kCauseCount; ++i)
    EXPECT_FALSE(cause_words(static_cast<core::Cause>(i)).empty());
  core::ProbeResult result = refused();
  for (const core::Warning warning : kWarnings) EXPECT_NE(warning_words(warning, result), "");
  auto tls = std::make_shared<core::TlsFacts>();
  tls->not_after = result.started_at + 24h * 12 + 1h;
  result.tls = tls;
  EXPECT_EQ(warning_words(core::Warning::TlsExpiring, result),
            "the certificate ends in 12 days, within the step of 14");
  EXPECT_THAT(result_text("https://a.example/", result, kPlain),
              HasSubstr("12 days left (within the step of 14)"));
  tls->not_after = result.started_at - 1h;
  EXPECT_THAT(result_text("https://a.example/", result, kPlain), HasSubstr("expired today"));
}

}  // namespace
}  // namespace watchwheel::app
