// SPDX-License-Identifier: Apache-2.0
#include "checker/redirect_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace watchwheel::checker {
namespace {

using core::Cause;
using Kind = RedirectStep::Kind;
using ::testing::HasSubstr;
using ::testing::Not;

Target target(std::string_view url) {
  auto parsed = parse_target(url);
  EXPECT_TRUE(parsed) << url;
  return parsed ? *parsed : Target{};
}

class RedirectPolicy : public ::testing::Test {
 protected:
  RedirectStep decide(std::uint16_t status, std::optional<std::string> location,
                      std::string_view method = "GET") {
    ResponseHead head;
    head.status = status;
    head.location = std::move(location);
    head.locations_differ = locations_differ;
    return decide_redirect(
        options,
        {.at = at, .first = first, .method = method, .redirects = redirects, .trail = trail},
        at_origin, head);
  }
  core::CheckOptions options;
  Target first = target("https://shop.example/start");
  Target at = first;
  std::uint16_t redirects = 0;
  bool at_origin = true;
  bool locations_differ = false;
  const RedirectTrail* trail = nullptr;
};

TEST_F(RedirectPolicy, FollowsTheFiveStatusesWithALocationOnly) {
  for (std::uint16_t status = 200; status < 600; ++status) {
    const bool follows =
        status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    EXPECT_EQ(decide(status, "/next").kind, follows ? Kind::Follow : Kind::Judge) << status;
    EXPECT_EQ(decide(status, std::nullopt).kind, Kind::Judge) << status;
    EXPECT_EQ(decide(status, "").kind, Kind::Judge) << status;
  }
}

TEST_F(RedirectPolicy, NoneJudgesEvenWhatItWouldRefuse) {
  options.redirects = core::Redirects::None;
  EXPECT_EQ(decide(302, "/next").kind, Kind::Judge);
  EXPECT_EQ(decide(302, "ftp://x/").kind, Kind::Judge);
}

TEST_F(RedirectPolicy, SameHostAllowsOtherSchemesAndPortsOfIt) {
  options.redirects = core::Redirects::SameHost;
  EXPECT_EQ(decide(302, "http://shop.example:8080/x").kind, Kind::Follow);
  EXPECT_EQ(decide(302, "//SHOP.example./x").kind, Kind::Follow);
  const RedirectStep refused = decide(302, "https://www.shop.example/");
  EXPECT_EQ(refused.kind, Kind::Fail);
  EXPECT_EQ(refused.cause, Cause::RedirectRefused);
  EXPECT_THAT(refused.detail, HasSubstr("www.shop.example"));
}

TEST_F(RedirectPolicy, ForeignSchemesAreRefusedAndBrokenLocationsInvalid) {
  for (const char* location : {"ftp://shop.example/", "javascript:alert(1)", "data:text/html,x",
                               "app+x://y", "FILE:///etc/passwd"}) {
    EXPECT_EQ(decide(302, location).cause, Cause::RedirectRefused) << location;
  }
  for (const char* location :
       {"http://", "https://:443/", "http://shop.example:99999/", "http://%zz/"}) {
    const RedirectStep step = decide(302, location);
    EXPECT_EQ(step.kind, Kind::Fail) << location;
    EXPECT_EQ(step.cause, Cause::RedirectInvalid) << location;
  }
  // A colon later on does not make a scheme.
  EXPECT_EQ(decide(302, "/a:b").kind, Kind::Follow);
  EXPECT_EQ(decide(302, "?x=ftp://y").kind, Kind::Follow);
}

TEST_F(RedirectPolicy, CountsHops) {
  options.max_redirects = 2;
  redirects = 1;
  EXPECT_EQ(decide(302, "/next").kind, Kind::Follow);
  redirects = 2;
  const RedirectStep step = decide(302, "/next?secret=1");
  EXPECT_EQ(step.cause, Cause::RedirectTooMany);
  EXPECT_THAT(step.detail,
              HasSubstr("more than 2 redirects; the next would be https://shop.example/next"));
  EXPECT_THAT(step.detail, Not(HasSubstr("secret")));
  options.max_redirects = 0;
  redirects = 0;
  EXPECT_EQ(decide(302, "/next").cause, Cause::RedirectTooMany);
}

// Goal: "in a loop" is said of what was asked before with the same cookies, anywhere on the way, and of nothing else.
TEST_F(RedirectPolicy, TellsALoopFromALongWay) {
  options.max_redirects = 2;
  redirects = 2;
  RedirectTrail way;
  trail = &way;
  way.note(first, "GET");
  way.note(target("https://shop.example/a"), "GET");
  way.note(target("https://shop.example/b"), "POST");
  at = target("https://shop.example/b");
  EXPECT_THAT(decide(302, "/a").detail, HasSubstr("in a loop"));
  EXPECT_THAT(decide(302, "/start").detail, HasSubstr("in a loop"));
  EXPECT_THAT(decide(302, "/a?page=2").detail, Not(HasSubstr("in a loop")));
  EXPECT_THAT(decide(307, "/a", "POST").detail, Not(HasSubstr("in a loop")));
  EXPECT_THAT(decide(307, "/b", "POST").detail, HasSubstr("in a loop"));
  // With another cookie the answer may be another.
  way.cookies.take("session=1", at, core::WallTime{});
  EXPECT_THAT(decide(302, "/a").detail, Not(HasSubstr("in a loop")));
  way.note(target("https://shop.example/a"), "GET");
  EXPECT_THAT(decide(302, "/a").detail, HasSubstr("in a loop"));
}

TEST_F(RedirectPolicy, LocationsThatDifferAreInvalid) {
  locations_differ = true;
  EXPECT_EQ(decide(302, "/a").cause, Cause::RedirectInvalid);
  EXPECT_EQ(decide(200, "/a").kind, Kind::Judge);
  options.redirects = core::Redirects::None;
  EXPECT_EQ(decide(302, "/a").kind, Kind::Judge);
}

TEST_F(RedirectPolicy, DowngradeIsFromHttpsToHttpOnly) {
  EXPECT_TRUE(decide(302, "http://shop.example/").downgrade);
  EXPECT_FALSE(decide(302, "https://other.example/").downgrade);
  at = target("http://shop.example/");
  EXPECT_FALSE(decide(302, "http://other.example/").downgrade);
  EXPECT_FALSE(decide(302, "https://shop.example/").downgrade);
}

TEST_F(RedirectPolicy, OriginIsSchemeHostAndPortAndOnceLostIsLost) {
  EXPECT_TRUE(decide(302, "/next").at_origin);
  EXPECT_TRUE(decide(302, "https://shop.example:443/next").at_origin);
  EXPECT_FALSE(decide(302, "http://shop.example/next").at_origin);
  EXPECT_FALSE(decide(302, "https://shop.example:8443/next").at_origin);
  EXPECT_FALSE(decide(302, "https://other.example/next").at_origin);
  at_origin = false;
  EXPECT_FALSE(decide(302, "https://shop.example/next").at_origin);
}

TEST_F(RedirectPolicy, MethodsChangeAsInBrowsers) {
  struct Case {
    std::uint16_t status;
    const char* method;
    const char* next;
    bool keeps_body;
  };
  for (const Case& one : {Case{301, "POST", "GET", false}, Case{302, "POST", "GET", false},
                          Case{303, "POST", "GET", false}, Case{307, "POST", "POST", true},
                          Case{308, "POST", "POST", true}, Case{301, "PUT", "PUT", true},
                          Case{303, "PUT", "GET", false}, Case{303, "HEAD", "HEAD", false},
                          Case{302, "HEAD", "HEAD", true}, Case{302, "GET", "GET", true}}) {
    const RedirectStep step = decide(one.status, "/next", one.method);
    EXPECT_EQ(step.method, one.next) << one.status << " " << one.method;
    EXPECT_EQ(step.keeps_body, one.keeps_body) << one.status << " " << one.method;
  }
}

}  // namespace
}  // namespace watchwheel::checker
