// SPDX-License-Identifier: Apache-2.0
// `watchwheel check` with the built program against servers that do what a test says: what a person is shown, what a script reads,
// and what neither ever sees.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/certs.h"
#include "support/child_process.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"
#include "support/paths.h"

namespace watchwheel {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;
using testing::Finished;
using namespace std::chrono_literals;

const std::string kBinary = testing::binary_dir() + "/src/app/watchwheel";

class Check : public ::testing::Test {
 protected:
  // In a locale of its own, so that the machine's does not decide what is shown.
  Finished check(std::vector<std::string> arguments, const std::string& locale = "C") {
    std::vector<std::string> line{"env", "LC_ALL=" + locale, kBinary, "check"};
    line.insert(line.end(), arguments.begin(), arguments.end());
    line.insert(line.end(), {"--config", config_});
    return testing::run_program(line);
  }
  Json json(std::vector<std::string> arguments) {
    arguments.emplace_back("--json");
    const Finished ran = check(std::move(arguments));
    EXPECT_TRUE(Json::accept(ran.out)) << ran.out << ran.err;
    return Json::accept(ran.out) ? Json::parse(ran.out) : Json();
  }

  testing::TempDir dir_;
  std::string config_ = dir_.write("w.toml", "[checks]\nallow = [\"127.0.0.0/8\"]\n");
};

TEST_F(Check, ShowsEachRedirectWithItsStatusAndWhatWasFoundAtTheEnd) {
  testing::FaultServer server;
  server.on("/old", testing::redirect(301, "/new?a=b"));
  server.on("/new", testing::ok("Add to basket", "Content-Type: text/plain\r\n"));
  const Finished text = check({server.url("/old"), "--keyword", "Add to basket"});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(
      text.out,
      AllOf(StartsWith("UP  " + server.url("/old") +
                       "\n  status 200, from 127.0.0.1, after 1 redirect"),
            HasSubstr("   1  301     " + server.url("/old") + "  (HTTP/1.1)\n"),
            HasSubstr("   2  200     " + server.url("/new?a=b") + "  (HTTP/1.1)\n"),
            ContainsRegex("redirect 1 +[0-9.]+ ms"), ContainsRegex("first byte +[0-9.]+ ms"),
            HasSubstr("Add to basket"), HasSubstr("13 bytes read"), Not(HasSubstr("GET /"))));
  const Json document = json({server.url("/old"), "--keyword", "Add to basket"});
  ASSERT_EQ(document["hops"].size(), 2U);
  EXPECT_EQ(document["hops"][0]["http_status"], 301);
  EXPECT_EQ(document["hops"][1]["http_status"], 200);
  EXPECT_EQ(document["hops"][1]["url"], server.url("/new?a=b"));
  EXPECT_EQ(document["final_url"], server.url("/new"));
  EXPECT_FALSE(document["findings"].empty());
  EXPECT_LE(document["hops"][0]["timings_ms"]["total"], document["timings_ms"]["total"]);
}

// Goal: --verbose has every header line, interim responses too, and no secret in any.
TEST_F(Check, VerboseShowsHeaderLinesWithoutSecrets) {
  testing::FaultServer server;
  server.on("/", {testing::send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                                "HTTP/1.1 200 OK\r\nSet-Cookie: sid=hunter2\r\n"
                                "X-Odd: \x1b[2J\r\nContent-Length: 2\r\n\r\nok")});
  const std::string password = dir_.write("password", "hunter2\n");
  const std::vector<std::string> line{server.url("/"),        "--auth-user", "watch",
                                      "--auth-password-file", password,      "--header",
                                      "X-Api-Key: hunter2",   "--verbose"};
  const Finished text = check(line);
  EXPECT_EQ(text.status, 0) << text.out << text.err;
  // Base64 of "watch:hunter2".
  EXPECT_THAT(server.last_request(), AllOf(HasSubstr("Authorization: Basic d2F0Y2g6aHVudGVyMg=="),
                                           HasSubstr("X-Api-Key: hunter2")));
  for (const std::string& out : {text.out, json(line).dump()}) {
    EXPECT_THAT(out,
                AllOf(HasSubstr("GET / HTTP/1.1"), HasSubstr("Authorization: (not shown)"),
                      HasSubstr("X-Api-Key: (not shown)"), HasSubstr("HTTP/1.1 103 Early Hints"),
                      HasSubstr("Link: </a.css>"), HasSubstr("HTTP/1.1 200 OK"),
                      HasSubstr("Set-Cookie: (not shown)"), Not(HasSubstr("hunter2")),
                      Not(HasSubstr("d2F0Y2")), Not(HasSubstr("\x1b"))));
  }
  EXPECT_THAT(check({server.url("/")}).out, Not(HasSubstr("Early Hints")));
}

TEST_F(Check, TellsWhatEachAddressSaid) {
  testing::FaultServer server;
  server.on("/", testing::ok("hello"));
  testing::FakeDns dns;
  dns.a("shop.example", {"127.0.0.2", "127.0.0.1", "127.0.0.3"});
  const std::vector<std::string> line{server.url("/", "shop.example"), "--resolver",
                                      dns.endpoint()};
  const Finished text = check(line);
  EXPECT_EQ(text.status, 0) << text.out << text.err;
  EXPECT_THAT(text.out, AllOf(ContainsRegex("127\\.0\\.0\\.2 +\\+[0-9.]+ ms  refused\n"),
                              ContainsRegex("127\\.0\\.0\\.1 +\\+[0-9.]+ ms  connected\n"),
                              HasSubstr("not tried   127.0.0.3\n")));
  const Json document = json(line);
  ASSERT_EQ(document["addresses"].size(), 2U);
  EXPECT_EQ(document["addresses"][0]["result"], "refused");
  EXPECT_EQ(document["addresses"][1]["address"], "127.0.0.1");
  EXPECT_EQ(document["hops"][0]["resolved"], Json({"127.0.0.2", "127.0.0.1", "127.0.0.3"}));
  EXPECT_EQ(document["addresses_tried"], 2);
}

TEST_F(Check, ShowsTheCertificateWithItsChainAndStep) {
  const testing::Authority root("Test Root");
  const auto middle = root.intermediate({.common_name = "Test Intermediate"});
  testing::FaultServer server(
      testing::TlsOptions{.certificate = middle->issue({.common_name = "shop.example",
                                                        .dns_names = {"shop.example"},
                                                        .ips = {"127.0.0.1"},
                                                        .valid_for = 24h * 12 + 1h})});
  server.on("/", testing::ok("hello"));
  const std::vector<std::string> line{server.url("/"), "--ca-file", root.ca_file()};
  const Finished text = check(line);
  EXPECT_EQ(text.status, 0) << text.out << text.err;
  EXPECT_THAT(text.out,
              AllOf(HasSubstr("subject     CN=shop.example"), HasSubstr("Test Intermediate"),
                    HasSubstr("12 days left (within the step of 14)"), HasSubstr("chain       1. "),
                    HasSubstr("protocol    TLSv1.3, "), HasSubstr("tls_expiring"),
                    ContainsRegex("  tls +[0-9.]+ ms")));
  const Json document = json(line);
  EXPECT_GT(document["timings_ms"]["tls"], 0);  // Of a handshake that is done within one turn, too.
  EXPECT_EQ(document["tls"]["expiry_step_days"], 14);
  ASSERT_FALSE(document["tls"]["chain"].empty());
  EXPECT_THAT(document["tls"]["chain"][0].get<std::string>(), HasSubstr("Test Intermediate"));
  EXPECT_EQ(document["warnings"], Json({"tls_expiring"}));

  const Finished unknown = check({server.url("/")});  // Without the authority.
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.out,
              AllOf(StartsWith("DOWN  "), HasSubstr("tls_cert_untrusted: nobody we trust"),
                    HasSubstr("subject     CN=shop.example")));
}

TEST_F(Check, TakesDefaultsAndAllowListFromTheConfiguration) {
  testing::FaultServer server;
  server.on("/", testing::ok("hello"));
  const std::string strict = dir_.write(
      "strict.toml", "[checks]\nallow = [\"127.0.0.0/8\"]\nkeyword = [\"hello\", \"basket\"]\n");
  const auto run = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {kBinary, "check"});
    return testing::run_program(arguments);
  };
  EXPECT_THAT(run({server.url("/"), "--config", strict}).out, HasSubstr("keyword_missing"));
  EXPECT_EQ(run({server.url("/"), "--config", strict, "--keyword", "hello"}).status, 0);
  EXPECT_EQ(run({server.url("/"), "--config", strict, "--keyword", ""}).status, 0);
  const std::string guarded = dir_.write("guarded.toml", "");
  const Finished blocked = run({server.url("/"), "--config", guarded});
  EXPECT_EQ(blocked.status, 3);
  EXPECT_THAT(blocked.out, AllOf(StartsWith("NOT MEASURED  "), HasSubstr("address_blocked"),
                                 ContainsRegex("127\\.0\\.0\\.1 .*blocked: ")));
}

TEST_F(Check, WhatCannotBeReadIsWrongUsage) {
  for (const std::vector<std::string>& line :
       std::vector<std::vector<std::string>>{{"--body-match", "("},
                                             {"--json-equals", "/a == ok"},
                                             {"--expect-header", "Via ~ ["},
                                             {"--auth-user", "me"},
                                             {"--bearer-token-file", "/nonexistent/token"},
                                             {"--client-cert-file", "/nonexistent/c.pem"}}) {
    std::vector<std::string> arguments{"http://127.0.0.1:9/"};
    arguments.insert(arguments.end(), line.begin(), line.end());
    const Finished ran = check(arguments);
    EXPECT_EQ(ran.status, 2) << line[0] << ran.out;
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err, "");
  }
}

// Goal: colour reaches nobody but a person's terminal; blocks only where the locale has them. Method: `script` gives the program a
// terminal.
TEST_F(Check, IsColouredOnATerminalOnly) {
  testing::FaultServer server;
  server.on("/", testing::ok("hello"));
  const auto on_terminal = [&](const std::string& environment) {
    return testing::run_program({"script", "-qec",
                                 "env " + environment + " " + kBinary + " check " +
                                     server.url("/") + " --config " + config_,
                                 "/dev/null"});
  };
  EXPECT_THAT(on_terminal("-u NO_COLOR TERM=xterm LC_ALL=C").out,
              StartsWith("\x1b[1;32mUP\x1b[0m  http"));
  EXPECT_THAT(on_terminal("NO_COLOR=1 TERM=xterm").out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(on_terminal("-u NO_COLOR TERM=dumb").out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(check({server.url("/")}, "C.UTF-8").out,
              AllOf(Not(HasSubstr("\x1b")), StartsWith("UP  ")));
  const std::string ascii = check({server.url("/")}).out;
  EXPECT_TRUE(std::all_of(ascii.begin(), ascii.end(), [](char c) {
    return c == '\n' || (c >= 0x20 && c < 0x7f);
  })) << ascii;
}

}  // namespace
}  // namespace watchwheel
