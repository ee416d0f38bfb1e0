// SPDX-License-Identifier: Apache-2.0
#include "app/status_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "app/status_watch.h"
#include "app/terminal.h"

namespace watchwheel::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string page_of(const std::string& json, const TextStyle& style = {}) {
  const auto status = parse_status(json);
  return status ? status_page(*status, style) : "no status: " + status.error().message;
}

constexpr const char* kStatus = R"({"version":"0.1.0","ready":true,"uptime_s":90,
    "config":{"file":"/etc/w.toml","loaded_at":"2026-11-20T12:00:00.000Z","reload_ok":false,"restart_needed":["engine.lanes"]},
    "sites":{"total":200,"up":195,"down":5,"paused":0},
    "checks":{"required_per_second":20.0,"done_per_second":19.9,"up":1,"down":2,"not_measured":3,"missed":4},
    "lag_s":{"p50":0.001,"p95":0.002,"p99":0.004,"p999":0.005,"max":60,"max_beyond":true,"window_s":300},
    "recent":{"step_s":5,"done_per_second":[0,10,20],"lag_p99_s":[0.001,0.002,0.004]},
    "freshness":{"stale_sites":0,"oldest_age_s":301,"within_interval_share":0.9951},
    "in_flight":{"now":12,"limit":1000,"wanted":30,"limited_by":"descriptors","refused":{"descriptors":9,"memory":0}},
    "pressure":{"in_flight":0.5,"loop_lag":0},
    "stretch":{"factor":1.42,"by_priority":[{"priority":0,"factor":1.42}],"limited_by":"descriptors"},
    "memory":{"resident_bytes":1073741824,"budget_bytes":2147483648,"origin":"cgroup memory.max","level":1},
    "limits":[{"name":"in_flight","value":15588,"origin":"auto","source":"RLIMIT_NOFILE 20000"}],
    "vantage":{"state":"fault","healthy":false,"since":"2026-11-20T03:00:00.000Z","reason":"canaries fail","failure_share":0.31,"networks":12,"withheld":44},
    "incidents":{"seems_down":1,"down":5},
    "recording":{"poisoned":[{"site":8,"reason":"too long","times":2}]},
    "lanes":[{"sites":103,"required_per_second":20.6,"done_per_second":20.5,"in_flight":2,"queued":1,"lag_p99_s":0.049,"loop_lag_s":0.0043,"cpu_share":0.62}],
    "queues":[{"name":"marks","depth":1,"capacity":100,"refused":7}]})";

TEST(StatusPage, ShowsWhatAnOperatorAsksFirst) {
  const std::string page = page_of(kStatus);
  EXPECT_THAT(page,
              StartsWith("vantage fault since 2026-11-20T03:00:00.000Z (canaries fail): nothing is "
                         "called down"));
  for (const std::string_view wanted :
       {"watchwheel 0.1.0, up 1m 30s, ready", "the last reload was REFUSED", "engine.lanes",
        "200: up 195, down 5", "19.9/s done of 20/s required",
        "p50 1.0ms, p95 2.0ms, p99 4.0ms, max above 1m, of the last 5m",
        "oldest result 5m 1s, 99.51 % no older than their interval, stale 0",
        "12 of 1,000 (limit by descriptors)", "descriptors 9", "down 5, seems down 1",
        "site 8: too long", "1 of 100, refused 7", "1.42x, limited by descriptors",
        "priority 0, factor 1.4",
        "1,024 MiB of 2,048 MiB (cgroup memory.max); caches are given back",
        "15,588  auto: RLIMIT_NOFILE 20000", "failure share 31 %", "withheld",
        "\n   0        103     20.6/s     20.5/s         2       1   49.0ms    4.3ms  62 %\n"}) {
    EXPECT_THAT(page, HasSubstr(wanted));
  }
  EXPECT_THAT(page, AllOf(Not(HasSubstr("paused")), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(page, HasSubstr("50 %  ######"));
}

TEST(StatusPage, NoLineIsWiderThanTheTerminal) {
  for (const std::size_t columns : {100U, 80U}) {
    std::istringstream page(page_of(kStatus, {.colour = false, .utf8 = false, .columns = columns}));
    for (std::string line; std::getline(page, line);) EXPECT_LE(line.size(), columns) << line;
  }
  EXPECT_NE(page_of(kStatus, {.columns = 1}), "");
}

TEST(StatusPage, ALaneIsOneLineOnAnyUsualTerminal) {
  EXPECT_THAT(
      page_of(kStatus, {.columns = 80}),
      HasSubstr(
          "\n   0        103     20.6/s     20.5/s         2       1   49.0ms    4.3ms  62 %\n"));
}

TEST(StatusPage, ColoursAndBlocksAreForThoseWhoCanShowThem) {
  const std::string page = page_of(kStatus, {.colour = true, .utf8 = true});
  EXPECT_THAT(page,
              AllOf(StartsWith("\x1b[1;31mvantage fault"), HasSubstr("▁▄█"), HasSubstr("█████")));
}

TEST(StatusPage, LeavesOutWhatItIsNotToldAndSurvivesWhatIsOdd) {
  EXPECT_THAT(page_of("{}"),
              AllOf(HasSubstr("on time"), Not(HasSubstr("Lanes")), Not(HasSubstr("Vantage"))));
  for (
      const char* odd :
      {R"({"sites":5,"queues":[1],"lanes":[null],"pressure":{"a~/b":0.5},"ready":"x","recording":{"poisoned":[3]},"lag_s":{"p50":"x","p99":-1,"p999":1e300}})",
       R"({"recent":{"done_per_second":["x",null,-1]},"limits":[1,{}],"stretch":{"factor":1e308},"vantage":[1],"memory":{"budget_bytes":-1},"pressure":{"x":1e999}})",
       R"({"summary":{"text":5,"standing":[]},"in_flight":{"refused":[1]},"process":{"cpu_share":1e300}})"})
    EXPECT_NE(page_of(odd), "") << odd;
  EXPECT_FALSE(parse_status("[]"));
  EXPECT_FALSE(parse_status("<html>"));
}

// A daemon's answer can hold texts that sites chose.
TEST(StatusPage, NothingInTheDocumentReachesTheTerminalAsAnOrder) {
  const std::string page = page_of(
      "{\"version\":\"\\u001b[2J\",\"summary\":{\"standing\":\"ok\",\"text\":\"a\\u001b]0;"
      "x\\u0007\"},"
      "\"pressure\":{\"\\u001b[1m\":0.5},\"vantage\":{\"\\u001bk\":\"\\u009b\"}}");
  EXPECT_THAT(page, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\x07"))));
}

TEST(StatusWatchView, SaysSinceWhenNobodyAnswersAndForgetsTheOldFigures) {
  const core::WallTime t = *core::parse_iso8601("2026-11-20T12:00:00Z");
  using namespace std::chrono_literals;
  StatusWatch seen;
  seen.look(std::string(kStatus), t);
  EXPECT_TRUE(seen.reachable());
  EXPECT_THAT(seen.page({}),
              AllOf(HasSubstr("vantage fault"), HasSubstr("seen 2026-11-20T12:00:00Z")));
  EXPECT_THAT(seen.line(), StartsWith("2026-11-20T12:00:00Z  vantage fault since"));
  EXPECT_THAT(seen.json_line(), HasSubstr("\"total\":200"));
  seen.look(core::Error{core::ErrorKind::Unavailable, "no daemon\x1b[2J answers"}, t + 10s);
  seen.look(core::Error{core::ErrorKind::Unavailable, "no daemon\x1b[2J answers"}, t + 20s);
  EXPECT_FALSE(seen.reachable());
  EXPECT_THAT(seen.page({}),
              AllOf(StartsWith("not reachable since 2026-11-20T12:00:10Z"), HasSubstr("no daemon"),
                    HasSubstr("last tried 2026-11-20T12:00:20Z"), Not(HasSubstr("\x1b")),
                    Not(HasSubstr("sites"))));
  const auto json = nlohmann::json::parse(seen.json_line());
  EXPECT_EQ(json.at("unreachable_since"), "2026-11-20T12:00:10.000Z");
  EXPECT_FALSE(json.contains("sites"));
  seen.look(std::string("<html>"), t + 25s);
  EXPECT_FALSE(seen.reachable());
  seen.look(std::string(kStatus), t + 30s);
  EXPECT_TRUE(seen.reachable());
}

TEST(Screenful, IsCutToTheTerminalAndLeavesNothingOfThePageBefore) {
  EXPECT_EQ(screenful("a\nb\n", {80, 3}), "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J");
  EXPECT_EQ(screenful("a\nb\nc\nd\n", {80, 3}),
            "\x1b[Ha\x1b[K\r\nb\x1b[K\r\n(2 lines more)\x1b[K\x1b[J");
  EXPECT_EQ(screenful("a\nb\n", {80, 1}), "\x1b[H(2 lines more)\x1b[K\x1b[J");
  EXPECT_EQ(screenful("", {80, 24}), "\x1b[H\x1b[J");
}

}  // namespace
}  // namespace watchwheel::app
