// SPDX-License-Identifier: Apache-2.0
// A redirect: where its Location leads, what is sent there, and who sees the credentials.
// Input: a byte of switches, a byte for the status, the URL that was asked, a line end, the Location.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "checker/redirect_policy.h"
#include "checker/target.h"
#include "fuzz/checker/target_laws.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

using checker::RedirectStep;
using checker::Target;
using core::Cause;

constexpr std::string_view kDefaultBase = "https://me:0penSesame@www.example.com/a/b?c=d";
constexpr std::array<std::uint16_t, 8> kStatus{301, 302, 303, 307, 308, 300, 304, 200};
constexpr std::array<std::string_view, 4> kMethods{"GET", "POST", "HEAD", "PUT"};

// The scheme that a text names, as RFC 3986 has it, in lower case.
std::string scheme_in(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  std::string scheme;
  for (const char c : text.substr(first)) {
    const char low = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (c == ':') return scheme;
    const bool letter = low >= 'a' && low <= 'z';
    const bool later = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    // Longer ones are none: libcurl reads them as the beginning of a path.
    if ((!letter && (scheme.empty() || !later)) || scheme.size() == 32) return {};
    scheme += low;
  }
  return {};
}

void hold_credential_laws(const Target& from, const Target& to) {
  if (to.same_origin(from)) {
    LAW(to.user == from.user && to.password == from.password,
        "within an origin the credentials stay what they were", to.user, from.user);
  } else {
    LAW(to.user.empty() && to.password.empty(), "credentials do not go to another origin", to.url(),
        to.user);
  }
}

void hold_follow_laws(const Target& base, std::string_view location) {
  const auto next = checker::follow(base, location);
  if (!next) {
    LAW(!next.error().message.empty() && has_no_controls(next.error().message),
        "a refusal says why in one line", next.error().message);
    return;
  }
  hold_target_laws(*next);
  hold_credential_laws(base, *next);
  // "host:80" has the look of a scheme; libcurl guesses then, and what it guesses is a web address.
  const std::string scheme = scheme_in(location);
  if (scheme == "http" || scheme == "https") {
    const bool names_one = location.find("://") != std::string_view::npos;
    LAW(!names_one || next->tls == (scheme == "https"), "the scheme is the one that was asked for",
        location, next->url());
  }
  const auto same = checker::follow(base, location);
  LAW(same && *same == *next, "the same Location leads to the same place", location);
}

void hold_step_laws(const core::CheckOptions& options, const checker::Hop& hop, bool at_origin,
                    std::uint16_t status, const RedirectStep& step, std::string_view location) {
  switch (step.kind) {
    case RedirectStep::Kind::Judge:
      return;
    case RedirectStep::Kind::Fail:
      LAW(step.cause == Cause::RedirectRefused || step.cause == Cause::RedirectInvalid ||
              step.cause == Cause::RedirectTooMany,
          "a redirect fails as a redirect", step.detail);
      LAW(!step.detail.empty() && has_no_controls(step.detail), "a failure says why in one line",
          step.detail);
      return;
    case RedirectStep::Kind::Follow:
      break;
  }
  LAW(options.redirects != core::Redirects::None, "no redirect is followed that is not to be",
      location);
  LAW(status == 301 || status == 302 || status == 303 || status == 307 || status == 308,
      "only these are redirects", location);
  LAW(hop.redirects < options.max_redirects, "there is an end to redirects", location);
  LAW(options.redirects != core::Redirects::SameHost || step.next.host == hop.first.host,
      "same-host stays on the host", step.next.host);
  LAW(step.downgrade == (hop.at.tls && !step.next.tls), "a downgrade is told", location);
  LAW(!step.at_origin || (at_origin && step.next.same_origin(hop.first)),
      "only the origin, all the way, is the origin", location);
  LAW(step.method == hop.method || step.method == "GET", "a redirect makes no new method",
      step.method);
  LAW(status < 307 || (step.method == hop.method && step.keeps_body), "307 and 308 change nothing",
      step.method);
  LAW(!step.keeps_body || step.method == hop.method, "a body goes with its method", step.method);
  LAW(hop.method != "HEAD" || step.method == "HEAD", "HEAD never becomes a download", step.method);
  const std::string scheme = scheme_in(location);
  LAW(scheme.empty() || scheme == "http" || scheme == "https", "no other scheme is followed",
      scheme);
  hold_target_laws(step.next);
  hold_credential_laws(hop.at, step.next);
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  fuzz::Input input(data, size);
  const unsigned switches = input.byte();
  const std::uint16_t status = fuzz::kStatus[input.byte() % fuzz::kStatus.size()];
  const auto asked = checker::parse_target(input.line());
  const auto usual = checker::parse_target(fuzz::kDefaultBase);
  const checker::Target& base = asked ? *asked : *usual;
  const std::string location(input.rest());

  fuzz::hold_follow_laws(base, location);

  core::CheckOptions options;
  options.redirects = static_cast<core::Redirects>(switches % 3);
  options.max_redirects = switches % 2 == 0 ? 10 : 1;
  const checker::Hop hop{.at = base,
                         .first = (switches & 4U) != 0 ? *usual : base,
                         .method = fuzz::kMethods[switches >> 3U & 3U],
                         .redirects = static_cast<std::uint16_t>(switches >> 5U & 1U)};
  const bool at_origin = (switches & 0x40U) != 0;
  checker::ResponseHead head;
  head.status = status;
  if ((switches & 0x80U) == 0 || !location.empty()) head.location = location;
  const auto step = checker::decide_redirect(options, hop, at_origin, head);
  LAW(step.kind == checker::RedirectStep::Kind::Judge || checker::may_redirect(options, head),
      "what is no redirect is judged", location);
  fuzz::hold_step_laws(options, hop, at_origin, status, step, location);
  return 0;
}
