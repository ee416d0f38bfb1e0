// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "app/cli.h"
#include "app/commands_incidents.h"
#include "app/daemon_client.h"

namespace watchwheel::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

struct Ran {
  int status = -1;
  std::string out, err;
};

Ran run_line(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "watchwheel");
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Io io{in, out, err};
  Ran ran;
  ran.status = run_cli(static_cast<int>(arguments.size()), arguments.data(), io);
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

TEST(CommandLine, WrongUsageIsTwoAndSaysWhereHelpIs) {
  for (const std::vector<const char*>& line : std::vector<std::vector<const char*>>{
           {},
           {"chek"},
           {"check"},
           {"check", "http://a.example/", "--colour"},
           {"sites"},
           {"sites", "import"},
           {"sites", "import", "f", "--format", "xml"},
           {"sites", "set", "1"},
           {"sites", "set", "1", "--unset", "id"},
           {"incidents", "--site", "x"},
           {"incidents", "--since", "yesterday"},
           {"run"},
           {"check", "http://a.example/", "--timeout", "soon"},
           {"check", "http://a.example/", "--method", "HEAD", "--keyword", "x"},
           {"sites", "list", "--state", "upp"}}) {
    const Ran ran = run_line(line);
    EXPECT_EQ(ran.status, kExitUsage) << ::testing::PrintToString(line) << ran.err;
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err, "");
  }
  EXPECT_THAT(run_line({"sites", "import"}).err, HasSubstr("`watchwheel sites import --help`"));
}

TEST(CommandLine, EveryCommandHasHelpThatNamesItsOptions) {
  for (const CommandNames& command : command_names()) {
    std::vector<std::string> words;
    std::istringstream split(command.command);
    for (std::string word; split >> word;) words.push_back(word);
    std::vector<const char*> line;
    for (const std::string& word : words) line.push_back(word.c_str());
    line.push_back("--help");
    const Ran ran = run_line(line);
    EXPECT_EQ(ran.status, kExitOk) << command.command;
    for (const std::string& option : command.options)
      EXPECT_THAT(ran.out, HasSubstr(option)) << command.command;
  }
}

TEST(CommandLine, TheReferenceHasEveryCommandAndOption) {
  std::ifstream file(std::string(WATCHWHEEL_SOURCE_DIR) + "/docs/reference/commands.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const CommandNames& command : command_names()) {
    EXPECT_THAT(text, HasSubstr("`watchwheel " + command.command)) << command.command;
    for (const std::string& option : command.options)
      EXPECT_THAT(text, HasSubstr(option)) << command.command;
  }
}

TEST(CommandLine, VersionNamesTheLibraries) {
  const Ran ran = run_line({"--version"});
  EXPECT_EQ(ran.status, kExitOk);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("watchwheel "), HasSubstr("commit"), HasSubstr("libcurl "),
                             HasSubstr("OpenSSL "), HasSubstr("c-ares "), HasSubstr("SQLite "),
                             HasSubstr("Boost ")));
}

// A full disk or a closed pipe: what could not be written must not look like success.
TEST(CommandLine, ResultsThatCannotBeWrittenAreAFailure) {
  std::istringstream in;
  std::ostream broken(nullptr);
  std::ostringstream err;
  Io io{in, broken, err};
  const std::vector<const char*> line{"watchwheel", "--version"};
  EXPECT_EQ(run_cli(2, line.data(), io), kExitTrouble);
}

TEST(Since, TakesTimesDatesAndHowLongAgo) {
  const core::WallTime now = *core::parse_iso8601("2026-11-20T12:00:00Z");
  EXPECT_EQ(*parse_since("2h", now), now - 2h);
  EXPECT_EQ(core::to_iso8601(*parse_since("2026-11-19", now)), "2026-11-19T00:00:00.000Z");
  EXPECT_EQ(core::to_iso8601(*parse_since("2026-11-19T01:02:03Z", now)),
            "2026-11-19T01:02:03.000Z");
  EXPECT_FALSE(parse_since("2026-13-19", now));
  EXPECT_FALSE(parse_since("last week", now));
}

TEST(IncidentText, SaysWhatHowLongAndWhy) {
  db::Incident incident;
  incident.id = core::EventId{3};
  incident.site = core::SiteId{9};
  incident.url = "http://a.example/";
  incident.state = core::SiteState::Down;
  incident.started_at = *core::parse_iso8601("2026-11-20T12:00:00Z");
  incident.failures = 4;
  incident.evidence.cause = core::Cause::HttpStatus;
  incident.evidence.detail = "status 503\nforged";
  const core::WallTime now = incident.started_at + 90s;
  const std::string open = incident_text(incident, now);
  EXPECT_THAT(open, AllOf(HasSubstr("#3 down  since 2026-11-20T12:00:00.000Z, for 1m 30s"),
                          HasSubstr("site 9 http://a.example/"),
                          HasSubstr("http_status: status 503"), Not(HasSubstr("\nforged"))));
  incident.state = core::SiteState::Up;
  incident.ended_at = incident.started_at + 60s;
  EXPECT_THAT(incident_text(incident, now),
              HasSubstr("#3 over  since 2026-11-20T12:00:00.000Z, lasted 1m"));
  // A wall clock that was set back does not make a negative length.
  incident.ended_at = incident.started_at - 60s;
  EXPECT_THAT(incident_json(incident, now), HasSubstr("\"duration_s\": 0.0"));
}

// What people are not told of, while it is so.
TEST(IncidentText, SaysWhatHoldsItsNotice) {
  using sideeffects::HoldReason;
  db::Incident incident;
  incident.started_at = *core::parse_iso8601("2026-11-20T12:00:00Z");
  const auto text = [&](HoldReason reason, bool until) {
    const sideeffects::HeldBack held{
        .reason = reason,
        .by = 7,
        .since = incident.started_at,
        .until = until ? incident.started_at + 1min : core::kNoWallTime};
    const std::string all = incident_text(incident, incident.started_at, held);
    const std::size_t at = all.find("held since 2026-11-20T12:00:00.000Z: ");
    return at == std::string::npos ? "" : all.substr(at + 37, all.find('\n', at) - at - 37);
  };
  EXPECT_EQ(text(HoldReason::Maintenance, true),
            "maintenance window 7, until 2026-11-20T12:01:00.000Z");
  EXPECT_EQ(text(HoldReason::Parent, false), "site 7, on which it depends, fails");
  EXPECT_EQ(text(HoldReason::Parent, true),
            "site 7, on which it depends, came up; told after 2026-11-20T12:01:00.000Z if it is "
            "still down then");
  EXPECT_EQ(text(HoldReason::Flapping, true),
            "it flaps; told after 2026-11-20T12:01:00.000Z if it is still down then");
  EXPECT_EQ(text(HoldReason::MaintenanceUnread, false), "the maintenance windows cannot be read");
  EXPECT_EQ(text(HoldReason::ParentsUnread, false),
            "the store does not say whether a site on which it depends fails");
  EXPECT_THAT(incident_json(incident, incident.started_at), HasSubstr("\"held\": null"));
}

TEST(StatusUrl, AsksWildcardsAtLoopback) {
  EXPECT_EQ(*status_url("0.0.0.0:9464"), "http://127.0.0.1:9464/api/v1/status");
  EXPECT_EQ(*status_url("[::]:80"), "http://[::1]:80/api/v1/status");
  EXPECT_EQ(*status_url("192.0.2.1:1"), "http://192.0.2.1:1/api/v1/status");
  EXPECT_FALSE(status_url("127.0.0.1:0"));
}

}  // namespace
}  // namespace watchwheel::app
