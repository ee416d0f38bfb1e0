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

// At the end of a body that was cut a character may be half there.
constexpr std::size_t kCutBytes = 4;

struct Problem {
  enum class Kind : std::uint8_t { None, Broken, EndsEarly, BeyondUs };
  Kind kind = Kind::None;
  std::string what{};
  std::size_t byte = 0;  // Broken: where.
};

// Builds the document, no deeper than we walk it, and keeps why the parser stopped. The parser itself has no limit of depth and does
// not recurse.
class Builder : public nlohmann::detail::json_sax_dom_parser<json> {
  using Base = nlohmann::detail::json_sax_dom_parser<json>;

 public:
  explicit Builder(json& into) : Base(into, false) {}
  bool start_object(std::size_t size) { return deeper() && Base::start_object(size); }
  bool start_array(std::size_t size) { return deeper() && Base::start_array(size); }
  bool end_object() {
    --depth_;
    return Base::end_object();
  }
  bool end_array() {
    --depth_;
    return Base::end_array();
  }
  template <typename Exception>
  bool parse_error(std::size_t position, const std::string& token, const Exception& why) {
    byte_ = position;
    // The only one of this kind: a number that no double holds.
    if (std::is_base_of_v<nlohmann::detail::out_of_range, Exception>)
      beyond_ = "it has a number beyond all bounds";
    // RFC 8259 allows it to be written and leaves open what it means. The library has no other word for it.
    if (std::string_view(why.what()).find("invalid string: surrogate") != std::string_view::npos)
      beyond_ = "a text in it has half of a surrogate pair";
    return Base::parse_error(position, token, why);
  }
  // The parser has stopped after `size` bytes at most.
  [[nodiscard]] Problem problem(std::size_t size) const {
    if (!beyond_.empty()) return {Problem::Kind::BeyondUs, beyond_};
    if (byte_ > size) return {Problem::Kind::EndsEarly, "it ends too early"};
    const std::size_t at = byte_ - std::min<std::size_t>(byte_, 1);
    return {Problem::Kind::Broken, "an error at byte " + std::to_string(at), at};
  }

 private:
  bool deeper() {
    if (++depth_ <= kJsonDepthMax) return true;
    beyond_ = "nested too deeply: more than " + std::to_string(kJsonDepthMax) + " levels";
    return false;
  }
  std::size_t depth_ = 0;
  std::size_t byte_ = 0;
  std::string beyond_;
};

Problem read(std::string_view text, json& into) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return {Problem::Kind::EndsEarly, "it is empty"};
  Builder builder(into);
  if (json::sax_parse(text.begin(), text.end(), &builder)) return {};
  return builder.problem(text.size());
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
  if (const Problem problem = read(rule.value, expected); problem.kind != Problem::Kind::None)
    return {false, "the expected value is no JSON: " + problem.what};
  const json* found = follow(document, rule.steps);
  if (found == nullptr)
    return {false, "the JSON has no " + place_of(rule) + ", which should be " + shown(expected)};
  if (equal(*found, expected)) return {true, place_of(rule) + " is " + shown(*found)};
  return {false, place_of(rule) + " is " + shown(*found) + ", not " + shown(expected)};
}

}  // namespace

std::string json_problem(std::string_view text) {
  json value;
  return read(text, value).what;
}

std::vector<JsonAnswer> judge_json(const std::vector<JsonRule>& rules, std::string_view document,
                                   bool cut) {
  json value;
  const Problem problem = read(document, value);
  const auto for_each = [&](bool measured, std::string what) {
    return std::vector<JsonAnswer>(rules.size(), JsonAnswer{false, std::move(what), measured});
  };
  const bool broken = problem.kind == Problem::Kind::Broken;
  if (cut && !(broken && problem.byte + kCutBytes < document.size())) {
    return for_each(false,
                    "the JSON is longer than max_body, so only its begin was read and nothing "
                    "can be said of it");
  }
  if (problem.kind == Problem::Kind::BeyondUs)
    return for_each(false, "the body is JSON that we cannot read: " + problem.what);
  if (problem.kind != Problem::Kind::None)
    return for_each(true, "the body is no JSON: " + problem.what);
  std::vector<JsonAnswer> answers;
  answers.reserve(rules.size());
  for (const JsonRule& rule : rules) answers.push_back(judge_one(rule, value));
  return answers;
}

}  // namespace watchwheel::checker
