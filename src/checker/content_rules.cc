// SPDX-License-Identifier: Apache-2.0
#include "checker/content_rules.h"

#include <re2/re2.h>

#include <algorithm>

#include "checker/json_value.h"
#include "checker/safe_text.h"
#include "core/units.h"

namespace watchwheel::checker {
namespace {

using core::Error;
using core::ErrorKind;

constexpr std::size_t kShownMax = 60;

Error invalid(std::string message) {
  return Error{ErrorKind::Invalid, std::move(message)};
}

std::string quoted(std::string_view text) {
  return '"' + safe_text(text, kShownMax) + (text.size() > kShownMax ? "..." : "") + '"';
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

char small(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

core::Result<std::vector<Expression>> make_expressions(const char* option,
                                                       const std::vector<std::string>& texts) {
  std::vector<Expression> made;
  for (const std::string& text : texts) {
    auto expression = Expression::make(text);
    if (!expression) return invalid(std::string(option) + ": " + expression.error().message);
    made.push_back(std::move(*expression));
  }
  return made;
}

// RFC 6901: "/a~1b/0" -> "a/b", "0".
core::Result<std::vector<std::string>> pointer_steps(std::string_view pointer) {
  std::vector<std::string> steps;
  if (pointer.empty()) return steps;
  if (pointer.front() != '/') return invalid("a JSON pointer begins with '/' or is empty");
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      steps.emplace_back();
    } else if (pointer[i] != '~') {
      steps.back().push_back(pointer[i]);
    } else {
      const char escape = i + 1 < pointer.size() ? pointer[++i] : '\0';
      if (escape != '0' && escape != '1')
        return invalid("in a JSON pointer '~' is written ~0 and '/' in a name is written ~1");
      steps.back().push_back(escape == '0' ? '~' : '/');
    }
  }
  return steps;
}

core::Result<JsonRule> parse_json_rule(std::string_view line) {
  const auto sign = line.find(" == ");
  if (sign == std::string_view::npos)
    return invalid("write it as \"/pointer == value\", such as /status == \"ok\"");
  JsonRule rule;
  rule.pointer = line.substr(0, sign);
  rule.value = trimmed(line.substr(sign + 4));
  auto steps = pointer_steps(rule.pointer);
  if (!steps) return steps.error();
  rule.steps = std::move(*steps);
  if (const std::string problem = json_problem(rule.value); !problem.empty()) {
    return invalid(quoted(rule.value) + " is no JSON value (" + problem +
                   "); a text is written in quotes");
  }
  return rule;
}

core::Result<HeaderRule> parse_header_rule(std::string_view line) {
  line = trimmed(line);
  HeaderRule rule;
  if (line.substr(0, 1) == "!") {
    rule.kind = HeaderRule::Kind::Absent;
    rule.name = trimmed(line.substr(1));
    if (rule.name.find_first_of(": \t") != std::string::npos)
      return invalid("\"!Name\" says that no such header is sent, whatever its value");
    return rule;
  }
  const auto colon = line.find(':');
  const auto tilde = line.find(" ~ ");
  rule.name = line.substr(0, std::min({colon, tilde, line.size()}));
  if (rule.name.empty() || rule.name.find_first_of(" \t") != std::string::npos)
    return invalid("write \"Name\", \"!Name\", \"Name: value\" or \"Name ~ expression\"");
  if (tilde < colon) {
    rule.kind = HeaderRule::Kind::Match;
    auto expression = Expression::make(trimmed(line.substr(tilde + 3)));
    if (!expression) return expression.error();
    rule.expression = std::move(*expression);
  } else if (colon != std::string_view::npos) {
    rule.kind = HeaderRule::Kind::Equal;
    rule.value = trimmed(line.substr(colon + 1));
  }
  return rule;
}

}  // namespace

// ---- expressions ----

Expression::Expression(std::unique_ptr<re2::RE2> compiled) : compiled_(std::move(compiled)) {}
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;
Expression::~Expression() = default;

core::Result<Expression> Expression::make(std::string_view text) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kExpressionMemoryMax);
  auto compiled = std::make_unique<re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
  if (!compiled->ok()) {
    return invalid(quoted(text) +
                   " is no expression that we can use: " + safe_text(compiled->error(), 200));
  }
  // An expression that is anchored at its end only is read backwards, by a second program.
  const bool backwards = compiled->ReverseProgramSize() >= 0;
  Expression made(std::move(compiled));
  if (!backwards || made.steps() > kExpressionStepsMax) {
    return invalid(quoted(text) + " is too large: repeat less, or name fewer kinds of characters");
  }
  return made;
}

bool Expression::matches(std::string_view text) const {
  return compiled_->Match({text.data(), text.size()}, 0, text.size(), re2::RE2::UNANCHORED, nullptr,
                          0);
}

std::optional<std::size_t> Expression::find(std::string_view text) const {
  re2::StringPiece found;
  if (!compiled_->Match({text.data(), text.size()}, 0, text.size(), re2::RE2::UNANCHORED, &found,
                        1))
    return std::nullopt;
  return static_cast<std::size_t>(found.data() - text.data());
}

bool Expression::matches_before_end(std::string_view text) const {
  re2::StringPiece found;
  return compiled_->Match({text.data(), text.size()}, 0, text.size(), re2::RE2::UNANCHORED, &found,
                          1) &&
         found.data() + found.size() < text.data() + text.size();
}

const std::string& Expression::text() const {
  return compiled_->pattern();
}

bool Expression::asks_end() const {
  const std::string& pattern = text();
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      if (++i < pattern.size() && pattern[i] == 'z') return true;
    } else if (in_class) {
      in_class = pattern[i] != ']';
    } else if (pattern[i] == '[') {
      in_class = true;
      // Right behind its begin a bracket is a member.
      if (pattern.compare(i + 1, 1, "^") == 0) ++i;
      if (pattern.compare(i + 1, 1, "]") == 0) ++i;
    } else if (pattern[i] == '$') {
      return true;
    }
  }
  return false;
}

std::uint64_t Expression::steps() const {
  return static_cast<std::uint64_t>(
      std::max(compiled_->ProgramSize(), compiled_->ReverseProgramSize()));
}

// ---- rules ----

bool same_header_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return small(x) == small(y); });
}

bool ContentRules::asks_header(std::string_view name) const {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const HeaderRule& rule) { return same_header_name(rule.name, name); });
}

core::Result<ContentRules> make_content_rules(const core::CheckOptions& options) {
  ContentRules rules;
  auto match = make_expressions("body_match", options.body_match);
  if (!match) return match.error();
  rules.body_match = std::move(*match);
  auto not_match = make_expressions("body_not_match", options.body_not_match);
  if (!not_match) return not_match.error();
  rules.body_not_match = std::move(*not_match);
  std::uint64_t steps = 0;
  for (const Expression& one : rules.body_match) steps += one.steps();
  for (const Expression& one : rules.body_not_match) steps += one.steps();
  if (steps > kExpressionStepsSumMax) {
    return invalid(std::string(rules.body_match.empty() ? "body_not_match" : "body_match") +
                   ": the expressions are too large together: repeat less, or name fewer kinds of "
                   "characters");
  }
  for (const std::string& line : options.json_equals) {
    auto rule = parse_json_rule(line);
    if (!rule) return invalid("json_equals: " + quoted(line) + ": " + rule.error().message);
    rules.json.push_back(std::move(*rule));
  }
  for (const std::string& line : options.expect_header) {
    auto rule = parse_header_rule(line);
    if (!rule) return invalid("expect_header: " + quoted(line) + ": " + rule.error().message);
    rules.headers.push_back(std::move(*rule));
  }
  if (rules.judge_text() && options.max_body_bytes > kJudgedBytesMax) {
    return invalid("max_body: " + core::format_size(options.max_body_bytes) + " is more than " +
                   core::format_size(kJudgedBytesMax) +
                   ", beyond which body_match, body_not_match and json_equals do not look");
  }
  return rules;
}

core::Result<void> check_content_options(const core::CheckOptions& options) {
  auto rules = make_content_rules(options);
  if (!rules) return rules.error();
  return {};
}

}  // namespace watchwheel::checker
