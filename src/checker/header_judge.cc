// SPDX-License-Identifier: Apache-2.0
#include "checker/header_judge.h"

#include <algorithm>
#include <array>

#include "checker/plan.h"
#include "checker/safe_text.h"

namespace watchwheel::checker {
namespace {

constexpr std::size_t kShownMax = 80;
constexpr std::size_t kLinesShownMax = 2;

std::string quoted(std::string_view text) {
  return '"' + safe_text(text, kShownMax) + (text.size() > kShownMax ? "..." : "") + '"';
}

// URLs: what stands behind '?' may be a secret.
bool holds_urls(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames{"location", "content-location", "link",
                                                   "refresh"};
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](std::string_view known) { return same_header_name(known, name); });
}

std::string shown_value(std::string_view name, std::string_view value) {
  if (is_credential_header(name)) return "(not shown)";
  const std::size_t query = holds_urls(name) ? value.find('?') : std::string_view::npos;
  if (query == std::string_view::npos) return quoted(value);
  return quoted(std::string(value.substr(0, query)) + "?...");
}

std::string shown_values(const HeaderRule& rule, const std::vector<std::string_view>& values) {
  if (is_credential_header(rule.name)) return "(not shown)";
  std::string all;
  for (std::size_t i = 0; i < std::min(values.size(), kLinesShownMax); ++i)
    all += (i == 0 ? "" : " and ") + shown_value(rule.name, values[i]);
  if (values.size() > kLinesShownMax)
    all += " and " + std::to_string(values.size() - kLinesShownMax) + " more";
  return all;
}

std::string expected(const HeaderRule& rule) {
  if (rule.kind == HeaderRule::Kind::Match) return "match " + quoted(rule.expression->text());
  return "be " + shown_value(rule.name, rule.value);
}

}  // namespace

HeaderAnswer judge_header(const HeaderRule& rule, const std::vector<core::Header>& lines) {
  std::vector<std::string_view> values;
  for (const core::Header& line : lines) {
    if (same_header_name(line.name, rule.name)) values.emplace_back(line.value);
  }
  const std::string header = "header " + safe_text(rule.name, kShownMax);
  const auto asks_value =
      rule.kind == HeaderRule::Kind::Equal || rule.kind == HeaderRule::Kind::Match;
  if (values.empty()) {
    if (rule.kind == HeaderRule::Kind::Absent) return {true, header + " is not sent"};
    return {false, header + " is not sent" + (asks_value ? "; it should " + expected(rule) : "")};
  }
  const std::string found = shown_values(rule, values);
  switch (rule.kind) {
    case HeaderRule::Kind::Present:
      return {true, header + " is sent: " + found};
    case HeaderRule::Kind::Absent:
      return {false, header + " is sent, which it should not be: " + found};
    case HeaderRule::Kind::Equal:
    case HeaderRule::Kind::Match:
      break;
  }
  const bool holds = std::any_of(values.begin(), values.end(), [&](std::string_view value) {
    return rule.kind == HeaderRule::Kind::Equal ? value == rule.value
                                                : rule.expression->matches(value);
  });
  if (!holds) return {false, header + " is " + found + "; it should " + expected(rule)};
  return {true, header + " is " + found +
                    (rule.kind == HeaderRule::Kind::Match
                         ? ", which matches " + quoted(rule.expression->text())
                         : "")};
}

}  // namespace watchwheel::checker
