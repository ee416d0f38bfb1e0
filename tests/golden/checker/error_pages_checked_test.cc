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

// Goal: a document with nothing in it is an answer anywhere but on the front page, and no document at all is one everywhere.
// Method: both, for other paths, methods and statuses.
TEST_F(ErrorPagesChecked, AnEmptyDocumentIsAnErrorPageOnlyOnTheFrontPage) {
  const std::string bare = "<html><head></head><body></body></html>";
  EXPECT_EQ(check("/", "", "text/html").cause, Cause::Ok);
  EXPECT_EQ(check("/", "\n", "text/html").cause, Cause::Ok);
  EXPECT_EQ(check("/", bare, "text/html").cause, Cause::ContentErrorPage);
  EXPECT_EQ(check("/health", bare, "text/html").cause, Cause::Ok);
  EXPECT_EQ(check("/?ping", bare, "text/html").cause, Cause::Ok);
  server.on("/", ok(bare, ""));
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  server.on("/", {send("HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\r\n")});
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  server.on("/", {send("HTTP/1.1 201 Created\r\nContent-Type: text/html\r\nContent-Length: " +
                       std::to_string(bare.size()) + "\r\n\r\n" + bare)});
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  server.on("/", ok(bare, "Content-Type: text/html\r\n"));
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::ContentErrorPage);
  options.body_match = {"</body>"};
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  options.body_match.clear();
  for (const char* method : {"HEAD", "POST", "OPTIONS"}) {
    options.method = method;
    EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok) << method;
  }
}

}  // namespace
}  // namespace watchwheel::testing
