// SPDX-License-Identifier: Apache-2.0
// http/engine_view_api.h - what the listener asks of the engine behind it. app implements it.
//
// Thread   the http thread, for every call, one at a time. Readings of other threads' numbers go
//          through core/stats.
// Bounded  a call holds up every other request, health checks included: at most 50 ms each,
//          reload() at most 2 s.
// Fails    nothing may be thrown; what cannot be told is said in the returned text.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"

namespace prometheus {
struct MetricFamily;  // <prometheus/metric_family.h>; see metric_builder.h.
}

namespace watchwheel::http {

class EngineView {
 public:
  virtual ~EngineView() = default;

  // Every metric family, each name once. Counters never go down while the process lives.
  virtual std::vector<prometheus::MetricFamily> collect() = 0;

  // Does the process make progress? When false, `why` says what stands still: it is shown, so no secrets.
  // False means that a restart would help: a store that is away is not a reason.
  virtual bool healthy(std::string& why) = 0;

  // Has it loaded its sites and does it check them? When false, `why` says what is awaited; when true and not empty, what it has
  // to do without meanwhile (the store).
  virtual bool ready(std::string& why) = 0;

  // One JSON object, what `watchwheel status --json` prints.
  virtual std::string status_json() = 0;

  // Reads the configuration again and puts it in force as a whole, or changes nothing. The value says what changed;
  // the error's message holds every reason, one a line.
  virtual core::Result<std::string> reload() = 0;
};

}  // namespace watchwheel::http
