// SPDX-License-Identifier: Apache-2.0
// A response header, line by line as it comes.
// Input: the lines.
#include <cstdint>
#include <string>
#include <string_view>

#include "checker/head_check.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

using checker::HeadCheck;
using Step = HeadCheck::Step;

void hold_head_laws(const checker::ResponseHead& head) {
  LAW(head.version.size() <= 8 && has_no_controls(head.version), "a version is a word",
      head.version);
  LAW(head.reason.size() <= 64 && has_no_controls(head.reason), "a reason is short and printable",
      head.reason);
  LAW(head.content_type.size() <= 128 && has_no_controls(head.content_type),
      "a type is short and printable", head.content_type);
  LAW(head.content_encoding.size() <= 128, "an encoding is short", head.content_encoding);
  LAW(head.cookies.size() <= checker::kCookieLinesMax, "cookies have a limit");
  for (const std::string& cookie : head.cookies)
    LAW(cookie.size() <= checker::kCookieBytesMax, "a cookie has a limit", cookie);
  LAW(head.cookies.empty() || (head.status >= 300 && head.status < 400),
      "only a redirect's cookies are kept");
}

struct Outcome {
  Step step = Step::More;
  std::size_t lines = 0;
  std::size_t bytes = 0;
};

Outcome take_all(HeadCheck& check, std::string_view text) {
  Outcome out;
  while (!text.empty() && out.step != Step::Bad) {
    const std::string line(text.substr(
        0, text.find('\n') == std::string_view::npos ? text.size() : text.find('\n') + 1));
    text.remove_prefix(line.size());
    const bool was_complete = check.complete();
    out.step = check.take(line);
    ++out.lines;
    out.bytes += line.size();
    LAW((out.step == Step::Bad) == !check.problem().empty(), "what is bad says why",
        check.problem());
    LAW(has_no_controls(check.problem()) && check.problem().size() <= 400,
        "a problem is one short line", check.problem());
    if (out.step == Step::Complete) {
      LAW(check.complete(), "complete is complete");
      LAW(was_complete || (check.head().status >= 100 && check.head().status <= 999),
          "a whole header has a status", line);
    }
    hold_head_laws(check.head());
  }
  return out;
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  const std::string_view text = fuzz::Input(data, size).rest();
  checker::HeadCheck check;
  const fuzz::Outcome once = fuzz::take_all(check, text);
  LAW(once.lines <= checker::kHeadLinesMax + 1, "a header's lines have a limit");
  LAW(check.bytes() <= checker::kHeadBytesMax + 4096 + once.bytes, "a header's bytes have a limit");
  checker::HeadCheck again;
  const fuzz::Outcome twice = fuzz::take_all(again, text);
  LAW(once.step == twice.step && check.problem() == again.problem() &&
          check.head().status == again.head().status &&
          check.head().location == again.head().location,
      "the same lines say the same", text);

  // Endless: it must end by itself.
  if (once.step == checker::HeadCheck::Step::Bad || text.empty()) return 0;
  checker::HeadCheck endless;
  std::string line = "HTTP/1.1 200 OK\r\n";
  std::size_t lines = 0;
  while (endless.take(line) != checker::HeadCheck::Step::Bad) {
    line = "X: " + std::string(text.substr(0, text.find('\n'))) + "\n";
    LAW(++lines <= checker::kHeadLinesMax, "a header without end is told", line);
  }
  return 0;
}
