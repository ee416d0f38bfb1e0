// SPDX-License-Identifier: Apache-2.0
#include "http/metric_builder.h"

#include <gtest/gtest.h>

#include "core/stats.h"
#include "http/metrics.h"

namespace watchwheel::http {
namespace {

using namespace std::chrono_literals;

TEST(MetricBuilder, WritesCountersAndGaugesInTheTextFormat) {
  const std::string text = to_text({
      counter("watchwheel_checks_missed_total", "Missed.", 7),
      gauge("watchwheel_sites", "Sites.", by("state", {{"up", 3}, {"down", 0}})),
      counter("watchwheel_deliveries_total", "Sent.",
              std::vector<Sample>{{{{"channel", "webhook"}, {"result", "ok"}}, 2}}),
  });
  EXPECT_EQ(text,
            "# HELP watchwheel_checks_missed_total Missed.\n"
            "# TYPE watchwheel_checks_missed_total counter\n"
            "watchwheel_checks_missed_total 7\n"
            "# HELP watchwheel_sites Sites.\n"
            "# TYPE watchwheel_sites gauge\n"
            "watchwheel_sites{state=\"up\"} 3\n"
            "watchwheel_sites{state=\"down\"} 0\n"
            "# HELP watchwheel_deliveries_total Sent.\n"
            "# TYPE watchwheel_deliveries_total counter\n"
            "watchwheel_deliveries_total{channel=\"webhook\",result=\"ok\"} 2\n");
}

// Goal: a histogram of ours, which counts each bucket alone, is told cumulatively, with +Inf equal to the count.
TEST(MetricBuilder, HistogramsAreCumulative) {
  const core::HistogramReading reading{.bounds_s = {0.1, 1}, .counts = {2, 3, 4}, .sum_s = 12.5};
  EXPECT_EQ(to_text({histogram("watchwheel_lag_seconds", "Lag.", reading)}),
            "# HELP watchwheel_lag_seconds Lag.\n"
            "# TYPE watchwheel_lag_seconds histogram\n"
            "watchwheel_lag_seconds_count 9\n"
            "watchwheel_lag_seconds_sum 12.5\n"
            "watchwheel_lag_seconds_bucket{le=\"0.1\"} 2\n"
            "watchwheel_lag_seconds_bucket{le=\"1\"} 5\n"
            "watchwheel_lag_seconds_bucket{le=\"+Inf\"} 9\n");
}

TEST(MetricBuilder, AnObservedHistogramKeepsEveryObservation) {
  core::Histogram lag;
  for (int i = 0; i < 100; ++i) lag.observe(i * 1ms);
  lag.observe(90s);  // Past the last bound.
  const auto family = histogram("watchwheel_lag_seconds", "Lag.",
                                std::vector<HistogramSample>{{{{"phase", "dns"}}, lag.read()}});
  const auto& made = family.metric.at(0).histogram;
  EXPECT_EQ(made.sample_count, 101u);
  EXPECT_EQ(made.bucket.back().cumulative_count, 101u);
  EXPECT_EQ(made.bucket[made.bucket.size() - 2].cumulative_count, 100u);
  ASSERT_EQ(family.metric.at(0).label.size(), 1u);
  EXPECT_EQ(family.metric.at(0).label[0].value, "dns");
}

TEST(MetricBuilder, AnEmptyReadingIsAHistogramOfNothing) {
  const auto family = histogram("watchwheel_lag_seconds", "Lag.", core::HistogramReading{});
  ASSERT_EQ(family.metric.at(0).histogram.bucket.size(), 1u);
  EXPECT_EQ(family.metric.at(0).histogram.sample_count, 0u);
}

TEST(MetricBuilder, LabelValuesAreEscaped) {
  EXPECT_NE(to_text({gauge("watchwheel_x", "X.", by("l", {{"a\"b\\c\nd", 1}}))})
                .find("watchwheel_x{l=\"a\\\"b\\\\c\\nd\"} 1"),
            std::string::npos);
}

// prometheus-cpp writes HELP as it is; one line break there and Prometheus refuses the page as a whole.
TEST(MetricBuilderDeathTest, HelpThatWouldBreakThePageStopsUs) {
  EXPECT_DEATH((void)counter("watchwheel_x_total", "two\nlines", 1), "help text");
  EXPECT_DEATH((void)gauge("watchwheel_x", "back\\slash", 1), "help text");
}

TEST(HttpMetrics, EveryMemberOfAClosedListIsThereFromTheStart) {
  Stats stats;
  std::vector<prometheus::MetricFamily> families;
  append_metrics(stats, families);
  const std::string text = to_text(families);
  for (std::size_t i = 0; i < kRefusedCount; ++i) {
    const std::string reason(to_string(static_cast<Refused>(i)));
    EXPECT_NE(text.find("watchwheel_http_refused_total{reason=\"" + reason + "\"} 0"),
              std::string::npos)
        << text;
  }
  for (const char* code : {"2xx", "3xx", "4xx", "5xx"}) {
    EXPECT_NE(text.find("watchwheel_http_responses_total{code=\"" + std::string(code) + "\"} 0"),
              std::string::npos)
        << text;
  }
}

TEST(HttpMetrics, CountsAreTold) {
  Stats stats;
  stats.answers[4].add(3);
  stats.count(Refused::HeadTooLarge);
  stats.accept_errors.add(2);
  stats.connections.set(5);
  stats.connections_max.set(64);
  std::vector<prometheus::MetricFamily> families;
  append_metrics(stats, families);
  const std::string text = to_text(families);
  for (const char* line :
       {"watchwheel_http_responses_total{code=\"4xx\"} 3\n",
        "watchwheel_http_refused_total{reason=\"head_too_large\"} 1\n",
        "watchwheel_http_accept_errors_total 2\n", "watchwheel_http_connections 5\n",
        "watchwheel_http_connections_limit 64\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  }
}

}  // namespace
}  // namespace watchwheel::http
