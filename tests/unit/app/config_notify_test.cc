// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/config.h"

namespace watchwheel::app {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> problems(const std::string& text) {
  std::vector<std::string> lines;
  for (const Problem& problem : parse_config(text, "w.toml").problems)
    lines.push_back(format(problem));
  return lines;
}

const std::string kOps = "[[notify]]\nname = \"ops\"\nurl = \"https://hooks.example/a\"\n";

TEST(ConfigNotify, TakesOverWhatIsSet) {
  const ConfigReport report = parse_config(R"([[notify]]
name = "ops"
type = "webhook"
url = "https://hooks.example/a"
secret_file = ["/etc/w/new", "old.credential"]
ca_file = "/etc/w/ca.pem"
allow = ["10.1.0.0/16", "fd00::/8"]
timeout = "5s"
tags = ["paid"]
states = ["seems_down", "warning", "down", "up"]
severity = "warning"
remind = "1h"
skip_short = true
rate = 60
burst = 3
in_flight_max = 2
retry = "equal_jitter"
retry_base = "2s"
retry_max = "1m"
attempts = 5
)",
                                           "w.toml");
  EXPECT_THAT(report.problems, IsEmpty());
  ASSERT_EQ(report.config.notify.size(), 1U);
  const NotifyConfig& n = report.config.notify.front();
  EXPECT_EQ(n.name(), "ops");
  EXPECT_THAT(n.channel.secret_files, ElementsAre("/etc/w/new", "old.credential"));
  EXPECT_THAT(n.channel.allow, ElementsAre("10.1.0.0/16", "fd00::/8"));
  EXPECT_EQ(n.channel.timeout, 5s);
  EXPECT_EQ(n.states.size(), 3U);
  EXPECT_TRUE(n.warnings);
  EXPECT_EQ(n.severity, sideeffects::Severity::Warning);
  EXPECT_EQ(n.remind, 1h);
  EXPECT_TRUE(n.skip_short);
  EXPECT_EQ(n.rate.per_minute, 60U);
  EXPECT_EQ(n.rate.burst, 3U);
  EXPECT_EQ(n.in_flight_max, 2U);
  EXPECT_EQ(n.retry.kind, sideeffects::RetryKind::EqualJitter);
  EXPECT_EQ(n.retry.base, 2s);
  EXPECT_EQ(n.retry.cap, 1min);
  EXPECT_EQ(n.retry.attempts_max, 5U);
}

TEST(ConfigNotify, EachTypeHasWhatItNeeds) {
  for (const std::string text : {
           R"(type = "webhook"
url = "https://a.example")",
           R"(type = "alertmanager"
url = "http://a.example:9093"
secret_file = "/t")",
           R"(type = "email"
url = "smtps://mail.example:465"
user = "w"
secret_file = "/p"
from = "w@a.example"
to = ["noc@a.example"])",
           R"(type = "email"
url = "smtp://127.0.0.1:25"
mail_tls = "none"
from = "w@a.example"
to = ["noc@a.example"])",
           R"(type = "slack"
url_file = "slack.credential")",
           R"(type = "pagerduty"
secret_file = "/key")",
           R"(type = "command"
command = ["/bin/page", "me"])",
       }) {
    EXPECT_THAT(problems("[[notify]]\nname = \"a\"\n" + text), IsEmpty()) << text;
  }
}

// Each mistake has its place and says what would be right.
TEST(ConfigNotify, WhatCannotWorkIsRefusedAtItsKey) {
  const std::string name = "[[notify]]\nname = \"a\"\n";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"[[notify]]\nurl = \"https://a.example\"", "w.toml:1:1: error: a [[notify]] needs a name"},
      {kOps + kOps, "w.toml:5:1: error: two [[notify]] are named 'ops'; rename one"},
      {"[[notify]]\nname = \"a b\"", "w.toml:2:8: error: notify.name: the name holds a space"},
      {"[[notify]]\nname = \"" + std::string(65, 'x') + "\"", "at most 64"},
      {name, "w.toml:1:1: error: a [[notify]] needs a url; add url = \"https://…\""},
      {name + "url = \"ftp://a\"", "w.toml:3:7: error: notify.url: this is no URL"},
      {name + "url = \"https://a\"\nurl_file = \"/u\"",
       "w.toml:4:1: error: notify.url_file: notify.url is there too"},
      {name + "url = \"smtps://a\"", "w.toml:3:1: error: notify.url: it does not fit type"},
      {name + "type = \"webhok\"", "did you mean \"webhook\"?"},
      {name + "type = \"email\"\nurl = \"https://a\"\nfrom = \"a\"\nto = [\"b\"]",
       "w.toml:4:1: error: notify.url: it does not fit type \"email\"; write \"smtps://HOST\""},
      {name + "type = \"email\"\nurl = \"smtps://a\"", "add from = "},
      {name + "type = \"email\"\nurl = \"smtps://a\"\nfrom = \"b\"", "add to = "},
      {name + "type = \"email\"\nurl = \"smtps://a\"\nfrom = \"b\"\nto = [\"c\"]\nuser = \"u\"",
       "belong together"},
      {name + "type = \"pagerduty\"", "needs its routing key"},
      {name + "type = \"command\"", "needs the program"},
      {name + "type = \"command\"\ncommand = [\"page\"]", "w.toml:4:1: error: notify.command: the"},
      {name + "type = \"command\"\ncommand = [\"/b\"]\nurl = \"https://a\"", "w.toml:5:1: error"},
      {kOps + "from = \"a@b\"", "w.toml:4:1: error: notify.from: only a target of type email"},
      {kOps + "command = [\"/b\"]", "w.toml:4:1: error: notify.command: only a target of type"},
      {kOps + "secret_file = \"etc/s\"", "w.toml:4:15: error: notify.secret_file: the path is"},
      {kOps + "allow = [\"10.0.0.0/33\"]", "w.toml:4:9: error: notify.allow: "},
      {kOps + "states = [\"paused\"]", "w.toml:4:10: error: notify.states: 'paused' is no state"},
      {kOps + "states = [\"down\", \"down\"]", "'down' is there twice"},
      {kOps + "states = [\"up\"]", "w.toml:4:1: error: notify.states: nobody is told"},
      {kOps + "states = [\"warning\", \"up\"]", "w.toml:4:1: error: notify.states: nobody is"},
      {kOps + "states = [\"warning\", \"warning\"]", "'warning' is there twice"},
      {kOps + "severity = \"bad\"", "w.toml:4:12: error: notify.severity"},
      {kOps + "remind = \"10s\"", "w.toml:4:1: error: notify.remind: more often than"},
      {kOps + "schedule = []", "w.toml:4:12: error: notify.schedule: it has 0 entries"},
      {kOps + "schedule = [\"5\"]", "w.toml:4:12: error: notify.schedule: "},
      {kOps + "schedule = [\"8d\"]", "out of range"},
      {kOps + "retry_base = \"1h\"\nretry_max = \"1m\"", "w.toml:4:1: error: notify.retry_base"},
      {kOps + "subject = \"{{nme}}\"", "w.toml:4:1: error: notify.subject: "},
      {name + "type = \"email\"\nurl = \"smtps://a\"\nfrom = \"b\"\nto = [\"c@d\"]",
       "w.toml:5:1: error: notify.from: "},
      {kOps + "attempts = 0", "w.toml:4:12: error: notify.attempts: 0 is out of range"},
      {kOps + "in_flight_max = 65", "out of range; write 1 to 64"},
  };
  for (const auto& [text, wanted] : cases) {
    EXPECT_FALSE(parse_config(text, "w.toml").ok()) << text;
    EXPECT_THAT(problems(text), Contains(HasSubstr(wanted))) << text;
  }
}

TEST(ConfigNotify, WhatHasNoEffectIsToldAsSuch) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"[[notify]]\nname = \"a\"\ntype = \"slack\"\nurl = \"https://hooks.slack.com/x\"",
       "w.toml:4:1: warning: notify.url: whoever knows the URL"},
      {kOps + "retry = \"fixed\"\nschedule = [\"1m\"]", "w.toml:5:1: warning: notify.schedule"},
      {kOps + "states = [\"seems_down\"]\nremind = \"1h\"", "w.toml:5:1: warning: notify.remind"},
      {kOps + "states = [\"seems_down\", \"down\"]\nseverity = \"critical\"",
       "w.toml:5:1: warning"},
  };
  for (const auto& [text, wanted] : cases) {
    EXPECT_TRUE(parse_config(text, "w.toml").ok()) << text;
    EXPECT_THAT(problems(text), ElementsAre(HasSubstr(wanted))) << text;
  }
  EXPECT_THAT(problems(kOps), IsEmpty());
  EXPECT_THAT(problems(kOps + "states = [\"warning\"]"), IsEmpty());
  EXPECT_FALSE(parse_config(kOps, "w.toml").config.notify.front().warnings) << "not by default";
}

}  // namespace
}  // namespace watchwheel::app
