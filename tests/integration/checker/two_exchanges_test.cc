// SPDX-License-Identifier: Apache-2.0
// That the comparison of the two exchanges would tell: answers that differ in one thing only, each taken for the other's.
#include "support/two_exchanges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/script_server.h"

namespace watchwheel::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

struct Planted {
  const char* what;  // The fact that has to be told.
  Script one, other;
  core::SiteOptions options{};
  bool tls = false;
};

const std::vector<Planted>& planted() {
  static const std::string kLong = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
  static const std::vector<Planted> all{
      {"body bytes", ok("hello"), ok("hello!")},
      {"status", ok("hello"), status(201, "Created", "", "hello")},
      {"outcome", ok("hello"), status(500, "Oops")},
      {"cause", {send(kLong)}, {send(kLong + " hel")}},
      {"cause", ok("hello"), ok("world"), {{"keyword", "hello"}}},
      {"phase", {send("HTTP/1.1 200 OK\r\n")}, {send(kLong)}},
      {"redirects", ok("hello"), redirect(302, "/end")},
      {"final URL", redirect(302, "/end"), redirect(302, "/end2")},
      {"detail", status(500, "Oops"), status(500, "Other")},
      {"timings",
       {send("HTTP/1.1 200 OK\r\n\r\n"), hold()},
       {hold()},
       {{"timeout", "300ms"}, {"connect_timeout", "300ms"}}},
      {"hop's response", ok("hello", "X: 1\r\n"), ok("hello", "X: 2\r\n")},
      {"hop", ok("hello"), {send("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")}},
      {"findings", ok("hello", "X: 1\r\n"), ok("hello", "X: 2\r\n"), {{"expect_header", "X"}}},
      {"TLS", ok("hello"), ok("hello"), {}, true},
  };
  return all;
}

TEST(TwoExchangesRig, TellsEveryPlantedDifference) {
  const Authority authority("Planted Root");
  const CertSpec spec{.common_name = "127.0.0.1", .ips = {"127.0.0.1"}};
  ScriptServer server(authority.issue(spec)), other(authority.issue(spec));
  for (ScriptServer* each : {&server, &other}) {
    each->on("/end", ok("hello"));
    each->on("/end2", ok("hello"));
  }
  checker::Settings settings = loopback_settings();
  settings.trace = true;
  TwoExchanges both(settings);
  for (const Planted& one : planted()) {
    server.on("/", one.one);
    server.on("/other", one.other);
    core::CheckOptions base;
    base.ca_file = authority.ca_file();
    const auto options = core::merge_options(base, one.options);
    ASSERT_TRUE(options) << options.error().message;
    // TLS: the same answer with another certificate.
    const auto said =
        both.ask({{server.url("/", one.tls), *options},
                  {one.tls ? other.url("/end", true) : server.url("/other", false), *options}},
                 2);
    EXPECT_THAT(difference(said[0].curl, said[1].chosen), HasSubstr(std::string(one.what) + ": \""))
        << one.what;
    EXPECT_EQ(difference(said[0].curl, said[0].curl), "");
  }
}

// Goal: a difference that is there each time lasts; one that came of being late does not.
TEST(TwoExchangesRig, LastingDifferencesAreTold) {
  const Authority authority("Planted Root");
  ScriptServer server(authority.issue({.common_name = "127.0.0.1", .ips = {"127.0.0.1"}}));
  server.on("/", ok("hello"));
  server.on("/other", ok("hello!"));
  TwoExchanges both(loopback_settings());
  const core::CheckOptions options;
  const Question question{server.url("/", false), options};
  const BothAnswers right = both.ask({question}, 1).front();
  const BothAnswers wrong = both.ask({{server.url("/other", false), options}}, 1).front();
  bool unsteady = false;
  EXPECT_EQ(both.lasting_difference(question, {right.curl, wrong.chosen}, 2, unsteady), "");
  EXPECT_FALSE(unsteady);
  // libcurl's word of the first time counts too.
  EXPECT_EQ(both.lasting_difference(question, {wrong.curl, right.chosen}, 2, unsteady), "");
  EXPECT_TRUE(unsteady);
}

}  // namespace
}  // namespace watchwheel::testing
