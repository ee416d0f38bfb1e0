// SPDX-License-Identifier: Apache-2.0
#include "app/problem.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace watchwheel::app {
namespace {

// Levenshtein's distance, one row at a time. Words here are keys: short.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);
      row[j] = std::min({above + 1, row[j - 1] + 1, changed});
      diagonal = above;
    }
  }
  return row.back();
}

// How many bytes follow the lead byte, and what the first of them may be (RFC 3629, table 3-7 of Unicode). 0xff: no lead byte.
struct Utf8Lead {
  unsigned followers = 0xff;
  unsigned char first_min = 0x80, first_max = 0xbf;
};

Utf8Lead utf8_lead(unsigned char c) {
  if (c < 0x80) return {0};
  if (c >= 0xc2 && c <= 0xdf) return {1};
  if (c == 0xe0) return {2, 0xa0, 0xbf};
  if (c == 0xed) return {2, 0x80, 0x9f};  // No surrogates.
  if (c >= 0xe1 && c <= 0xef) return {2};
  if (c == 0xf0) return {3, 0x90, 0xbf};
  if (c >= 0xf1 && c <= 0xf3) return {3};
  if (c == 0xf4) return {3, 0x80, 0x8f};
  return {};
}

}  // namespace

std::string_view to_string(Severity severity) {
  return severity == Severity::Error ? "error" : "warning";
}

std::string format(const Problem& problem) {
  std::string text = printable(problem.file, 4096);
  if (problem.line != 0) text += ":" + std::to_string(problem.line);
  if (problem.line != 0 && problem.column != 0) text += ":" + std::to_string(problem.column);
  text += ": ";
  text += to_string(problem.severity);
  text += ": ";
  text += printable(problem.message, 4096);
  return text;
}

bool any_error(const std::vector<Problem>& problems) {
  return std::any_of(problems.begin(), problems.end(),
                     [](const Problem& p) { return p.severity == Severity::Error; });
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known) {
  if (word.size() > 64) return "";
  std::size_t best = std::max<std::size_t>(2, word.size() / 3) + 1;
  std::string_view found;
  for (const std::string_view candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best && distance < candidate.size()) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

std::string printable(std::string_view text, std::size_t bytes_max) {
  static constexpr std::array<char, 17> kHex{"0123456789abcdef"};
  const bool cut = text.size() > bytes_max;
  std::string out;
  out.reserve(std::min(text.size(), bytes_max));
  std::string_view rest = text.substr(0, bytes_max);
  while (!rest.empty()) {
    std::size_t good = 0;
    if (is_utf8(rest, &good)) good = rest.size();
    for (const char c : rest.substr(0, good)) {
      const auto u = static_cast<unsigned char>(c);
      if (u >= 0x20 && u != 0x7f) {
        out += c;
      } else {
        out += "\\x";
        out += kHex[u >> 4U];
        out += kHex[u & 15U];
      }
    }
    rest.remove_prefix(good);
    if (rest.empty()) break;
    if (cut && rest.size() < 4) break;  // A character that the cut went through.
    const auto bad = static_cast<unsigned char>(rest.front());
    out += "\\x";
    out += kHex[bad >> 4U];
    out += kHex[bad & 15U];
    rest.remove_prefix(1);
  }
  if (cut) out += "…";
  return out;
}

bool is_utf8(std::string_view text, std::size_t* bad_at) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Utf8Lead lead = utf8_lead(static_cast<unsigned char>(text[at]));
    bool good = lead.followers != 0xff && at + lead.followers < text.size();
    for (unsigned i = 1; good && i <= lead.followers; ++i) {
      const auto c = static_cast<unsigned char>(text[at + i]);
      good = i == 1 ? (c >= lead.first_min && c <= lead.first_max) : (c >= 0x80 && c <= 0xbf);
    }
    if (!good) {
      if (bad_at != nullptr) *bad_at = at;
      return false;
    }
    at += 1 + lead.followers;
  }
  return true;
}

}  // namespace watchwheel::app
