// SPDX-License-Identifier: Apache-2.0
#include "checker/content_judge.h"

#include <string>

#include "checker/error_pages.h"
#include "checker/plan.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using core::Phase;

std::string missing_text(std::string_view text, const ExchangeResult& result) {
  const std::string bytes = std::to_string(result.body->bytes());
  return "the text \"" + std::string(text) + "\" is not in the " +
         (result.body_cut ? "first " + bytes + " bytes of the body, which goes on"
                          : "body of " + bytes + " bytes");
}

}  // namespace

Verdict judge_content(const ProbePlan& plan, std::string_view method,
                      const ExchangeResult& result) {
  const BodyRules& rules = plan.body_rules;
  if (method == "HEAD" || !result.body) return {};
  if (result.body_opaque) {
    if (!rules.searching()) return {};
    return {Cause::BodyMalformed, Phase::Body,
            "the body is in a content coding we do not know, so no text can be found in it"};
  }
  if (const auto text = result.body->forbidden_found()) {
    return {Cause::KeywordForbidden, Phase::Content,
            "the body holds the forbidden text \"" + std::string(*text) + "\""};
  }
  if (const auto text = result.body->keyword_missing())
    return {Cause::KeywordMissing, Phase::Content, missing_text(*text, result)};
  const auto page = result.body_cut ? std::nullopt : result.body->page();
  if (!page) return {};
  const auto match =
      recognise_error_page({.content_type = result.head.content_type, .body = *page});
  if (match) return {Cause::ContentErrorPage, Phase::Content, *match};
  return {};
}

}  // namespace watchwheel::checker
