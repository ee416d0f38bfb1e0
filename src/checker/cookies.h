// SPDX-License-Identifier: Apache-2.0
// checker/cookies.h - what a site asks to be sent back on the hops of one check.
//
// A value; any thread. Lives from the first redirect of a check to its end, so nothing of one check reaches the next.
// Bounded  kCookiesMax cookies, kJarBytesMax in all, each at most 4096 bytes; what goes beyond is not kept.
//
// A part of RFC 6265, as far as a sign-in page needs it that sets a cookie and asks for the page again: without it such a healthy
// site is a loop. A cookie goes back to the host that set it, or with Domain to that domain's hosts, when the setter is one of them and it
// has at least two labels. There is no list of public suffixes: what a site sets for "co.uk" goes wherever in "co.uk" it
// sends us to within the check, and it could have put that into the URL as well. Secure ones are taken from and given to https only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "checker/target.h"
#include "core/clock.h"

namespace watchwheel::checker {

inline constexpr std::size_t kCookiesMax = 50;
inline constexpr std::size_t kJarBytesMax = 16 * 1024;

class CookieJar {
 public:
  // The value of a Set-Cookie header in the answer of `from`. One that names an earlier cookie of the same domain and path takes
  // its place; Max-Age of 0 or less, or Expires before `now`, removes it. What is no cookie is not taken: without '=' or
  // a name, with control characters, for a domain that `from` is not in.
  void take(std::string_view set_cookie, const Target& from, core::WallTime now);

  // The value of the Cookie header for `to`: `own`, then those of the jar, those with longer paths first. A cookie of `own` gives way to
  // one of its name. "": there is none.
  [[nodiscard]] std::string header_for(const Target& to, std::string_view own = {}) const;

  [[nodiscard]] std::size_t size() const { return cookies_.size(); }

 private:
  struct Cookie {
    std::string name, value, domain, path;
    bool host_only = true;
    bool secure = false;
    [[nodiscard]] std::size_t bytes() const {
      return name.size() + value.size() + domain.size() + path.size();
    }
    [[nodiscard]] bool goes_to(const Target& to) const;
  };

  std::vector<Cookie> cookies_;  // In the order in which they were first set.
  std::size_t bytes_ = 0;
};

}  // namespace watchwheel::checker
