// SPDX-License-Identifier: Apache-2.0
#include "checker/content_judge.h"

#include "checker/error_pages.h"
#include "checker/header_judge.h"
#include "checker/json_value.h"
#include "checker/plan.h"
#include "checker/safe_text.h"
#include "core/units.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using core::Phase;

// Long enough for what people write, short enough that what was found fits behind it in a detail of 512 bytes.
constexpr std::size_t kShownMax = 200;

std::string quoted(std::string_view text) {
  return '"' + safe_text(text, kShownMax) + (text.size() > kShownMax ? "..." : "") + '"';
}

std::string the_body(const ExchangeResult& result) {
  const std::string bytes = std::to_string(result.body->bytes());
  return result.body_cut ? "the first " + bytes + " bytes of the body, which goes on"
                         : "the body of " + bytes + " bytes";
}

std::string at_byte(const BodyScan& body, const BodyScan::Place& place) {
  std::string text = "at byte " + std::to_string(place.byte);
  if (place.converted)
    text +=
        " of its text in UTF-8 (it is in " + std::string(body.declaration().charset->name) + ")";
  return text;
}

std::string at_byte(const BodyScan& body, std::optional<std::size_t> byte) {
  if (!byte) return "somewhere";
  return at_byte(body, BodyScan::Place{*byte, body.converted()});
}

bool reads_body(const ProbePlan& plan) {
  return plan.body_rules.searching() || plan.content.judge_text() ||
         plan.options.size_min_bytes != 0 || plan.options.size_max_bytes != 0;
}

// Of the decoded body, or what of it was read.
bool too_long(const ProbePlan& plan, const ExchangeResult& result) {
  const std::uint64_t most = plan.options.size_max_bytes;
  if (most == 0) return false;
  return result.body->bytes() > most || (result.body_cut && result.body->bytes() >= most);
}

// ---- work ----

// A JSON document costs about as much a byte as this many steps of an expression.
constexpr std::uint64_t kJsonSteps = 15;
constexpr std::string_view kNotInTime =
    "the answer came, but its expressions and JSON were not judged in time";

bool is_over(const Enough& enough) {
  return enough && enough();
}

Verdict unmeasured(std::string why) {
  return {Cause::LocalResources, Phase::Content, std::move(why)};
}

std::uint64_t header_work(const ProbePlan& plan, const ExchangeResult& result) {
  std::uint64_t work = 0;
  for (const HeaderRule& rule : plan.content.headers) {
    if (!rule.expression) continue;
    for (const core::Header& line : result.head.asked)
      work += rule.expression->steps() * line.value.size();
  }
  return work;
}

std::uint64_t body_work(const ProbePlan& plan, const ExchangeResult& result) {
  if (!result.body) return 0;
  std::uint64_t steps = 0;
  for (const Expression& one : plan.content.body_match) steps += one.steps();
  for (const Expression& one : plan.content.body_not_match) steps += one.steps();
  return steps * result.body->text().size();
}

// The limit is ours; who set the expressions can keep within it.
std::string too_much(std::string_view what, std::uint64_t work) {
  return "the expressions for the " + std::string(what) +
         " are too much work: " + std::to_string(work) + " steps at worst, and " +
         std::to_string(kJudgedWorkMax) +
         " are the most; set a smaller max_body or simpler expressions";
}

// ---- one thing each: what is wrong, or nothing ----

std::optional<Verdict> header_problem(const ProbePlan& plan, const ExchangeResult& result,
                                      const Enough& enough) {
  const std::uint64_t work = header_work(plan, result);
  if (work > kJudgedWorkMax) return unmeasured(too_much("header lines", work));
  for (const HeaderRule& rule : plan.content.headers) {
    if (is_over(enough)) return unmeasured(std::string(kNotInTime));
    HeaderAnswer answer = judge_header(rule, result.head.asked);
    if (!answer.holds) return Verdict{Cause::ContentHeader, Phase::Content, std::move(answer.what)};
  }
  return std::nullopt;
}

std::string forbidden_sentence(const BodyScan& body, std::size_t i, std::string_view text) {
  const auto place = body.forbidden_place(i);
  if (!place) return "the forbidden text " + quoted(text) + " is not in the body";
  return "the body holds the forbidden text " + quoted(text) + " " + at_byte(body, *place);
}

std::string keyword_sentence(const ExchangeResult& result, std::size_t i, std::string_view text) {
  const auto place = result.body->keyword_place(i);
  if (!place) return "the text " + quoted(text) + " is not in " + the_body(result);
  return "the text " + quoted(text) + " is in the body, " + at_byte(*result.body, *place);
}

std::optional<Verdict> forbidden_problem(const ProbePlan& plan, const ExchangeResult& result) {
  const std::vector<std::string>& texts = plan.body_rules.forbidden;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!result.body->forbidden_place(i)) continue;
    return Verdict{Cause::KeywordForbidden, Phase::Content,
                   forbidden_sentence(*result.body, i, texts[i])};
  }
  return std::nullopt;
}

std::optional<Verdict> keyword_problem(const ProbePlan& plan, const ExchangeResult& result) {
  const std::vector<std::string>& texts = plan.body_rules.keyword;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (result.body->keyword_place(i)) continue;
    return Verdict{Cause::KeywordMissing, Phase::Content, keyword_sentence(result, i, texts[i])};
  }
  return std::nullopt;
}

// Where the body goes on, an assertion of its end is made true by our cut, and false where the end would have been.
bool fooled_by_cut(const Expression& expression, const ExchangeResult& result) {
  return result.body_cut && expression.asks_end() &&
         !expression.matches_before_end(result.body->text());
}

std::string cut_sentence(const Expression& expression) {
  return "the body goes on beyond max_body, so it cannot be said whether the expression " +
         quoted(expression.text()) + ", which asks for its end, matches";
}

std::optional<Verdict> expression_problem(const ProbePlan& plan, const ExchangeResult& result,
                                          const Enough& enough) {
  const std::string_view text = result.body->text();
  const std::uint64_t work = body_work(plan, result);
  if (work > kJudgedWorkMax) return unmeasured(too_much("body", work));
  for (const Expression& expression : plan.content.body_not_match) {
    if (is_over(enough)) return unmeasured(std::string(kNotInTime));
    if (!expression.matches(text)) continue;
    if (fooled_by_cut(expression, result)) return unmeasured(cut_sentence(expression));
    return Verdict{Cause::KeywordForbidden, Phase::Content,
                   "the body matches the forbidden expression " + quoted(expression.text()) + " " +
                       at_byte(*result.body, expression.find(text))};
  }
  for (const Expression& expression : plan.content.body_match) {
    if (is_over(enough)) return unmeasured(std::string(kNotInTime));
    if (fooled_by_cut(expression, result)) return unmeasured(cut_sentence(expression));
    if (expression.matches(text)) continue;
    return Verdict{
        Cause::KeywordMissing, Phase::Content,
        "the expression " + quoted(expression.text()) + " does not match " + the_body(result)};
  }
  return std::nullopt;
}

std::optional<Verdict> json_verdict(const ProbePlan& plan, const ExchangeResult& result,
                                    const Enough& enough) {
  if (plan.content.json.empty()) return std::nullopt;
  if (is_over(enough)) return unmeasured(std::string(kNotInTime));
  for (JsonAnswer& answer : judge_json(plan.content.json, result.body->text(), result.body_cut)) {
    if (answer.holds) continue;
    return Verdict{answer.measured ? Cause::ContentJson : Cause::LocalResources, Phase::Content,
                   std::move(answer.what)};
  }
  return std::nullopt;
}

std::optional<Verdict> size_problem(const ProbePlan& plan, const ExchangeResult& result) {
  const std::uint64_t bytes = result.body->bytes();
  if (too_long(plan, result)) {
    return Verdict{Cause::ContentSize, Phase::Content,
                   "the body is longer than size_max, which is " +
                       std::to_string(plan.options.size_max_bytes) + " bytes"};
  }
  if (bytes < plan.options.size_min_bytes) {
    return Verdict{Cause::ContentSize, Phase::Content,
                   "the body has " + std::to_string(bytes) +
                       " bytes, fewer than size_min, which is " +
                       std::to_string(plan.options.size_min_bytes) + " bytes"};
  }
  return std::nullopt;
}

std::optional<std::string> error_page(const ProbePlan& plan, const ExchangeResult& result) {
  const auto page = result.body_cut ? std::nullopt : result.body->page();
  if (!page) return std::nullopt;
  // Who asks for an expression, and finds it in an empty document, wants it so.
  return recognise_error_page({.content_type = result.head.content_type,
                               .body = *page,
                               .home_page = result.home_page && !plan.content.judge_text()});
}

Verdict no_room(const ExchangeResult& result) {
  return {Cause::LocalResources, Phase::Content,
          "too many bodies are kept at once, so " + the_body(result) +
              " could not be looked at with expressions or as JSON"};
}

// ---- findings ----

class Findings {
 public:
  Findings(const ProbePlan& plan, const ExchangeResult& result, const Enough& enough)
      : plan_(plan), result_(result), enough_(enough) {}

  std::vector<std::string> take() { return std::move(all_); }
  void headers() {
    const std::uint64_t work = header_work(plan_, result_);
    if (work > kJudgedWorkMax) {
      all_.push_back(too_much("header lines", work));
      return;
    }
    for (const HeaderRule& rule : plan_.content.headers) {
      if (out_of_time()) return;
      all_.push_back(judge_header(rule, result_.head.asked).what);
    }
  }
  void body() {
    charset();
    texts();
    if (plan_.content.judge_text()) {
      if (result_.body->not_kept()) {
        all_.push_back(no_room(result_).detail);
      } else {
        expressions();
        json();
      }
    }
    size();
    if (!plan_.body_rules.keep_page) return;
    all_.push_back(error_page(plan_, result_).value_or("the page looks like no error page"));
  }

 private:
  void charset() {
    const Declaration& said = result_.body->declaration();
    if (said.label.empty()) return;
    static constexpr std::array<const char*, 4> kBy{"", "its byte order mark says",
                                                    "its header says", "the page says"};
    std::string text = std::string("the body is in ") + said.label + ", " +
                       kBy[static_cast<std::size_t>(said.source)];
    if (said.charset == nullptr) text += "; we do not know that, so its bytes were looked at";
    all_.push_back(std::move(text));
  }
  void texts() {
    const BodyRules& rules = plan_.body_rules;
    for (std::size_t i = 0; i < rules.forbidden.size(); ++i)
      all_.push_back(forbidden_sentence(*result_.body, i, rules.forbidden[i]));
    for (std::size_t i = 0; i < rules.keyword.size(); ++i)
      all_.push_back(keyword_sentence(result_, i, rules.keyword[i]));
  }
  // Says so once; what is left is left out.
  bool out_of_time() {
    if (!over_ && is_over(enough_)) {
      over_ = true;
      all_.emplace_back(kNotInTime);
    }
    return over_;
  }
  void expressions() {
    const std::string_view text = result_.body->text();
    if (const std::uint64_t work = body_work(plan_, result_); work > kJudgedWorkMax) {
      all_.push_back(too_much("body", work));
      return;
    }
    const auto add = [&](const Expression& expression, const char* kind) {
      if (out_of_time()) return;
      if (fooled_by_cut(expression, result_)) {
        all_.push_back(cut_sentence(expression));
        return;
      }
      const std::string name = kind + quoted(expression.text());
      if (expression.matches(text)) {
        all_.push_back(name + " matches the body, " +
                       at_byte(*result_.body, expression.find(text)));
      } else {
        all_.push_back(name + " does not match " + the_body(result_));
      }
    };
    for (const Expression& e : plan_.content.body_not_match) add(e, "the forbidden expression ");
    for (const Expression& e : plan_.content.body_match) add(e, "the expression ");
  }
  void json() {
    if (plan_.content.json.empty() || out_of_time()) return;
    for (JsonAnswer& answer :
         judge_json(plan_.content.json, result_.body->text(), result_.body_cut))
      all_.push_back(std::move(answer.what));
  }
  void size() {
    if (plan_.options.size_min_bytes == 0 && plan_.options.size_max_bytes == 0) return;
    if (auto problem = size_problem(plan_, result_)) {
      all_.push_back(std::move(problem->detail));
    } else {
      all_.push_back(the_body(result_) + " is within size_min and size_max");
    }
  }

  const ProbePlan& plan_;
  const ExchangeResult& result_;
  const Enough& enough_;
  bool over_ = false;
  std::vector<std::string> all_;
};

// 10 ms at worst.
constexpr std::uint64_t kQuickWork = 1'000'000;

constexpr std::string_view kOpaque =
    "the body is in a content coding we do not know, so nothing can be found in it";

}  // namespace

Verdict judge_content(const ProbePlan& plan, std::string_view method, const ExchangeResult& result,
                      const Enough& enough) {
  if (auto problem = header_problem(plan, result, enough)) return *std::move(problem);
  if (method == "HEAD" || !result.body) return {};
  if (result.body_opaque) {
    if (!reads_body(plan)) return {};
    return {Cause::BodyMalformed, Phase::Body, std::string(kOpaque)};
  }
  if (auto problem = forbidden_problem(plan, result)) return *std::move(problem);
  // What is missing may stand behind the part that was read; that the body is too long is certain.
  if (too_long(plan, result)) return *size_problem(plan, result);
  if (auto problem = keyword_problem(plan, result)) return *std::move(problem);
  if (plan.content.judge_text()) {
    if (result.body->not_kept()) return no_room(result);
    if (auto problem = expression_problem(plan, result, enough)) return *std::move(problem);
    if (auto problem = json_verdict(plan, result, enough)) return *std::move(problem);
  }
  if (auto problem = size_problem(plan, result)) return *std::move(problem);
  if (auto match = error_page(plan, result))
    return {Cause::ContentErrorPage, Phase::Content, *match};
  return {};
}

std::uint64_t content_work(const ProbePlan& plan, const ExchangeResult& result) {
  const std::uint64_t header = header_work(plan, result);
  if (header > kJudgedWorkMax) return 0;
  const std::uint64_t body = body_work(plan, result);
  if (body > kJudgedWorkMax) return header;
  const bool json = result.body && !plan.content.json.empty();
  return header + body + (json ? kJsonSteps * result.body->text().size() : 0);
}

bool judged_quickly(const ProbePlan& plan, const ExchangeResult& result) {
  return content_work(plan, result) <= kQuickWork;
}

std::vector<std::string> content_findings(const ProbePlan& plan, std::string_view method,
                                          const ExchangeResult& result, const Enough& enough) {
  Findings findings(plan, result, enough);
  if (!result.head_complete) return {};
  findings.headers();
  if (method == "HEAD" || !result.body || result.cause != Cause::Ok) return findings.take();
  if (result.body_opaque) {
    std::vector<std::string> all = findings.take();
    all.emplace_back(kOpaque);
    return all;
  }
  findings.body();
  return findings.take();
}

}  // namespace watchwheel::checker
