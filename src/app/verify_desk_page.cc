// SPDX-License-Identifier: Apache-2.0
// The metrics page of a verifier (docs/reference/verifier.md). The daemon's own is made in metrics.cc.
#include <prometheus/metric_family.h>

#include "app/verify_desk.h"
#include "app/version.h"
#include "http/metric_builder.h"
#include "http/metrics.h"

namespace watchwheel::app {

std::vector<prometheus::MetricFamily> VerifyDesk::collect() {
  using http::by, http::counter, http::gauge, http::histogram;
  const auto number = [](std::uint64_t n) { return static_cast<double>(n); };
  const DeskReading sum = reading();
  std::vector<std::pair<std::string, double>> requests;
  for (std::size_t i = 0; i < kDeskEndCount; ++i)
    requests.emplace_back(to_string(static_cast<DeskEnd>(i)), number(stats_.requests[i].value()));
  std::vector<std::pair<std::string, double>> outcomes;
  for (std::size_t i = 0; i < sum.outcomes.size(); ++i)
    outcomes.emplace_back(core::to_string(static_cast<core::Outcome>(i)), number(sum.outcomes[i]));
  std::vector<prometheus::MetricFamily> page{
      gauge("watchwheel_build_info", "Always 1.",
            {{{{"version", std::string(version())}, {"commit", std::string(commit())}}, 1}}),
      counter("watchwheel_verifier_requests_total", "Batches by how they ended.",
              by("result", requests)),
      counter("watchwheel_verifier_checks_total", "Checks that were answered, by outcome.",
              by("outcome", outcomes)),
      counter("watchwheel_verifier_checks_refused_total",
              "Checks that found no room and were answered as local_overload, or whose batch was refused.",
              number(stats_.refused.value())),
      counter("watchwheel_verifier_checks_late_total",
              "Checks without a result at the deadline of their batch.", number(sum.late)),
      histogram("watchwheel_verifier_check_duration_seconds", "Whole checks that were answered.",
                sum.took),
      gauge("watchwheel_verifier_in_flight", "Checks under way.", number(in_flight())),
      gauge("watchwheel_verifier_in_flight_limit", "Checks that may be under way.",
            number(settings_.in_flight_max))};
  if (listener_ != nullptr) http::append_metrics(*listener_, page);
  return page;
}

}  // namespace watchwheel::app
