// SPDX-License-Identifier: Apache-2.0
// Cookies on the way of one check: who gets which.
// Input: lines; "u URL" goes to another place, anything else is a Set-Cookie of the place where we are.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checker/cookies.h"
#include "checker/target.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

using checker::CookieJar;
using checker::Target;

Target target(std::string_view url) {
  return *checker::parse_target(url);
}

void hold_header_laws(const CookieJar& jar, const Target& to) {
  const std::string header = jar.header_for(to);
  LAW(is_field_value(header), "a Cookie header is one line", header);
  LAW(header.size() <= checker::kJarBytesMax + 4 * checker::kCookiesMax,
      "a Cookie header has a limit", header);
  LAW(jar.header_for(to) == header, "asking changes nothing", header);
  const std::string own = jar.header_for(to, "own=1");
  LAW(header.find("own=") != std::string::npos || own.starts_with("own=1"),
      "the check's own cookie goes first, or gives way to one of its name", own);
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  using fuzz::target;
  fuzz::Input input(data, size);
  const core::WallTime now{std::chrono::milliseconds{1'800'000'000'000}};
  checker::Target at = target("https://login.shop.example/a/b");
  const checker::Target stranger = target("https://other.test/");
  const checker::Target plain = target("http://login.shop.example/a/b");
  checker::CookieJar jar;
  bool strangers_were_asked = false;
  bool only_https = true;
  for (std::size_t lines = 0; !input.empty() && lines < 300; ++lines) {
    const std::string_view line = input.line();
    if (line.starts_with("u ")) {
      if (const auto next = checker::parse_target(line.substr(2))) at = *next;
      strangers_were_asked = strangers_were_asked || at.host.ends_with("test");
      only_https = only_https && at.tls;
      continue;
    }
    const std::size_t before = jar.size();
    jar.take(line, at, now);
    LAW(jar.size() <= checker::kCookiesMax, "a jar has a limit");
    LAW(jar.size() <= before + 1, "a line is at most one cookie", line);
    fuzz::hold_header_laws(jar, at);
  }
  LAW(strangers_were_asked || jar.header_for(stranger).empty(),
      "a stranger gets no cookie that it or its domain did not set", jar.header_for(stranger));
  fuzz::hold_header_laws(jar, plain);

  // A secure one never leaves https.
  checker::CookieJar secure;
  secure.take("s=1; Secure", target("https://login.shop.example/"), now);
  LAW(secure.header_for(target("http://login.shop.example/")).empty(), "secure is secure");
  return 0;
}
