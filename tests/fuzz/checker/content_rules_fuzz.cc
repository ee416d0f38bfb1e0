// SPDX-License-Identifier: Apache-2.0
// Assertions about a body and its header, as a user writes them, against what a server sends.
// Input: lines "j:/pointer == value", "m:expression", "n:expression", "h:header assertion", "l:Name: value" (a header line of the
// response); an empty line; the body.
#include <cstdint>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "checker/content_rules.h"
#include "checker/header_judge.h"
#include "checker/json_value.h"
#include "core/check_options.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

using Json = nlohmann::json;

struct Wish {
  std::string json, match, not_match, expect;
  std::vector<core::Header> lines;
};

void add(std::string& text, std::string_view line) {
  text += std::string(line) + "\n";
}

Wish read_wish(Input& input) {
  Wish wish;
  for (std::string_view line = input.line(); !line.empty(); line = input.line()) {
    if (line.size() < 2 || line[1] != ':') continue;
    const std::string_view text = line.substr(2);
    switch (line.front()) {
      case 'j':
        add(wish.json, text);
        break;
      case 'm':
        add(wish.match, text);
        break;
      case 'n':
        add(wish.not_match, text);
        break;
      case 'h':
        add(wish.expect, text);
        break;
      case 'l': {
        const auto colon = text.find(':');
        if (colon == std::string_view::npos || wish.lines.size() == 20) break;
        wish.lines.push_back(
            {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))});
        break;
      }
      default:
        break;
    }
  }
  return wish;
}

// What the JSON library itself says, where our own limits (depth, zero bytes) do not come in.
void hold_json_laws(const std::vector<checker::JsonRule>& rules, const std::string& body) {
  const std::string problem = checker::json_problem(body);
  const Json parsed = Json::parse(body, nullptr, false);
  LAW(problem.empty() <= !parsed.is_discarded(), "what is no JSON is told", body);
  LAW(has_no_controls(problem), "a problem is one line", problem);
  const auto answers = checker::judge_json(rules, body);
  LAW(answers.size() == rules.size(), "each rule has its answer");
  for (std::size_t i = 0; i < rules.size(); ++i) {
    LAW(answers[i].what.size() <= 400 && has_no_controls(answers[i].what),
        "an answer is short and on one line", answers[i].what);
    LAW(problem.empty() || !answers[i].holds, "nothing holds in what is no JSON", body);
    if (!problem.empty() || parsed.is_discarded()) continue;
    // A second opinion: the library's own pointers and comparison. It takes 1 and 1.0 for equal too.
    try {
      const Json::json_pointer pointer(rules[i].pointer);
      const bool there = rules[i].pointer.empty() || parsed.contains(pointer);
      if (there && answers[i].holds == (parsed.at(pointer) == Json::parse(rules[i].value)))
        continue;
      if (!there && !answers[i].holds) continue;
      // Beyond 53 bits the library compares doubles; we need not.
      const bool number =
          there && parsed.at(pointer).is_primitive() && !parsed.at(pointer).is_string();
      const bool nested = there && parsed.at(pointer).is_structured();
      LAW(number || nested, "a value is compared as the library does", rules[i].pointer,
          rules[i].value, body);
    } catch (const std::exception&) {
      LAW(!answers[i].holds, "a pointer that leads nowhere finds nothing", rules[i].pointer, body);
    }
  }
}

void hold_header_laws(const checker::ContentRules& rules, const std::vector<core::Header>& lines) {
  for (const checker::HeaderRule& rule : rules.headers) {
    const auto answer = checker::judge_header(rule, lines);
    LAW(answer.what.size() <= 500 && has_no_controls(answer.what),
        "an answer is short and on one line", answer.what);
    bool there = false;
    for (const core::Header& line : lines)
      there = there || checker::same_header_name(line.name, rule.name);
    if (rule.kind == checker::HeaderRule::Kind::Present)
      LAW(answer.holds == there, "present is present", rule.name);
    if (rule.kind == checker::HeaderRule::Kind::Absent)
      LAW(answer.holds != there, "absent is absent", rule.name);
    if (!there && rule.kind != checker::HeaderRule::Kind::Absent)
      LAW(!answer.holds, "nothing is equal to a header that is not there", rule.name);
    LAW(rules.asks_header(rule.name), "what is asked for is known to be", rule.name);
  }
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  fuzz::Input input(data, size);
  const fuzz::Wish wish = fuzz::read_wish(input);
  const std::string body(input.rest());
  core::CheckOptions options;
  for (const auto& [name, text] : {std::pair{"json_equals", &wish.json},
                                   {"body_match", &wish.match},
                                   {"body_not_match", &wish.not_match},
                                   {"expect_header", &wish.expect}}) {
    (void)core::apply_option(options, name, *text);
  }
  const auto rules = checker::make_content_rules(options);
  LAW(rules.has_value() == checker::check_content_options(options).has_value(),
      "what is taken at the door is taken inside");
  if (!rules) {
    LAW(!rules.error().message.empty() && fuzz::has_no_controls(rules.error().message),
        "a refusal says why in one line", rules.error().message);
    return 0;
  }
  fuzz::hold_json_laws(rules->json, body);
  fuzz::hold_header_laws(*rules, wish.lines);
  for (const auto* list : {&rules->body_match, &rules->body_not_match}) {
    for (const checker::Expression& expression : *list) {
      const auto at = expression.find(body);
      LAW(at.has_value() == expression.matches(body), "found is matched", expression.text(), body);
      LAW(!at || *at <= body.size(), "a match is within the text", expression.text(), body);
    }
  }
  return 0;
}
