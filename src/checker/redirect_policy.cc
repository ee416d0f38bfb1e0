// SPDX-License-Identifier: Apache-2.0
#include "checker/redirect_policy.h"

#include <algorithm>
#include <cctype>

#include "core/hash.h"

namespace watchwheel::checker {
namespace {

using core::Cause;

bool is_followable(std::uint16_t status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// The scheme of an absolute reference, lower case; empty for a relative one.
std::string scheme_of(std::string_view location) {
  std::string scheme;
  for (const char c : location) {
    const auto u = static_cast<unsigned char>(c);
    if (c == ':') return scheme;
    const bool fits = scheme.empty() ? std::isalpha(u) != 0
                                     : std::isalnum(u) != 0 || c == '+' || c == '-' || c == '.';
    if (!fits || scheme.size() == 32) return {};
    scheme.push_back(static_cast<char>(std::tolower(u)));
  }
  return {};
}

RedirectStep fail(Cause cause, std::string detail) {
  RedirectStep step;
  step.kind = RedirectStep::Kind::Fail;
  step.cause = cause;
  step.detail = std::move(detail);
  return step;
}

std::string method_after(std::uint16_t status, std::string_view method) {
  const bool to_get =
      (status == 303 && method != "HEAD") || ((status == 301 || status == 302) && method == "POST");
  return to_get ? "GET" : std::string(method);
}

std::string too_many_text(const core::CheckOptions& options, const Hop& hop, const Target& next,
                          std::string_view method) {
  const bool loop = hop.trail != nullptr ? hop.trail->repeats(next, method)
                                         : next == hop.at && method == hop.method;
  return "more than " + std::to_string(options.max_redirects) +
         (options.max_redirects == 1 ? " redirect" : " redirects") + (loop ? ", in a loop" : "") +
         "; the next would be " + url_without_secrets(next.url());
}

}  // namespace

bool RedirectTrail::repeats(const Target& next, std::string_view method) const {
  return std::find(asked_.begin(), asked_.end(), mark(next, method)) != asked_.end();
}

std::uint64_t RedirectTrail::mark(const Target& at, std::string_view method) const {
  return core::stable_hash(std::string(method) + "\n" + at.url() + "\n" + cookies.header_for(at));
}

bool may_redirect(const core::CheckOptions& options, const ResponseHead& head) {
  return options.redirects != core::Redirects::None && is_followable(head.status) &&
         head.location && !head.location->empty();
}

RedirectStep decide_redirect(const core::CheckOptions& options, const Hop& hop, bool at_origin,
                             const ResponseHead& head) {
  RedirectStep step;
  if (!may_redirect(options, head)) return step;
  if (head.locations_differ)
    return fail(Cause::RedirectInvalid, "redirect to several locations that differ");

  const std::string& location = *head.location;
  const std::string scheme = scheme_of(location);
  if (!scheme.empty() && scheme != "http" && scheme != "https") {
    return fail(Cause::RedirectRefused,
                "redirect to another scheme than http and https: " + scheme);
  }
  core::Result<Target> next = follow(hop.at, location);
  if (!next && next.error().kind == core::ErrorKind::Unavailable)
    return fail(Cause::LocalResources, next.error().message);
  if (!next)
    return fail(Cause::RedirectInvalid,
                "redirect to an unusable location: " + next.error().message);
  if (options.redirects == core::Redirects::SameHost && next->host != hop.first.host) {
    return fail(Cause::RedirectRefused, "redirect to another host: " + next->host);
  }
  std::string method = method_after(head.status, hop.method);
  if (hop.redirects >= options.max_redirects)
    return fail(Cause::RedirectTooMany, too_many_text(options, hop, *next, method));

  step.kind = RedirectStep::Kind::Follow;
  step.downgrade = hop.at.tls && !next->tls;
  // Once elsewhere, always elsewhere: a path on the first host that another host chose is not where we meant to log in.
  step.at_origin = at_origin && next->same_origin(hop.first);
  step.keeps_body = head.status != 303 && method == hop.method;
  step.method = std::move(method);
  step.next = std::move(*next);
  return step;
}

}  // namespace watchwheel::checker
