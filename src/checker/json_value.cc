// SPDX-License-Identifier: Apache-2.0
#include "checker/json_value.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <type_traits>

#include "checker/safe_text.h"

namespace watchwheel::checker {
namespace {

using nlohmann::json;

constexpr std::size_t kShownMax = 80;

// The parser has no limit of its own, and what it makes is walked by recursion. Brackets inside strings do not count.
bool too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kJsonDepthMax) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

std::string where(std::size_t byte, std::size_t size) {
  return byte > size ? "it ends too early" : "an error at byte " + std::to_string(byte - 1);
}

// Builds the document and keeps where the parser stopped.
class Builder : public nlohmann::detail::json_sax_dom_parser<json> {
 public:
  explicit Builder(json& into) : json_sax_dom_parser(into, false) {}
  template <typename Exception>
  bool parse_error(std::size_t position, const std::string& token, const Exception& why) {
    byte_ = position;
    // The only one of this kind: a number that no double holds.
    beyond_ = std::is_base_of_v<nlohmann::detail::out_of_range, Exception>;
    return json_sax_dom_parser::parse_error(position, token, why);
  }
  [[nodiscard]] std::size_t byte() const { return byte_; }
  [[nodiscard]] bool beyond() const { return beyond_; }

 private:
  bool beyond_ = false;
  std::size_t byte_ = 0;
};

// "" when it could be read.
std::string read(std::string_view text, json& into) {
  if (too_deep(text))
    return "nested too deeply: more than " + std::to_string(kJsonDepthMax) + " levels";
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return "it is empty";
  Builder builder(into);
  if (json::sax_parse(text.begin(), text.end(), &builder)) return {};
  if (builder.beyond()) return "it has a number beyond all bounds";
  return where(builder.byte(), text.size());
}

long double number_of(const json& value) {
  if (value.is_number_unsigned()) return static_cast<long double>(value.get<std::uint64_t>());
  if (value.is_number_integer()) return static_cast<long double>(value.get<std::int64_t>());
  return static_cast<long double>(value.get<double>());
}

// The library's own == takes -1 for 18446744073709551615.
bool equal(const json& a, const json& b) {
  if (a.is_number() && b.is_number()) return number_of(a) == number_of(b);
  if (a.type() != b.type()) return false;
  if (a.is_array()) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal);
  }
  if (a.is_object()) {
    if (a.size() != b.size()) return false;
    for (const auto& [name, value] : a.items()) {
      const auto other = b.find(name);
      if (other == b.end() || !equal(value, *other)) return false;
    }
    return true;
  }
  return a == b;
}

// A member of an array: "0", "17"; no "01", no "-".
std::optional<std::size_t> index_of(const std::string& step) {
  if (step.empty() || (step.size() > 1 && step.front() == '0')) return std::nullopt;
  std::size_t index = 0;
  const char* end = step.data() + step.size();
  const auto [at, error] = std::from_chars(step.data(), end, index);
  if (error != std::errc{} || at != end) return std::nullopt;
  return index;
}

const json* follow(const json& document, const std::vector<std::string>& steps) {
  const json* at = &document;
  for (const std::string& step : steps) {
    if (at->is_object()) {
      const auto member = at->find(step);
      if (member == at->end()) return nullptr;
      at = &*member;
    } else if (at->is_array()) {
      const auto index = index_of(step);
      if (!index || *index >= at->size()) return nullptr;
      at = &(*at)[*index];
    } else {
      return nullptr;
    }
  }
  return at;
}

std::string shown(const json& value) {
  if (value.is_structured() && value.size() > 20) {
    return std::string(value.is_array() ? "an array of " : "an object of ") +
           std::to_string(value.size());
  }
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return safe_text(text, kShownMax) + (text.size() > kShownMax ? "..." : "");
}

std::string place_of(const JsonRule& rule) {
  return rule.pointer.empty() ? "the document" : safe_text(rule.pointer, kShownMax);
}

JsonAnswer judge_one(const JsonRule& rule, const json& document) {
  json expected;
  if (const std::string problem = read(rule.value, expected); !problem.empty())
    return {false, "the expected value is no JSON: " + problem};
  const json* found = follow(document, rule.steps);
  if (found == nullptr)
    return {false, "the JSON has no " + place_of(rule) + ", which should be " + shown(expected)};
  if (equal(*found, expected)) return {true, place_of(rule) + " is " + shown(*found)};
  return {false, place_of(rule) + " is " + shown(*found) + ", not " + shown(expected)};
}

}  // namespace

std::string json_problem(std::string_view text) {
  json value;
  return read(text, value);
}

std::vector<JsonAnswer> judge_json(const std::vector<JsonRule>& rules, std::string_view document) {
  json value;
  if (const std::string problem = read(document, value); !problem.empty())
    return {rules.size(), JsonAnswer{false, "the body is no JSON: " + problem}};
  std::vector<JsonAnswer> answers;
  answers.reserve(rules.size());
  for (const JsonRule& rule : rules) answers.push_back(judge_one(rule, value));
  return answers;
}

}  // namespace watchwheel::checker
