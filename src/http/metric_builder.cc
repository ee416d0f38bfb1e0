// SPDX-License-Identifier: Apache-2.0
#include "http/metric_builder.h"

#include <prometheus/text_serializer.h>

#include <limits>
#include <sstream>

#include "core/ensure.h"

namespace watchwheel::http {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily family(std::string_view name, std::string_view help, MetricType type) {
  ENSURE(help.find_first_of("\\\n\r") == std::string_view::npos,
         "the help text of " + std::string(name) + " holds a backslash or a line break");
  MetricFamily out;
  out.name = name;
  out.help = help;
  out.type = type;
  return out;
}

ClientMetric labelled(const Labels& labels) {
  ClientMetric out;
  out.label.reserve(labels.size());
  for (const auto& [name, value] : labels) out.label.push_back({name, value});
  return out;
}

// Prometheus counts cumulatively: each bucket holds all that is at most its bound.
ClientMetric::Histogram cumulative(const core::HistogramReading& reading) {
  ClientMetric::Histogram out;
  out.bucket.reserve(reading.bounds_s.size() + 1);
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < reading.counts.size(); ++i) {
    so_far += reading.counts[i];
    if (i < reading.bounds_s.size()) out.bucket.push_back({so_far, reading.bounds_s[i]});
  }
  out.bucket.push_back({so_far, std::numeric_limits<double>::infinity()});
  out.sample_count = so_far;
  out.sample_sum = reading.sum_s;
  return out;
}

}  // namespace

MetricFamily counter(std::string_view name, std::string_view help,
                     const std::vector<Sample>& samples) {
  MetricFamily out = family(name, help, MetricType::Counter);
  for (const Sample& sample : samples) {
    out.metric.push_back(labelled(sample.labels));
    out.metric.back().counter.value = sample.value;
  }
  return out;
}

MetricFamily gauge(std::string_view name, std::string_view help,
                   const std::vector<Sample>& samples) {
  MetricFamily out = family(name, help, MetricType::Gauge);
  for (const Sample& sample : samples) {
    out.metric.push_back(labelled(sample.labels));
    out.metric.back().gauge.value = sample.value;
  }
  return out;
}

MetricFamily histogram(std::string_view name, std::string_view help,
                       const std::vector<HistogramSample>& samples) {
  MetricFamily out = family(name, help, MetricType::Histogram);
  for (const HistogramSample& sample : samples) {
    out.metric.push_back(labelled(sample.labels));
    out.metric.back().histogram = cumulative(sample.reading);
  }
  return out;
}

MetricFamily counter(std::string_view name, std::string_view help, double value) {
  return counter(name, help, std::vector<Sample>{{{}, value}});
}

MetricFamily gauge(std::string_view name, std::string_view help, double value) {
  return gauge(name, help, std::vector<Sample>{{{}, value}});
}

MetricFamily histogram(std::string_view name, std::string_view help,
                       const core::HistogramReading& reading) {
  return histogram(name, help, std::vector<HistogramSample>{{{}, reading}});
}

std::vector<Sample> by(std::string_view label,
                       const std::vector<std::pair<std::string, double>>& values) {
  std::vector<Sample> out;
  out.reserve(values.size());
  for (const auto& [value, number] : values) {
    out.push_back({{{std::string(label), value}}, number});
  }
  return out;
}

std::string to_text(const std::vector<MetricFamily>& families) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  prometheus::TextSerializer().Serialize(out, families);
  return std::move(out).str();
}

}  // namespace watchwheel::http
