// SPDX-License-Identifier: Apache-2.0
// checker/redirect_policy.h - what a response's status and Location mean for the check: an end, a next hop, or a failure.
//
// Pure; any thread. Each hop that is followed goes through resolver, guard and dialer like the first one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "checker/target.h"
#include "core/check_options.h"
#include "core/probe.h"

namespace watchwheel::checker {

// Where the check stands when the response comes.
struct Hop {
  const Target& at;
  const Target& first;  // Of the check.
  std::string_view method;
  std::uint16_t redirects = 0;  // Followed so far.
};

struct RedirectStep {
  enum class Kind : std::uint8_t {
    Judge,  // Not to be followed: the status is judged as it stands.
    Follow,
    Fail,  // `cause` and `detail` say why.
  };
  Kind kind = Kind::Judge;
  Target next;
  std::string method;       // For the next hop.
  bool keeps_body = false;  // The request's body is sent again.
  bool downgrade = false;   // From https to http.
  bool at_origin =
      false;  // Still where the check began, on the whole way: credentials may be sent.
  core::Cause cause = core::Cause::Ok;
  std::string detail;
};

// 301, 302, 303, 307 and 308 with a Location are followed as browsers do: 303 turns everything but HEAD into GET, 301 and 302 turn
// POST into GET. Others, and those without a Location, are judged. `at_origin`: of the hop that was answered.
[[nodiscard]] RedirectStep decide_redirect(const core::CheckOptions& options, const Hop& hop,
                                           bool at_origin, std::uint16_t status,
                                           const std::optional<std::string>& location);

}  // namespace watchwheel::checker
