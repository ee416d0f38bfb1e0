// SPDX-License-Identifier: Apache-2.0
// A page as a server sends it: is it an error page? A page about one is not.
// Input: the content type, a line end, the page.
#include <cstdint>
#include <string>
#include <string_view>

#include "checker/body_scan.h"
#include "checker/error_pages.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

// Longer than the text of any error page that is told by what a visitor reads first.
const std::string& article() {
  static const std::string text = [] {
    std::string out =
        "<!DOCTYPE html><html><head><title>Ten failures we learned from</title></head><body>"
        "<h1>Ten failures we learned from</h1><p>";
    for (int i = 0; i < 100; ++i) {
      out += "We looked at what our servers say when they cannot do their work. ";
    }
    return out + "</p>\n";
  }();
  return text;
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  fuzz::Input input(data, size);
  const std::string type(input.line());
  const std::string_view body = input.rest().substr(0, checker::kPageBytesMax);

  const auto seen = checker::recognise_error_page({.content_type = type, .body = body});
  LAW(seen == checker::recognise_error_page({.content_type = type, .body = body}),
      "a page is judged by itself", body);
  if (seen) {
    LAW(seen->starts_with("the page is ") && fuzz::is_graphic(seen->substr(12, 1)),
        "it is said what the page shows", *seen);
    LAW(type.find("json") == std::string::npos, "only HTML is a page", type);
  }

  std::string about = fuzz::article();
  constexpr std::string_view kEnd = "</p></body></html>";  // What is cut off is another matter.
  about += body.substr(0, checker::kPageBytesMax - about.size() - kEnd.size());
  about += kEnd;
  const auto quoted = checker::recognise_error_page({.content_type = type, .body = about});
  LAW(!quoted, "an article that shows an error is no error", quoted.value_or(""), body);

  // The longest page, made of this one: what is slow with it is quadratic, and libFuzzer's time limit tells.
  if (body.empty()) return 0;
  std::string longest;
  while (longest.size() + body.size() <= checker::kPageBytesMax) longest += body;
  (void)checker::recognise_error_page({.content_type = type, .body = longest});
  return 0;
}
