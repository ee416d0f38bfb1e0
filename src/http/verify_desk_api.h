// SPDX-License-Identifier: Apache-2.0
// http/verify_desk_api.h - what the verifier's listener asks of the checker behind it. app implements it.
//
// Thread   the verifier's http thread, for every call.
// Bounded  a call holds up every other request: at most 50 ms each. The answer may come much later.
// Fails    nothing may be thrown.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "http/routes.h"

namespace prometheus {
struct MetricFamily;  // <prometheus/metric_family.h>; see metric_builder.h.
}

namespace watchwheel::http {

class VerifyDesk {
 public:
  // Called exactly once, from any thread, or before verify() returns.
  using Answered = std::function<void(Response)>;

  virtual ~VerifyDesk() = default;

  // A batch of checks, as the body of the request has it.
  virtual void verify(const std::string& body, Answered answered) = 0;
  // Every metric family, each name once.
  virtual std::vector<prometheus::MetricFamily> collect() = 0;
  // Does it make progress? When false, `why` says what stands still.
  virtual bool healthy(std::string& why) = 0;
};

}  // namespace watchwheel::http
