// SPDX-License-Identifier: Apache-2.0
// support/fake_engine_view.h - an engine that says what the test wants, for the HTTP listener.
//
// Thread   built and changed by the test before the listener's thread asks; what is asked then
//          belongs to that thread.
#pragma once

#include <prometheus/metric_family.h>
#include <pthread.h>

#include <atomic>
#include <string>
#include <vector>

#include "http/engine_view_api.h"
#include "http/metric_builder.h"

namespace watchwheel::testing {

class FakeEngineView final : public http::EngineView {
 public:
  std::string unhealthy_because;  // Empty: healthy.
  std::string unready_because;
  std::string status = "{}";
  std::string reload_refused;  // Empty: reload works.
  std::vector<prometheus::MetricFamily> more;
  std::atomic<int> reloads{0};
  std::string asked_on_thread;  // Name of the thread that collected last.

  std::vector<prometheus::MetricFamily> collect() override {
    char name[16] = {};
    pthread_getname_np(pthread_self(), name, sizeof name);
    asked_on_thread = name;
    std::vector<prometheus::MetricFamily> out{
        http::gauge("watchwheel_sites", "Sites by state.",
                    http::by("state", {{"up", 3}, {"down", 1}})),
        http::counter("watchwheel_checks_missed_total", "Intervals without a check.", 2),
        http::histogram("watchwheel_schedule_lag_seconds", "Start minus due time.",
                        core::HistogramReading{{0.1, 1}, {4, 1, 0}, 0.7}),
    };
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  bool healthy(std::string& why) override {
    why = unhealthy_because;
    return unhealthy_because.empty();
  }
  bool ready(std::string& why) override {
    why = unready_because;
    return unready_because.empty();
  }
  std::string status_json() override { return status; }
  core::Result<std::string> reload() override {
    ++reloads;
    if (!reload_refused.empty()) return core::Error{core::ErrorKind::Invalid, reload_refused};
    return std::string("reloaded");
  }
};

}  // namespace watchwheel::testing
