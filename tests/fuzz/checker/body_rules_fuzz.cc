// SPDX-License-Identifier: Apache-2.0
// A body that comes in pieces, against a plain search of the whole; and in its own characters, against itself in one piece.
// Input: a byte (switches, and how it is cut), a byte (how often the body is repeated), lines "k:text", "f:text" and
// "t:content type", an empty line, the body.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checker/body_scan.h"
#include "fuzz/law.h"
#include "fuzz/utf8.h"

namespace watchwheel::fuzz {
namespace {

using checker::BodyMeans;
using checker::BodyRules;
using checker::BodyScan;

std::string folded(std::string_view text, bool ignore_case) {
  std::string out(text);
  for (char& c : out) {
    if (ignore_case && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// The first of `texts` that is (`there`) in the body, or is not.
std::optional<std::string_view> first(const std::vector<std::string>& texts, std::string_view body,
                                      bool ignore_case, bool there) {
  const std::string hay = folded(body, ignore_case);
  for (const std::string& text : texts) {
    if ((hay.find(folded(text, ignore_case)) != std::string::npos) == there) return text;
  }
  return std::nullopt;
}

// Pieces of many sizes, empty ones too, that follow from `seed`. False: no more was wanted.
bool feed_in_pieces(BodyScan& scan, std::string_view body, unsigned seed) {
  std::uint32_t state = seed * 2654435761U + 1;
  const std::uint32_t most = seed % 3 == 0 ? 4 : seed % 3 == 1 ? 64 : 2000;
  while (!body.empty()) {
    state = state * 1664525U + 1013904223U;
    const std::string_view piece = body.substr(0, (state >> 8U) % most);
    const std::string copy(piece);  // What is kept of it must not point into it.
    if (!scan.feed(copy)) return false;
    body.remove_prefix(piece.size());
  }
  scan.finish();
  return true;
}

void hold_search_laws(const BodyRules& rules, const BodyScan& scan, std::string_view body) {
  LAW(scan.bytes() == body.size(), "every byte is counted");
  LAW(scan.keyword_missing() == first(rules.keyword, body, rules.ignore_case, false),
      "a keyword is missing exactly when it is not in the body",
      scan.keyword_missing().value_or("(none)"), body);
  LAW(scan.forbidden_found() == first(rules.forbidden, body, rules.ignore_case, true),
      "a forbidden text is found exactly when it is in the body",
      scan.forbidden_found().value_or("(none)"), body);
  const std::string hay = folded(body, rules.ignore_case);
  for (std::size_t i = 0; i < rules.keyword.size(); ++i) {
    const auto at = hay.find(folded(rules.keyword[i], rules.ignore_case));
    const auto place = scan.keyword_place(i);
    LAW(place.has_value() == (at != std::string::npos) && (!place || place->byte == at),
        "a place is the first", rules.keyword[i], body);
  }
  const auto page = scan.page();
  const bool small = rules.keep_page && body.size() <= checker::kPageBytesMax;
  LAW(page.has_value() == small && (!page || *page == body), "a small page is kept as it came");
}

void hold_text_laws(const BodyRules& rules, const BodyScan& scan, std::string_view body) {
  const auto raw_missing = first(rules.keyword, body, rules.ignore_case, false);
  LAW(raw_missing || !scan.keyword_missing(), "what is there in bytes is there", body);
  const auto raw_found = first(rules.forbidden, body, rules.ignore_case, true);
  LAW(!raw_found || scan.forbidden_found(), "what is forbidden in bytes is found", body);
  if (!rules.keep_text || scan.not_kept()) return;
  if (scan.converted()) {
    LAW(is_valid_utf8(scan.text()), "what is converted is UTF-8", scan.text());
    LAW(first(rules.keyword, std::string(body) + '\n' + std::string(scan.text()), rules.ignore_case,
              false)
                .has_value() >= scan.keyword_missing().has_value(),
        "a keyword is not missing when it is in the text", scan.text());
  } else {
    LAW(scan.text() == body.substr(scan.declaration().mark_bytes),
        "what is not converted is kept as it came", scan.text(), body);
  }
}

void hold_same(const BodyScan& a, const BodyScan& b, std::string_view body) {
  LAW(a.keyword_missing() == b.keyword_missing() && a.forbidden_found() == b.forbidden_found() &&
          a.bytes() == b.bytes() && a.page() == b.page(),
      "how a body is cut does not matter for what is found", body);
  LAW(a.text() == b.text() && a.converted() == b.converted() && a.not_kept() == b.not_kept() &&
          a.declaration().label == b.declaration().label,
      "how a body is cut does not matter for its text", body, a.text(), b.text());
}

// Converters are dear, so a lane has them once; what bodies keep is given back.
BodyMeans& means() {
  static BodyMeans shared{.decoders = {}, .kept = checker::KeptBytes(1 << 20)};
  return shared;
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  fuzz::Input input(data, size);
  const unsigned seed = input.byte();
  const unsigned times = input.byte() % 9U;
  checker::BodyRules rules;
  rules.keep_page = (seed & 0x80U) != 0;
  rules.ignore_case = (seed & 0x40U) != 0;
  rules.keep_text = (seed & 0x20U) != 0;
  std::string type;
  for (std::string_view line = input.line(); !line.empty(); line = input.line()) {
    if (line.size() <= 2 || line[1] != ':') continue;
    if (line.front() == 't') type = line.substr(2);
    auto& into = line.front() == 'f' ? rules.forbidden : rules.keyword;
    if (line.front() != 't' && into.size() < 32) into.emplace_back(line.substr(2));
  }
  std::string body;
  for (unsigned i = 0; i <= times; ++i) body += input.rest();

  {
    checker::BodyScan scan(rules);
    fuzz::feed_in_pieces(scan, body, seed);
    fuzz::hold_search_laws(rules, scan, body);
  }
  {
    checker::BodyScan pieces(rules, &fuzz::means(), type);
    fuzz::feed_in_pieces(pieces, body, seed);
    checker::BodyScan whole(rules, &fuzz::means(), type);
    (void)whole.feed(body);
    whole.finish();
    fuzz::hold_same(pieces, whole, body);
    fuzz::hold_text_laws(rules, pieces, body);
  }
  LAW(fuzz::means().kept.used() == 0, "what a body kept is given back");

  rules.size_max = 100;
  checker::BodyScan limited(rules);
  LAW(fuzz::feed_in_pieces(limited, body, seed) == (body.size() <= 100),
      "a body's size has its limit");
  return 0;
}
