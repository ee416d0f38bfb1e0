// SPDX-License-Identifier: Apache-2.0
// fuzz/checker/target_laws.h - what every Target holds to, wherever it came from.
#pragma once

#include <string>

#include "checker/target.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {

inline void hold_target_laws(const checker::Target& target) {
  LAW(!target.host.empty() && is_graphic(target.host), "a host is printable", target.host);
  LAW(target.host.find_first_of("/?#@\\[]%") == std::string::npos, "a host is one word",
      target.host);
  LAW(target.port != 0, "a port is never 0", target.host);
  LAW(target.path.starts_with('/') && is_graphic(target.path), "a path is printable, from '/'",
      target.path);
  LAW(target.path.find('#') == std::string::npos, "no fragment goes on the wire", target.path);
  LAW(has_no_controls(target.user) && has_no_controls(target.password),
      "credentials hold no control characters", target.user, target.password);
  LAW(!target.literal || to_string(*target.literal) == target.host, "an address is its own text",
      target.host);

  const std::string url = target.url();
  LAW(url.starts_with(target.tls ? "https://" : "http://") && is_graphic(url),
      "a URL is printable and has its scheme", url);
  if (url.size() > checker::kUrlBytesMax) return;  // Encoding made it longer than we take.
  const auto again = checker::parse_target(url);
  LAW(again.has_value(), "a target's URL is read again", url);
  checker::Target plain = target;
  plain.user.clear();
  plain.password.clear();
  LAW(*again == plain, "what is read again is the same target", url, again->url());
}

}  // namespace watchwheel::fuzz
