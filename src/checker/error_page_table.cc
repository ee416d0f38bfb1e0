// SPDX-License-Identifier: Apache-2.0
#include "checker/error_page_table.h"

#include <algorithm>

namespace watchwheel::checker {
namespace {

using enum Where;
using enum Shape;

#define OR "\n"  // kOr
constexpr std::array kRules = std::to_array<ErrorPageRule>({
#include "checker/error_page_rules.inc"
});
#undef OR

// ---- the index: sorted by key, for each anchor ----

constexpr std::uint32_t key_of(std::string_view text) {
  std::uint32_t key = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    key = key << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0U);
  }
  return key;
}

constexpr std::string_view last_four(std::string_view text) {
  return text.substr(text.size() > 4 ? text.size() - 4 : 0);
}

constexpr Anchor anchor_of(Where where) {
  switch (where) {
    case TitleIs:
    case TitleBegins:
      return Anchor::Title;
    case TitleEnds:
      return Anchor::TitleEnd;
    case HeadingIs:
    case HeadingBegins:
      return Anchor::Heading;
    case CutOffBy:
      return Anchor::CutOff;
    default:
      return Anchor::Text;
  }
}

template <Anchor anchor>
constexpr std::size_t kCount = [] {
  std::size_t count = 0;
  for (const ErrorPageRule& rule : kRules) {
    const Clue& first = rule.clues[0];
    if (anchor_of(first.where) == anchor) {
      count += 1 + static_cast<std::size_t>(std::count(first.what.begin(), first.what.end(), kOr));
    }
  }
  return count;
}();

template <Anchor anchor>
constexpr auto kIndex = [] {
  std::array<AnchoredRule, kCount<anchor>> index{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < kRules.size(); ++i) {
    const Clue& first = kRules[i].clues[0];
    if (anchor_of(first.where) != anchor) continue;
    any_alternative(first.what, [&](std::string_view text) {
      if (first.where == TitleEnds) text = last_four(text);
      index[at++] = {key_of(text), static_cast<std::uint16_t>(i)};
      return false;
    });
  }
  std::sort(index.begin(), index.end(), [](const AnchoredRule& a, const AnchoredRule& b) {
    return a.key != b.key ? a.key < b.key : a.rule < b.rule;
  });
  return index;
}();

// ---- what a table must be ----

constexpr bool is_first_clue(const Clue& clue) {
  switch (clue.where) {
    case TitleIs:
    case HeadingIs:
    case TextIs:
    case PlainIs:
      return true;
    case TitleBegins:
    case TitleEnds:
    case HeadingBegins:
    case TextBegins:
    case PlainBegins:
    case CutOffBy:
      // Or its key would be found for no page.
      return !any_alternative(clue.what, [](std::string_view text) { return text.size() < 4; });
    default:
      return false;
  }
}
static_assert(std::all_of(kRules.begin(), kRules.end(),
                          [](const ErrorPageRule& rule) { return is_first_clue(rule.clues[0]); }));

constexpr bool is_lower_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}
static_assert(std::all_of(kRules.begin(), kRules.end(), [](const ErrorPageRule& rule) {
  return std::all_of(rule.clues.begin(), rule.clues.end(),
                     [](const Clue& clue) { return is_lower_ascii(clue.what); });
}));

}  // namespace

std::span<const ErrorPageRule> error_page_rules() {
  return kRules;
}

std::span<const AnchoredRule> rules_for(Anchor anchor, std::string_view text) {
  std::span<const AnchoredRule> index;
  switch (anchor) {
    case Anchor::Title:
      index = kIndex<Anchor::Title>;
      break;
    case Anchor::TitleEnd:
      index = kIndex<Anchor::TitleEnd>;
      text = last_four(text);
      break;
    case Anchor::Heading:
      index = kIndex<Anchor::Heading>;
      break;
    case Anchor::Text:
      index = kIndex<Anchor::Text>;
      break;
    case Anchor::CutOff:
      index = kIndex<Anchor::CutOff>;
      break;
  }
  const std::uint32_t key = key_of(text);
  const auto first =
      std::lower_bound(index.begin(), index.end(), key,
                       [](const AnchoredRule& rule, std::uint32_t k) { return rule.key < k; });
  auto end = first;
  while (end != index.end() && end->key == key) ++end;
  return {first, end};
}

}  // namespace watchwheel::checker
