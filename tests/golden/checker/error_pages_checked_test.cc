// SPDX-License-Identifier: Apache-2.0
// The corpus asked for over a socket, by the checker: what the rules say of a page becomes the result of a check.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "corpus.h"
#include "support/checker_driver.h"
#include "support/fault_server.h"

namespace watchwheel::testing {
namespace {

using checker::CorpusFile;
using core::Cause;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class ErrorPagesChecked : public ::testing::Test {
 protected:
  ErrorPagesChecked() { options.timeout = 5s; }

  core::ProbeResult check(const std::string& path, std::string_view body, std::string_view type) {
    server.on(path, ok(body, "Content-Type: " + std::string(type) + "\r\n"));
    return driver.check(server.url(path), options);
  }

  FaultServer server;
  CheckerDriver driver{loopback_settings()};
  core::CheckOptions options;
};

TEST_F(ErrorPagesChecked, EachErrorPageIsDownAndSaysItsRule) {
  for (const CorpusFile& file : checker::error_pages()) {
    const core::ProbeResult result = check("/", file.body, file.type);
    EXPECT_EQ(core::to_string(result.cause), core::to_string(Cause::ContentErrorPage)) << file.name;
    EXPECT_EQ(result.phase, core::Phase::Content) << file.name;
    EXPECT_THAT(result.detail, HasSubstr("(rule " + file.rule() + ")")) << file.name;
  }
}

TEST_F(ErrorPagesChecked, EachHealthyPageIsUp) {
  for (const CorpusFile& file : checker::healthy_pages()) {
    const core::ProbeResult result = check("/", file.body, file.type);
    EXPECT_EQ(core::to_string(result.cause), core::to_string(Cause::Ok))
        << file.name << ": " << result.detail;
  }
}

TEST_F(ErrorPagesChecked, TheSwitchIsForAllOfThem) {
  options.detect_error_pages = false;
  for (const CorpusFile& file : checker::error_pages())
    EXPECT_EQ(check("/", file.body, file.type).cause, Cause::Ok) << file.name;
}

// Goal: nothing is an answer anywhere but on the front page. Method: the same empty answer for other paths, methods and statuses.
TEST_F(ErrorPagesChecked, AnEmptyAnswerIsAnErrorPageOnlyOnTheFrontPage) {
  EXPECT_EQ(check("/", "", "text/html").cause, Cause::ContentErrorPage);
  EXPECT_EQ(check("/health", "", "text/html").cause, Cause::Ok);
  EXPECT_EQ(check("/?ping", "", "text/html").cause, Cause::Ok);
  server.on("/", ok("", ""));
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  server.on("/", {send("HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\r\n")});
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  server.on("/",
            {send("HTTP/1.1 201 Created\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n")});
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  server.on("/", ok("", "Content-Type: text/html\r\n"));
  options.body_match = {"^$"};
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  options.body_match.clear();
  for (const char* method : {"HEAD", "POST", "OPTIONS"}) {
    options.method = method;
    EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok) << method;
  }
}

}  // namespace
}  // namespace watchwheel::testing
