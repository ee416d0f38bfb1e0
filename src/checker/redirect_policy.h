// SPDX-License-Identifier: Apache-2.0
// checker/redirect_policy.h - what a response's status and Location mean for the check: an end, a next hop, or a failure.
//
// Pure; any thread. Each hop that is followed goes through resolver, guard and dialer like the first one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checker/cookies.h"
#include "checker/head_check.h"
#include "checker/target.h"
#include "core/check_options.h"
#include "core/probe.h"

namespace watchwheel::checker {

// What a check that is redirected carries along. Bounded by max_redirects.
class RedirectTrail {
 public:
  CookieJar cookies;

  // `at` was asked by `method`, with the cookies that the jar holds now.
  void note(const Target& at, std::string_view method) { asked_.push_back(mark(at, method)); }
  // Whether asking that, with the cookies that the jar holds now, would ask again what was asked before: the answer can only be
  // the same.
  [[nodiscard]] bool repeats(const Target& next, std::string_view method) const;

 private:
  [[nodiscard]] std::uint64_t mark(const Target& at, std::string_view method) const;
  std::vector<std::uint64_t> asked_;
};

// Where the check stands when the response comes.
struct Hop {
  const Target& at;
  const Target& first;  // Of the check.
  std::string_view method;
  std::uint16_t redirects = 0;  // Followed so far.
  // With this response's cookies. Null: nothing is known of the way.
  const RedirectTrail* trail = nullptr;
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
// POST into GET. Others, and those without a Location, are judged. Several Locations that differ are invalid: browsers refuse
// them. `at_origin`: of the hop that was answered. A loop is followed to max_redirects, as the site may change its mind.
[[nodiscard]] RedirectStep decide_redirect(const core::CheckOptions& options, const Hop& hop,
                                           bool at_origin, const ResponseHead& head);
// The response is one that decide_redirect() may follow.
[[nodiscard]] bool may_redirect(const core::CheckOptions& options, const ResponseHead& head);

}  // namespace watchwheel::checker
