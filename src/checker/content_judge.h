// SPDX-License-Identifier: Apache-2.0
// checker/content_judge.h - is a complete response with an expected status what the check asks for? Header assertions, texts,
// expressions, JSON, size, error pages.
//
// Pure; any thread.
#pragma once

#include <string_view>

#include "checker/cause_map.h"
#include "checker/exchange.h"

namespace watchwheel::checker {

// Cause::Ok with Phase::Done, or the first thing that is wrong. `method` is the last hop's.
[[nodiscard]] Verdict judge_content(const ProbePlan& plan, std::string_view method,
                                    const ExchangeResult& result);

}  // namespace watchwheel::checker
