// SPDX-License-Identifier: Apache-2.0
// http/metrics.h - the listener's own metrics, in the shape of the page.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "http/stats.h"

namespace watchwheel::http {

// Appends watchwheel_http_* (docs/reference/metrics.md). Called by whoever implements EngineView::collect.
void append_metrics(const Stats& stats, std::vector<prometheus::MetricFamily>& families);

}  // namespace watchwheel::http
