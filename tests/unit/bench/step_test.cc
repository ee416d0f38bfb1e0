// SPDX-License-Identifier: Apache-2.0
// The arithmetic between what is read and what is told.
#include "bench/rig/step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace watchwheel::rig {
namespace {

MetricsPage page(double up, double down, double not_measured, double opened) {
  const auto line = [](const std::string& key, double value) {
    return key + " " + std::to_string(value) + "\n";
  };
  return MetricsPage(
      "# HELP watchwheel_checks_total finished checks\n" +
      line(R"(watchwheel_checks_total{outcome="up"})", up) +
      line(R"(watchwheel_checks_total{outcome="down"})", down) +
      line(R"(watchwheel_checks_total{outcome="not_measured"})", not_measured) +
      line(R"(watchwheel_transitions_total{reason="opened"})", opened) +
      line(R"(watchwheel_transitions_total{reason="confirmed"})", opened / 2) +
      line(R"(watchwheel_schedule_lag_seconds_bucket{le="0.1"})", up * 0.9) +
      line(R"(watchwheel_schedule_lag_seconds_bucket{le="1"})", up * 0.995) +
      line(R"(watchwheel_schedule_lag_seconds_bucket{le="+Inf"})", up) +
      line(R"(watchwheel_loop_lag_seconds{thread="lane-0"})", 0.002) +
      line(R"(watchwheel_loop_lag_seconds{thread="lane-1"})", 0.009) +
      line("watchwheel_dns_queries_total{result=\"ok\"}", 2 * (up + down + not_measured)));
}

// 30,000 sites every 60 s for 100 s: 50,000 checks, 40 us of engine and 10 us of fleet each.
Step good_step() {
  Step step;
  step.name = "500/s";
  step.sites = 30'000;
  step.interval_s = 60;
  step.timeout_s = 10;
  step.before = {1000, page(100, 10, 5, 4), {7.0, 150U << 20U, {{"lane-0", 5}}}, {1.0, 1000, {}}};
  step.after = {1100, page(49'090, 1010, 15, 4), {9.0, 160U << 20U, {}}, {1.5, 1000, {}}};
  step.fleet.gap = {60, 60.1, 60.9, 61.5, 63};
  step.fleet.interval_s = 60;
  return step;
}

TEST(RigFigures, FollowFromTwoReadings) {
  const Step step = good_step();
  const Figures figures = figures_of(step);
  EXPECT_DOUBLE_EQ(figures.seconds, 100);
  EXPECT_DOUBLE_EQ(figures.offered, 500);
  EXPECT_DOUBLE_EQ(figures.done, 499.9);  // What is not measured is not done.
  EXPECT_DOUBLE_EQ(figures.not_measured, 10);
  EXPECT_DOUBLE_EQ(figures.engine_us, 40);
  EXPECT_DOUBLE_EQ(figures.fleet_us, 10);
  EXPECT_DOUBLE_EQ(figures.engine_cores, 0.02);
  EXPECT_DOUBLE_EQ(figures.dns_a_check, 2);
  EXPECT_DOUBLE_EQ(figures.opened, 0);
  EXPECT_DOUBLE_EQ(figures.bytes_a_site, 60.0 * 1024 * 1024 / 30'000);
  EXPECT_DOUBLE_EQ(figures.lag_p50_s, 0.1);
  EXPECT_DOUBLE_EQ(figures.lag_p99_s, 1);
  EXPECT_TRUE(std::isinf(figures.lag_p999_s));
}

TEST(RigFigures, NothingReadIsNothingTold) {
  const Figures figures = figures_of(Step{});
  for (const double value : {figures.offered, figures.done, figures.engine_us, figures.fleet_us,
                             figures.bytes_a_site, figures.lag_p99_s}) {
    EXPECT_EQ(value, 0);
  }
}

TEST(RigFigures, PeaksComeFromTheSamples) {
  Step step = good_step();
  Reading now = step.after;
  now.engine.rss_bytes = 300U << 20U;
  step.samples.push_back(sample_of(step.before, step.before, now));
  EXPECT_DOUBLE_EQ(step.samples[0].done, 499.9);
  EXPECT_DOUBLE_EQ(step.samples[0].at_s, 100);
  const Figures figures = figures_of(step);
  EXPECT_DOUBLE_EQ(figures.rss_peak_bytes, 300.0 * 1024 * 1024);
  EXPECT_DOUBLE_EQ(figures.loop_lag_s_max, 0.009);
}

TEST(RigPromise, IsKeptOnlyWhenEveryPartOfItIs) {
  const auto kept = [](const Step& step) {
    const Figures figures = figures_of(step);
    Record record("x", "x");
    find_promise(step, figures, record);
    return std::pair(is_kept(step, figures), record.is_passed());
  };
  EXPECT_EQ(kept(good_step()), std::pair(true, true));
  Step step = good_step();
  step.fleet.never_seen = 1;
  EXPECT_EQ(kept(step), std::pair(false, false));
  step = good_step();
  step.fleet.expired = 1;
  EXPECT_EQ(kept(step), std::pair(false, false));
  step = good_step();
  step.fleet.gap.p99 = 61.01;
  EXPECT_EQ(kept(step), std::pair(false, false));
  step = good_step();
  step.after.page = page(49'090, 1010, 15, 5);  // One event.
  EXPECT_EQ(kept(step), std::pair(false, false));
  step = good_step();
  step.fleet.stale = 400;  // Above interval + 1 s, but not among 1 in 100: told, and no more.
  EXPECT_EQ(kept(step), std::pair(true, true));
  step = good_step();
  step.interval_s = 50;  // 600 a second were asked for.
  EXPECT_FALSE(kept(step).first);
}

TEST(RigFleetReport, ReadsWhatTheFleetWritesAndRefusesOtherThings) {
  const nlohmann::json spread = {{"p50", 1}, {"p90", 2}, {"p99", 3}, {"p999", 4}, {"max", 5}};
  nlohmann::json report = {{"window_s", 60.5},
                           {"interval_s", 60},
                           {"sites", 10},
                           {"healthy_sites", 9},
                           {"requests", 12},
                           {"healthy_requests", 11},
                           {"request_ratio", 1.0},
                           {"never_seen", 1},
                           {"stale", 2},
                           {"expired", 3},
                           {"gap_s", spread},
                           {"age_s", spread},
                           {"longest_wait_s", spread},
                           {"phase_shift_s", spread},
                           {"phase_sites", 8},
                           {"connections", {{"wrong_addresses", 0}, {"table_full", 0}}},
                           {"dns", {{"queries", 24}}},
                           {"own", {{"rss_bytes", 4096}}},
                           {"per_second", {1, 2, 3}}};
  const FleetReport read = fleet_report_of(report.dump());
  EXPECT_EQ(read.expired, 3);
  EXPECT_EQ(read.longest_wait.p999, 4);
  EXPECT_EQ(read.per_second, (std::vector<double>{1, 2, 3}));
  report.erase("expired");
  EXPECT_THROW(static_cast<void>(fleet_report_of(report.dump())), std::runtime_error);
  EXPECT_THROW(static_cast<void>(fleet_report_of("{")), std::runtime_error);
}

TEST(RigReached, IsTheFirstSampleWithEnough) {
  std::vector<Sample> samples(3);
  for (int i = 0; i < 3; ++i) {
    samples[static_cast<std::size_t>(i)].at_s = 10.0 * (i + 1);
    samples[static_cast<std::size_t>(i)].confirmed = 40.0 * (i + 1);
  }
  EXPECT_EQ(reached_s(samples, Counted::Confirmed, 100, 0.4), 10);
  EXPECT_EQ(reached_s(samples, Counted::Confirmed, 100, 1), 30);
  EXPECT_TRUE(std::isinf(reached_s(samples, Counted::Confirmed, 200, 1)));
  EXPECT_TRUE(std::isinf(reached_s(samples, Counted::Recovered, 100, 0.5)));
}

TEST(RigMetricsPage, SumsByLabelAndReadsMissingAsNothing) {
  const MetricsPage read(
      "a_total{x=\"1\",y=\"2\"} 3\na_total{x=\"2\"} 4\nb 5.5\n# c 6\nno value\n\nlast 7");
  EXPECT_EQ(read.sum("a_total"), 7);
  EXPECT_EQ(read.sum("a_total", "x=\"2\""), 4);
  EXPECT_EQ(read.max("a_total"), 4);
  EXPECT_EQ(read.sum("b"), 5.5);
  EXPECT_EQ(read.sum("last"), 7);
  EXPECT_EQ(read.sum("a"), 0);
  EXPECT_FALSE(read.has("c"));
  EXPECT_EQ(read.quantile(MetricsPage{}, "nothing", 0.5), 0);
}

TEST(RigRecord, TellsWhatWasNotMetInEveryForm) {
  Record record("name", "Title <1>");
  record.require("good", 1, true, "1");
  record.tell("aside", std::numeric_limits<double>::infinity());
  EXPECT_TRUE(record.is_passed());
  record.require("bad", 1234567, false, "less");
  record.add(Table{"T", {"a", "b"}, {{"1", "2"}}});
  record.add(Chart{"C", "x", "y", {{"s", {{1, 2}}}}, false});
  record.quote("Said", "as it is");
  EXPECT_FALSE(record.is_passed());
  const nlohmann::json json = nlohmann::json::parse(record.json());
  EXPECT_FALSE(json["passed"]);
  EXPECT_EQ(json["findings"][2]["value"], 1234567);
  EXPECT_TRUE(json["findings"][1]["value"].is_null());
  EXPECT_NE(record.text().find("NOT MET"), std::string::npos);
  EXPECT_NE(record.markdown().find("| bad | 1,234,567 | less | NOT MET |"), std::string::npos)
      << record.markdown();
  EXPECT_NE(record.markdown().find("![C](name-1.svg)"), std::string::npos);
  EXPECT_NE(record.markdown().find("Said\n\n```\nas it is\n```\n"), std::string::npos);
  EXPECT_NE(record.text().find("as it is"), std::string::npos);
}

TEST(RigRecord, NumbersAreReadable) {
  EXPECT_EQ(readable(0), "0");
  EXPECT_EQ(readable(1234), "1234");
  EXPECT_EQ(readable(12'345), "12,345");
  EXPECT_EQ(readable(2'000'000), "2,000,000");
  EXPECT_EQ(readable(-12'345), "-12,345");
  EXPECT_EQ(readable(61.537), "61.54");
  EXPECT_EQ(readable(1.00041), "1.000");
  EXPECT_EQ(readable(0.00123), "0.0012");
}

}  // namespace
}  // namespace watchwheel::rig
