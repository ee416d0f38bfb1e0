// SPDX-License-Identifier: Apache-2.0
// The families of the other vantages (docs/reference/metrics.md). Their label `verifier` is a name of the configuration.
#include <prometheus/metric_family.h>

#include <array>
#include <string>
#include <utility>

#include "app/verifiers.h"
#include "http/metric_builder.h"

namespace watchwheel::app {
namespace {

double number(const core::Counter& counted) {
  return static_cast<double>(counted.value());
}

struct Samples {
  std::vector<http::Sample> answers, batches, states, exams;
  std::vector<http::HistogramSample> took;
};

void add(Samples& all, const std::string& name, const verify::VerifierStats& stats,
         verify::Standing standing) {
  const auto labels = [&](const char* label, std::string_view value) {
    return http::Labels{{"verifier", name}, {label, std::string(value)}};
  };
  for (std::size_t i = 0; i < core::kSawCount; ++i)
    all.answers.push_back(
        {labels("saw", core::to_string(static_cast<core::Saw>(i))), number(stats.answers[i])});
  all.batches.push_back({labels("result", "answered"), number(stats.answered_batches)});
  all.batches.push_back({labels("result", "refused"), number(stats.refused_batches)});
  all.batches.push_back({labels("result", "too_large"), number(stats.divided_batches)});
  all.batches.push_back({labels("result", "failed"), number(stats.failed_batches)});
  for (std::size_t i = 0; i < verify::kStandingCount; ++i) {
    const auto one = static_cast<verify::Standing>(i);
    all.states.push_back({labels("state", verify::to_string(one)), one == standing ? 1.0 : 0.0});
  }
  all.exams.push_back({labels("result", "passed"), number(stats.exams_passed)});
  all.exams.push_back({labels("result", "failed"), number(stats.exams_failed)});
  all.took.push_back({{{"verifier", name}}, stats.batch.read()});
}

}  // namespace

void append_verifier_metrics(const VerifiersReading& reading,
                             std::vector<prometheus::MetricFamily>& out) {
  using http::by, http::counter, http::gauge, http::histogram;
  std::array<double, core::kBasisCount> decided{};
  double waiting = 0;
  double disputed = 0;
  for (const auto* shard : reading.shards) {
    for (std::size_t i = 0; i < decided.size(); ++i) decided[i] += number(shard->decided[i]);
    waiting += shard->waiting.value();
    disputed += shard->disputed.value();
  }
  std::vector<std::pair<std::string, double>> bases{{"dropped", decided[0]}};
  for (std::size_t i = 2; i < decided.size(); ++i)  // Our own word alone is no round.
    bases.emplace_back(core::to_string(static_cast<core::Basis>(i)), decided[i]);
  out.push_back(counter("watchwheel_verifications_total",
                        "Outages by how it was decided whether the site is down; dropped: it "
                        "recovered before that.",
                        by("basis", bases)));
  out.push_back(gauge("watchwheel_verifications_waiting",
                      "Sites that seem down and of which verifiers are being asked.", waiting));
  out.push_back(gauge("watchwheel_verifications_disputed",
                      "Sites that fail here and that other vantages see up.", disputed));
  if (reading.panel == nullptr) return;
  Samples all;
  const auto readings = reading.panel->readings();
  for (std::size_t seat = 0; seat < readings.size(); ++seat)
    add(all, readings[seat].name, reading.panel->stats(seat), readings[seat].standing);
  out.push_back(counter("watchwheel_verifier_answers_total",
                        "What came of asking a verifier, one for each question.", all.answers));
  out.push_back(counter("watchwheel_verifier_batches_total", "Requests to a verifier, by result.",
                        all.batches));
  out.push_back(gauge("watchwheel_verifier_state", "1 for how a verifier does.", all.states));
  out.push_back(counter("watchwheel_verifier_examinations_total",
                        "Examinations of a verifier that it answered, by result.", all.exams));
  out.push_back(histogram("watchwheel_verifier_batch_seconds",
                          "From sending a request to a verifier to its answer.", all.took));
}

}  // namespace watchwheel::app
