// SPDX-License-Identifier: Apache-2.0
// http/metric_builder.h - prometheus::MetricFamily values from readings of core/stats.
//
// Owns     nothing: values.
// Thread   any.
// Bounded  by what is passed in. Label values come from closed lists: never a site, a URL or an
//          error text.
// Fails    a HELP text with a backslash or a line break stops the process: prometheus-cpp writes it
//          unescaped, and Prometheus then refuses the whole page. Help texts are our own literals,
//          so that is our mistake.
//
// The registry of prometheus-cpp is not used: its counters cost a locked instruction each and its
// histograms a mutex; ours are counted by the thread that owns them and put in this shape when
// somebody asks.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/stats.h"

namespace watchwheel::http {

using Labels = std::vector<std::pair<std::string, std::string>>;  // Name and value.

struct Sample {
  Labels labels;
  double value = 0;
};
struct HistogramSample {
  Labels labels;
  core::HistogramReading reading;
};

// One number without labels.
[[nodiscard]] prometheus::MetricFamily counter(std::string_view name, std::string_view help,
                                               double value);
[[nodiscard]] prometheus::MetricFamily gauge(std::string_view name, std::string_view help,
                                             double value);
// An empty reading (no bounds, no counts) is a histogram with the bucket +Inf alone.
[[nodiscard]] prometheus::MetricFamily histogram(std::string_view name, std::string_view help,
                                                 const core::HistogramReading& reading);

// Any labels; samples keep their order. A family without samples is left out of the page by the serializer's
// readers, so give every member of a closed list from the start, at zero.
[[nodiscard]] prometheus::MetricFamily counter(std::string_view name, std::string_view help,
                                               const std::vector<Sample>& samples);
[[nodiscard]] prometheus::MetricFamily gauge(std::string_view name, std::string_view help,
                                             const std::vector<Sample>& samples);
[[nodiscard]] prometheus::MetricFamily histogram(std::string_view name, std::string_view help,
                                                 const std::vector<HistogramSample>& samples);

// One label and its values, the common case: by("outcome", {{"up", 5}, {"down", 0}}).
[[nodiscard]] std::vector<Sample> by(std::string_view label,
                                     const std::vector<std::pair<std::string, double>>& values);

// The text format 0.0.4 of `families`, in their order.
[[nodiscard]] std::string to_text(const std::vector<prometheus::MetricFamily>& families);

}  // namespace watchwheel::http
