// SPDX-License-Identifier: Apache-2.0
#include "app/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "support/child_process.h"

namespace watchwheel::app {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> problems(std::string_view text) {
  std::vector<std::string> lines;
  for (const Problem& problem : parse_config(text, "w.toml").problems)
    lines.push_back(format(problem));
  return lines;
}

std::string value_of(const ConfigReport& report, std::string_view key) {
  for (const EffectiveValue& value : report.values) {
    if (value.key == key) return value.value + " " + std::string(to_string(value.origin));
  }
  return "absent";
}

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string example() {
  return file_text(std::string(WATCHWHEEL_SOURCE_DIR) + "/config/watchwheel.toml");
}

// "#key = value" and "#[[section]]" made real.
std::string uncommented(const std::string& text) {
  std::istringstream in(text);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const bool hidden = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    out += (hidden ? line.substr(1) : line) + "\n";
  }
  return out;
}

TEST(Config, AnEmptyFileIsTheDefaultsWithoutAProblem) {
  const ConfigReport report = parse_config("", "w.toml");
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_EQ(report.config, Config{});
  EXPECT_EQ(report.config.checks.interval, 5min);
  EXPECT_EQ(report.config.checks.options, core::CheckOptions{});
  EXPECT_EQ(value_of(report, "checks.timeout"), "\"10s\" default");
  EXPECT_EQ(value_of(report, "engine.lanes"), "\"auto\" auto");
  EXPECT_EQ(value_of(report, "log.format"), "\"auto\" auto");
}

TEST(Config, EveryKeyOfTheExampleIsItsDefault) {
  const std::string text = example();
  ASSERT_FALSE(text.empty());
  EXPECT_THAT(parse_config(text, "example").problems, IsEmpty());
  std::string without_entries = uncommented(text);
  without_entries.resize(without_entries.find("[[verifier]]"));
  const ConfigReport report = parse_config(without_entries, "example");
  for (const Problem& problem : report.problems) ADD_FAILURE() << format(problem);
  EXPECT_EQ(report.config, Config{});
}

TEST(Config, TheExampleNamesEveryKeyAndNoOther) {
  const ConfigReport report = parse_config(uncommented(example()), "example");
  EXPECT_TRUE(report.ok());
  for (const Problem& problem : report.problems)
    EXPECT_THAT(problem.message, HasSubstr("does not act on it yet")) << format(problem);
  std::vector<std::string> unset;
  for (const EffectiveValue& value : report.values) {
    if (value.origin == Origin::Default) unset.push_back(value.key);
  }
  EXPECT_THAT(unset, IsEmpty());
  for (const std::string& key : known_config_keys()) {
    const std::string name = key.substr(key.find('.') + 1);
    EXPECT_THAT(example(), HasSubstr("\n#" + name + " = ")) << key;
  }
}

TEST(Config, TheReferenceHasEveryKey) {
  const std::string text =
      file_text(std::string(WATCHWHEEL_SOURCE_DIR) + "/docs/reference/configuration.md");
  for (const std::string& key : known_config_keys()) EXPECT_THAT(text, HasSubstr("`" + key + "`"));
}

TEST(Config, TakesOverWhatIsSet) {
  const ConfigReport report = parse_config(R"(
[store]
url = "sqlite:///tmp/x.db"
[checks]
interval = "30s"
timeout = "2s"
method = "HEAD"
header = ["Accept: a", "X-Y: b"]
expect_status = 204
max_body = 4096
resolvers = ["192.0.2.1"]
tls_verify = false
[confirm]
failures = 2
[engine]
lanes = 3
memory = "1GiB"
[log]
level = "debug"
)",
                                           "w.toml");
  EXPECT_THAT(report.problems, IsEmpty());
  const Config& c = report.config;
  EXPECT_EQ(c.store.url, "sqlite:///tmp/x.db");
  EXPECT_EQ(c.checks.interval, 30s);
  EXPECT_EQ(c.checks.options.timeout, 2s);
  EXPECT_EQ(c.checks.options.method, "HEAD");
  EXPECT_THAT(c.checks.options.headers,
              ElementsAre(core::Header{"Accept", "a"}, core::Header{"X-Y", "b"}));
  EXPECT_THAT(c.checks.options.expect_status, ElementsAre(core::StatusRange{204, 204}));
  EXPECT_EQ(c.checks.options.max_body_bytes, 4096U);
  EXPECT_THAT(c.checks.options.resolvers, ElementsAre("192.0.2.1"));
  EXPECT_FALSE(c.checks.options.tls_verify);
  EXPECT_EQ(c.confirm.policy.failures, 2U);
  EXPECT_EQ(c.engine.lanes, 3U);
  EXPECT_EQ(c.engine.memory_bytes, 1024ULL * 1024 * 1024);
  EXPECT_EQ(c.log.level, LogLevel::Debug);
  EXPECT_EQ(value_of(report, "engine.lanes"), "3 set");
  EXPECT_EQ(value_of(report, "checks.connect_timeout"),
            "\"2s\" auto");  // Follows the shorter timeout.
}

TEST(Config, TakesOverWhenACertificateWarnsTheLongestFirst) {
  const ConfigReport report = parse_config(
      "[warnings]\ncertificate = [\"1d\", \"30d\", \"12h\"]\nkinds = [\"tls_expiring\"]", "w.toml");
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_THAT(report.config.warnings.certificate,
              ElementsAre(core::Duration{24h * 30}, core::Duration{24h}, core::Duration{12h}));
  EXPECT_THAT(report.config.warnings.kinds, ElementsAre(core::EventKind::TlsExpiring));
  EXPECT_EQ(value_of(report, "warnings.certificate"), "[\"30d\", \"1d\", \"12h\"] set");
  EXPECT_TRUE(parse_config("[warnings]\ncertificate = []\nkinds = []", "w.toml").ok());
  const std::vector<std::pair<std::string, std::string>> cases{
      {"certificate = [\"1d\", \"24h\"]", "two of them are the same"},
      {"certificate = [\"1m\"]", "out of range; write \"1h\" to \"365d\""},
      {"certificate = [\"soon\"]", "warnings.certificate"},
      {"kinds = [\"outage\"]", "'outage' is no warning"},
      {"kinds = [\"latency_exceeded\", \"latency_exceeded\"]", "is there twice"}};
  for (const auto& [text, wanted] : cases) {
    EXPECT_FALSE(parse_config("[warnings]\n" + text, "w.toml").ok()) << text;
    EXPECT_THAT(problems("[warnings]\n" + text), Contains(HasSubstr(wanted))) << text;
  }
}

TEST(Config, TakesOverWhatIsLookedForAndHowToAuthenticate) {
  const ConfigReport report = parse_config(R"(
[checks]
keyword = "one, two"
forbidden = ["Fatal error", "panic"]
ignore_case = true
body_match = ['build [0-9]+ ', 'a|b']
body_not_match = ['(?i)error']
json_equals = ['/status == "ok"', '/n == 1']
expect_header = ["Strict-Transport-Security", "!X-Powered-By", "Server: nginx", "Via ~ ^1"]
size_min = 100
size_max = "64KiB"
http_version = "2"
exchange = "curl"
auth_user = "watch"
auth_password_file = "shop-password"
client_cert_file = "/etc/c.pem"
client_key_file = "/etc/k.pem"
)",
                                           "w.toml");
  ASSERT_TRUE(report.ok());
  const core::CheckOptions& o = report.config.checks.options;
  EXPECT_THAT(o.keyword, ElementsAre("one, two"));
  EXPECT_THAT(o.forbidden, ElementsAre("Fatal error", "panic"));
  EXPECT_TRUE(o.ignore_case);
  EXPECT_THAT(o.body_match, ElementsAre("build [0-9]+ ", "a|b"));
  EXPECT_THAT(o.body_not_match, ElementsAre("(?i)error"));
  EXPECT_THAT(o.json_equals, ElementsAre("/status == \"ok\"", "/n == 1"));
  EXPECT_THAT(o.expect_header, ElementsAre("Strict-Transport-Security", "!X-Powered-By",
                                           "Server: nginx", "Via ~ ^1"));
  EXPECT_EQ(o.size_min_bytes, 100U);
  EXPECT_EQ(o.size_max_bytes, 64U * 1024);
  EXPECT_EQ(o.http_version, "2");
  EXPECT_EQ(o.exchange, "curl");
  EXPECT_EQ(o.auth_user, "watch");
  EXPECT_EQ(o.auth_password_file, "shop-password");
  EXPECT_EQ(o.client_cert_file, "/etc/c.pem");
  EXPECT_EQ(o.client_key_file, "/etc/k.pem");
  EXPECT_EQ(value_of(report, "checks.keyword"), "[\"one, two\"] set");
  EXPECT_EQ(value_of(report, "checks.size_max"), "\"64KiB\" set");
  EXPECT_THAT(
      parse_config("[checks]\nkeyword = [\"a\", \"b\"]", "w.toml").config.checks.options.keyword,
      ElementsAre("a", "b"));
  EXPECT_THAT(parse_config("[checks]\nkeyword = \"\"", "w.toml").config, Config{});
  EXPECT_THAT(problems("[checks]\nbearer_token_file = \"/etc/t\""),
              ElementsAre(HasSubstr(
                  "w.toml:2:1: warning: checks.bearer_token_file is sent to every site")));
}

// Every option that a site may set has a key of the same name, but for `resolver`.
TEST(Config, HasAKeyForEveryCheckOption) {
  const std::vector<std::string> keys = known_config_keys();
  for (const std::string_view name : core::option_names()) {
    const std::string key = "checks." + std::string(name == "resolver" ? "resolvers" : name);
    EXPECT_THAT(keys, Contains(key));
  }
}

TEST(Config, ZeroAndAutoBothMeanAutomatic) {
  for (const std::string_view text :
       {"[engine]\nlanes = 0\nmemory = 0\nin_flight_max = 0",
        "[engine]\nlanes = \"auto\"\nmemory = \"auto\"\nin_flight_max = \"auto\"",
        "[engine]\nmemory = \"0\""}) {
    const ConfigReport report = parse_config(text, "w.toml");
    EXPECT_THAT(report.problems, IsEmpty()) << text;
    EXPECT_EQ(report.config.engine, EngineConfig{});
    EXPECT_EQ(value_of(report, "engine.memory"), "\"auto\" auto");
  }
}

TEST(Config, EveryProblemIsReportedWithItsPlaceInTheOrderOfTheFile) {
  const std::vector<std::string> lines = problems(
      "[checks]\n"
      "timeout = 10\n"
      "intervall = \"5m\"\n"
      "tls_verify = \"yes\"\n"
      "[confirm]\n"
      "failures = 0\n");
  ASSERT_EQ(lines.size(), 4U) << ::testing::PrintToString(lines);
  EXPECT_EQ(lines[0],
            "w.toml:2:11: error: checks.timeout: a duration needs its unit; write \"10s\" if you "
            "mean seconds");
  EXPECT_EQ(lines[1],
            "w.toml:3:1: warning: unknown key 'intervall' has no effect; did you mean 'interval'?");
  EXPECT_EQ(
      lines[2],
      "w.toml:4:14: error: checks.tls_verify: this is a text; write true or false, without quotes");
  EXPECT_EQ(lines[3], "w.toml:6:12: error: confirm.failures: 0 is out of range; write 1 to 20");
}

TEST(Config, ASyntaxErrorHasItsPlace) {
  const std::vector<std::string> lines = problems("[checks]\ntimeout = = 1\n");
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], AllOf(HasSubstr("w.toml:2:11: error: not TOML: ")));
  EXPECT_FALSE(parse_config("a = 1\na = 2", "w.toml").ok());
  EXPECT_FALSE(parse_config("a = \"\xff\"", "w.toml").ok());
}

// Goal: each wrong kind and range of value is an error that says what would be right.
TEST(Config, WrongTypesAndRangesAreErrorsWithTheirRemedy) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"[engine]\nlanes = -1", "negative"},
      {"[engine]\nlanes = 1000", "or 0 or \"auto\""},
      {"[engine]\nlanes = \"many\"", "or 0 or \"auto\""},
      {"[engine]\nlanes = 1.5", "write a whole number"},
      {"[engine]\nmemory = \"1MiB\"", "at least \"64MiB\""},
      {"[engine]\nmemory = true", "write a size in quotes"},
      {"[engine]\ndrain_timeout = \"1h\"", "write \"0s\" to \"5m\""},
      {"[projection]\ninterval = \"1m\"", "write \"5m\" to \"15m\""},
      {"[projection]\ninterval = \"1h\"", "write \"5m\" to \"15m\""},
      {"[projection]\ninterval = 2020-01-01", "this is a date or time"},
      {"[vantage]\nfailure_share = 1.5", "at most 1"},
      {"[vantage]\nfailure_share = nan", "at most 1"},
      {"[vantage]\nfailure_share = \"a\"", "write a number"},
      {"[vantage]\ncanaries = \"https://a.example\"", "a list of texts"},
      {"[vantage]\ncanaries = [1]", "a list of texts"},
      {"[vantage]\ncanaries = [\"ftp://a.example\"]", "http"},
      {"[checks]\nexpect_status = \"2xx\"", "200-299,301"},
      {"[checks]\nredirects = \"maybe\"", "follow, none, same-host"},
      {"[checks]\nmax_redirects = 99", "0 to 50"},
      {"[checks]\nmax_body = \"1TiB\"", "at most 64MiB"},
      {"[checks]\ninterval = \"2d\"", "write \"1s\" to \"1d\""},
      {"[checks]\ntls_min = 1.2", "this is a decimal number"},
      {"[checks]\nca_file = \"ca.pem\"", "write it from the root"},
      {"[checks]\nclient_cert_file = \"./c.pem\"", "write it from the root"},
      {"[checks]\nclient_key_file = \"keys/c.pem\"", "write it from the root"},
      {"[checks]\nauth_password_file = \"keys/pw\"", "write it from the root"},
      {"[checks]\nbearer_token_file = \"./token\"", "write it from the root"},
      {"[checks]\nkeyword = 5", "a text in quotes, or a list of them"},
      {"[checks]\nkeyword = [5]", "a list of texts"},
      {"[checks]\nkeyword = [\"a\", \" \"]", "is empty; remove it"},
      {"[checks]\nkeyword = \"a\\nb\"", "write several as"},
      {"[checks]\nforbidden = \"a\"", "a list of texts"},
      {"[checks]\nbody_match = \"a\"", "a list of texts"},
      {"[checks]\njson_equals = [\"/status = ok\"]", "/pointer == value"},
      {"[checks]\nexpect_header = [\"a b\"]", "Name ~ expression"},
      {"[checks]\nsize_max = \"1TiB\"", "at most 64MiB"},
      {"[checks]\nsize_min = -1", "negative"},
      {"[checks]\nhttp_version = \"3\"", "1.0, 1.1, 2"},
      {"[checks]\nhttp_version = 2", "this is a whole number"},
      {"[checks]\nexchange = \"direct\"", "auto, curl"},
      {"[checks]\nignore_case = \"yes\"", "true or false"},
      {"[checks]\nauth_user = \"a:b\"", "':'"},
      {"[checks]\nallow = [\"10.0.0.1/8\"]", "beyond its prefix"},
      {"[checks]\nresolvers = [\"dns.example\"]", "IP:PORT"},
      {"[checks]\nheader = [\"a: b\\nc: d\"]", "line break"},
      {"[http]\nlisten = \"localhost\"", "write IP:PORT"},
      {"[log]\nlevel = \"wrning\"", "did you mean \"warning\"?"},
      {"[store]\nurl = \"postgres://x\"", "sqlite"},
      {"store = 5", "write [store]"},
      {"[[store]]\nurl = \"\"", "single brackets"},
      {"[verifier]\nname = \"a\"", "write [[verifier]]"},
      {"[history]\nsamples = \"some\"", "\"none\", \"changes\", \"all\""},
  };
  for (const auto& [text, remedy] : cases) {
    const ConfigReport report = parse_config(text, "w.toml");
    EXPECT_FALSE(report.ok()) << text;
    ASSERT_FALSE(report.problems.empty()) << text;
    EXPECT_THAT(format(report.problems[0]), HasSubstr(remedy)) << text;
    EXPECT_NE(report.problems[0].line, 0U) << text;
    EXPECT_EQ(report.config, Config{}) << text;  // A refused value keeps its default.
  }
}

TEST(Config, ContradictionsAreErrorsAtTheKeyThatWasSet) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"[checks]\ntimeout = \"2s\"\nconnect_timeout = \"3s\"",
       "w.toml:3:1: error: checks.connect_timeout"},
      {"[checks]\ninterval = \"5s\"",
       "w.toml:2:1: error: checks.timeout (10s) is longer than checks.interval (5s)"},
      {"[checks]\nmethod = \"HEAD\"\nkeyword = \"x\"", "w.toml:3:1: error: checks.keyword"},
      {"[checks]\nbody = \"x\"", "w.toml:2:1: error: checks.body"},
      {"[checks]\njson_equals = [\"/a == 1\"]\nmethod = \"HEAD\"",
       "w.toml:2:1: error: checks.json_equals: the answer to HEAD has no body"},
      {"[checks]\nbody_match = [\"a\"]\nmax_body = 0",
       "w.toml:2:1: error: checks.body_match: nothing is read of the body, because max_body is 0"},
      {"[checks]\nsize_min = \"2KiB\"\nsize_max = \"1KiB\"",
       "w.toml:2:1: error: checks.size_min: "},
      {"[checks]\nsize_max = \"2MiB\"", "w.toml:2:1: error: checks.size_max: "},
      {"[checks]\nauth_user = \"me\"",
       "w.toml:2:1: error: checks.auth_user: set auth_password_file"},
      {"[checks]\nauth_password_file = \"/p\"",
       "w.toml:2:1: error: checks.auth_password_file: whose?"},
      {"[checks]\nauth_user = \"me\"\nauth_password_file = \"p\"\nbearer_token_file = \"t\"",
       "w.toml:4:1: error: checks.bearer_token_file: "},
      {"[checks]\nclient_key_file = \"/k\"", "w.toml:2:1: error: checks.client_key_file: "},
      {"[checks]\nmethod = \"GET\"\nbody_match = [\"a\", \"(\"]",
       "w.toml:3:1: error: checks.body_match: "},
      {"[checks]\nexpect_header = [\"Via ~ [\"]", "w.toml:2:1: error: checks.expect_header: "},
      {"[checks]\njson_equals = [\"/a == ok\"]", "w.toml:2:1: error: checks.json_equals: "},
      {"[checks]\nkeyword = [\"a\", \"a\"]", "checks.keyword names 'a' twice"},
      {"[checks]\nexpect_header = [\"a\", \"a\"]", "checks.expect_header names 'a' twice"},
      {"[vantage]\ncanaries = [\"https://a.example\", \"https://a.example\"]", "twice"},
      {"[checks]\nresolvers = [\"192.0.2.1\", \"192.0.2.1\"]", "twice"},
      {"[[verifier]]\nname = \"a\"\nurl = \"https://a.example\"\n[[verifier]]\nname = \"a\"\nurl = "
       "\"https://b.example\"",
       "w.toml:5:1: error: two [[verifier]]"},
      {"[[verifier]]\nname = \"local\"\nurl = \"https://a.example\"", "'local' is what"},
      {"[confirm]\ndispute = \"10s\"", "confirm.dispute"},
      {"[[notify]]\nurl = \"https://a.example\"", "needs a name"},
  };
  for (const auto& [text, wanted] : cases) {
    EXPECT_FALSE(parse_config(text, "w.toml").ok()) << text;
    EXPECT_THAT(problems(text), Contains(HasSubstr(wanted))) << text;
  }
}

TEST(Config, ASecretInTheFileIsRefusedAndNotRepeated) {
  const std::vector<std::string> texts{
      "[store]\nurl = \"mysql://user:hunter2@db.example/sites\"",
      "[store]\npassword = \"hunter2\"",
      "[http]\ntoken = \"hunter2\"",
      "[[notify]]\nname = \"a\"\nurl = \"https://hooks.example/?token=hunter2\"",
      "[[notify]]\nname = \"a\"\nurl = \"https://a.example\"\nsecret = \"hunter2\"",
      "[[verifier]]\nname = \"a\"\nurl = \"https://u:hunter2@a.example\"",
      "[checks]\nheader = [\"Authorization: Bearer hunter2\"]",
      "[checks]\nauth_password = \"hunter2\"",
      "[checks]\nbearer_token = \"hunter2\"",
      "[checks]\nclient_key = \"hunter2\"",
  };
  for (const std::string& text : texts) {
    const ConfigReport report = parse_config(text, "w.toml");
    EXPECT_FALSE(report.ok()) << text;
    for (const Problem& problem : report.problems)
      EXPECT_THAT(problem.message, Not(HasSubstr("hunter2"))) << text;
    for (const EffectiveValue& value : report.values)
      EXPECT_THAT(value.value, Not(HasSubstr("hunter2"))) << text;
  }
  EXPECT_THAT(problems(texts[1]), Contains(HasSubstr("here password_file")));
  EXPECT_THAT(problems(texts[0]), Contains(HasSubstr("store.password_file")));
  EXPECT_THAT(problems(texts[7]), Contains(HasSubstr("here auth_password_file")));
  EXPECT_THAT(problems(texts[8]), Contains(HasSubstr("here bearer_token_file")));
  EXPECT_THAT(problems("[checks]\ntoken = \"x\""), Contains(HasSubstr("here bearer_token_file")));
}

TEST(Config, WhatThisVersionDoesNotDoIsAcceptedWithAWarning) {
  const std::vector<std::string> lines = problems(
      "[history]\nsamples = \"all\"\nkeep_samples = \"2d\"\n");
  EXPECT_THAT(
      lines,
      ElementsAre("w.toml:2:1: warning: history.samples: accepted, but this version does not act on it "
                  "yet",
                  "w.toml:3:1: warning: history.keep_samples: accepted, but this version does not act "
                  "on it yet"));
}

TEST(Config, HistoryIsKeptForADayOrForEver) {
  EXPECT_THAT(problems("[history]\nkeep_events = \"0s\"\nkeep_hours = \"1d\"\n"), IsEmpty());
  EXPECT_THAT(problems("[history]\nkeep_days = \"400d\"\nkeep_events = \"30s\"\n"),
              ElementsAre(HasSubstr("w.toml:3:1: error: history.keep_events (30s) is less than a day")));
}

TEST(Config, VerifiersMustBeAbleToReachTheQuorum) {
  const std::string one = "[[verifier]]\nname = \"a\"\nurl = \"https://a.example\"\n";
  const std::string other = "[[verifier]]\nname = \"b\"\nurl = \"https://b.example\"\n";
  EXPECT_THAT(problems(one), IsEmpty());
  EXPECT_THAT(problems("[confirm]\nquorum = 3\n" + one + other), IsEmpty());
  EXPECT_THAT(problems("[confirm]\nquorum = 3\n" + one),
              ElementsAre(HasSubstr("w.toml:2:1: error: confirm.quorum (3) is more than there are")));
  // Two in one region are one vantage.
  EXPECT_THAT(problems("[confirm]\nquorum = 3\n" + one + "region = \"eu\"\n" + other +
                       "region = \"eu\"\n"),
              ElementsAre(HasSubstr("error: confirm.quorum (3) is more")));
  EXPECT_THAT(problems("[confirm]\nquorum = 1\n" + one),
              ElementsAre(HasSubstr("warning: confirm.quorum is 1")));
  EXPECT_THAT(problems("[confirm]\ntimeout = \"5s\"\n" + one),
              ElementsAre(HasSubstr("warning: confirm.timeout (5s) is shorter than checks.timeout")));
  EXPECT_THAT(problems(one + "client_key_file = \"/k\"\n"),
              ElementsAre(HasSubstr("error: verifier.client_key_file means nothing")));
}

// Whoever is on the way could vote; one machine is one vantage; and what no verifier can check is said.
TEST(Config, VerifiersAreToldApartAndTrusted) {
  const std::string plain = "[[verifier]]\nname = \"a\"\nurl = \"http://a.example\"\n";
  EXPECT_THAT(problems(plain), ElementsAre(HasSubstr("w.toml:3:1: error: what verifier 'a' is asked")));
  EXPECT_THAT(problems(plain + "plain_http = true\n"), IsEmpty());
  const auto of_url = [](const std::string& url) {
    return problems("[[verifier]]\nname = \"a\"\nurl = \"" + url + "\"\n");
  };
  for (const char* url : {"http://127.0.0.1:9465", "http://127.9.9.9", "http://localhost/x",
                          "http://localhost:80", "http://[::1]:9465/"})
    EXPECT_THAT(of_url(url), IsEmpty()) << url;
  for (const char* url :
       {"http://localhost.evil.example", "http://127.0.0.1.example.org", "http://[::2]:80",
        "http://127.0.0.1@a.example", "http://[::1].example"})
    EXPECT_THAT(of_url(url), Contains(HasSubstr("unencrypted"))) << url;
  const std::string one = "[[verifier]]\nname = \"a\"\nurl = \"https://a.example\"\n";
  EXPECT_THAT(problems(one + "[[verifier]]\nname = \"b\"\nurl = \"https://a.example/\"\n"),
              ElementsAre(HasSubstr("w.toml:6:1: error: another [[verifier]] has the url of 'b'")));
  EXPECT_THAT(problems("[checks]\nca_file = \"/ca.pem\"\n" + one),
              ElementsAre(HasSubstr("w.toml:2:1: warning: checks.ca_file is a file of this machine")));
}

TEST(Config, AVerifierIsNotOpenedToTheWorldByMistake) {
  const std::string open = "[verifier_server]\nlisten = \"0.0.0.0:9465\"\n";
  EXPECT_THAT(problems("[verifier_server]\nlisten = \"127.0.0.1:9465\"\n"), IsEmpty());
  EXPECT_THAT(problems(open), ElementsAre(HasSubstr("no certificate"), HasSubstr("nobody is asked")));
  EXPECT_THAT(problems(open + "cert_file = \"/c\"\ntoken_file = \"/t\"\n"), IsEmpty());
  EXPECT_THAT(problems(open + "cert_file = \"/c\"\nclient_ca_file = \"/a\"\n"), IsEmpty());
  EXPECT_THAT(problems(open + "plain_http = true\ntoken_file = \"/t\"\n"), IsEmpty());
  EXPECT_THAT(problems("[verifier_server]\nclient_ca_file = \"/a\"\n"),
              ElementsAre(HasSubstr("means nothing without verifier_server.cert_file")));
}

TEST(Config, AMappingThatCannotWorkIsRefusedAtItsKey) {
  const std::string mysql = "[store]\nurl = \"mysql://u@127.0.0.1/d\"\n[legacy]\n";
  EXPECT_THAT(problems(mysql + "preset = \"jetpack\""), IsEmpty());
  EXPECT_THAT(problems("[legacy]\npreset = \"jetpack\""),
              ElementsAre(HasSubstr("error: legacy.table: the store is a file")));
  EXPECT_THAT(problems(mysql + "status = \"s\""),
              ElementsAre(HasSubstr("error: legacy.table: is empty")));
  EXPECT_THAT(problems(mysql + "preset = \"jetpack\"\nurl = \"a`b\""),
              ElementsAre(HasSubstr("w.toml:5:1: error: legacy.url: 'a`b' is no name of a column")));
  EXPECT_THAT(problems(mysql + "table = \"t\"\nid = \"i\"\nurl = \"u\""),
              ElementsAre(HasSubstr("legacy.status: to write to the table")));
  EXPECT_THAT(problems(mysql + "table = \"t\"\nid = \"i\"\nurl = \"u\"\nrole = \"source\""),
              IsEmpty());
  EXPECT_THAT(problems(mysql + "preset = \"jetpack\"\nbuckets = \"7-3\""),
              ElementsAre(HasSubstr("w.toml:5:11: error: legacy.buckets: '7-3' is no list of buckets")));
  EXPECT_THAT(problems(mysql + "preset = \"jetpack\"\nbucket = \"-\"\nbuckets = \"1\""),
              ElementsAre(HasSubstr("w.toml:6:1: error: legacy.buckets: without legacy.bucket")));
}

TEST(Config, AnEndpointOpenToOthersWithoutATokenIsWarnedAbout) {
  EXPECT_THAT(problems("[http]\nlisten = \"0.0.0.0:9464\""),
              ElementsAre(HasSubstr("w.toml:2:1: warning: http.listen is not a loopback address")));
  EXPECT_THAT(problems("[http]\nlisten = \"[::]:9464\""), ElementsAre(HasSubstr("warning")));
  EXPECT_THAT(problems("[http]\nlisten = \"[::1]:9464\""), IsEmpty());
  EXPECT_THAT(problems("[http]\nlisten = \"127.3.4.5:9464\""), IsEmpty());
  EXPECT_THAT(problems("[http]\nlisten = \"0.0.0.0:9464\"\ntoken_file = \"/etc/t\""), IsEmpty());
}

TEST(Config, UnknownSectionsAndMisplacedKeysAreWarnings) {
  EXPECT_THAT(
      problems("[check]\ntimeout = \"1s\""),
      ElementsAre(HasSubstr("unknown section 'check' has no effect; did you mean 'checks'?")));
  EXPECT_THAT(problems("[engine]\ncanaries = []"),
              ElementsAre(HasSubstr("there is one of that name in [vantage]")));
  EXPECT_THAT(problems("colour = 1"),
              ElementsAre(HasSubstr("warning: unknown key outside of any section 'colour'")));
}

TEST(Config, FilesThatCannotBeReadAreAProblem) {
  EXPECT_THAT(format(load_config("/nonexistent/w.toml").problems.at(0)),
              HasSubstr("/nonexistent/w.toml: error: cannot be read: No such file"));
  EXPECT_FALSE(load_config("/").ok());
  const watchwheel::testing::TempDir dir;
  const std::string large = dir.write("large.toml", std::string(5 * 1024 * 1024, '#'));
  EXPECT_THAT(format(load_config(large).problems.at(0)), HasSubstr("larger than 4 MiB"));
}

TEST(Config, NamesTheKeysThatWaitForARestart) {
  Config running;
  Config wanted;
  wanted.checks.interval = 1min;
  wanted.log.level = LogLevel::Debug;
  EXPECT_THAT(keys_needing_restart(running, wanted), IsEmpty());
  wanted.engine.lanes = 2;
  wanted.http.listen = "127.0.0.1:1";
  EXPECT_THAT(keys_needing_restart(running, wanted), ElementsAre("engine.lanes", "http.listen"));
}

TEST(Config, ValuesArePrintedSoThatTheFileReadsThemBack) {
  const ConfigReport report =
      parse_config("[checks]\nkeyword = \"a\\\"b\\\\c\\u0001\"\nheader = [\"A: b\"]", "w.toml");
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(value_of(report, "checks.keyword"), "[\"a\\\"b\\\\c\\u0001\"] set");
  std::string text = "[checks]\n";
  for (const EffectiveValue& value : report.values) {
    if (value.key.starts_with("checks.")) text += value.key.substr(7) + " = " + value.value + "\n";
  }
  EXPECT_EQ(parse_config(text, "again").config, report.config) << text;
}

}  // namespace
}  // namespace watchwheel::app
