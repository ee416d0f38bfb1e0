// SPDX-License-Identifier: Apache-2.0
#include "http/metrics.h"

#include <string>
#include <utility>

#include "http/metric_builder.h"

namespace watchwheel::http {

void append_metrics(const Stats& stats, std::vector<prometheus::MetricFamily>& families) {
  std::vector<std::pair<std::string, double>> answers;
  for (std::size_t digit = 2; digit < stats.answers.size(); ++digit) {
    answers.emplace_back(std::to_string(digit) + "xx", stats.answers[digit].value());
  }
  std::vector<std::pair<std::string, double>> refused;
  for (std::size_t i = 0; i < kRefusedCount; ++i) {
    refused.emplace_back(to_string(static_cast<Refused>(i)), stats.refused[i].value());
  }

  families.push_back(counter("watchwheel_http_responses_total",
                             "Answers given by the HTTP listener, by class of status.",
                             by("code", answers)));
  families.push_back(counter("watchwheel_http_refused_total",
                             "Connections and requests ended without a route's answer, by reason.",
                             by("reason", refused)));
  families.push_back(
      counter("watchwheel_http_accept_errors_total",
              "Connections that could not be accepted, mostly for want of descriptors.",
              static_cast<double>(stats.accept_errors.value())));
  families.push_back(gauge("watchwheel_http_connections", "Open connections to the HTTP listener.",
                           stats.connections.value()));
  families.push_back(gauge("watchwheel_http_connections_limit",
                           "Connections above which the HTTP listener answers 503.",
                           stats.connections_max.value()));
}

}  // namespace watchwheel::http
