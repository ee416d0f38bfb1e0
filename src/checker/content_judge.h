// SPDX-License-Identifier: Apache-2.0
// checker/content_judge.h - is a complete response with an expected status what the check asks for? Header assertions, texts,
// expressions, JSON, size, error pages, in this order; the first problem is the cause. A body beyond size_max comes before what is
// not found in the part that was read.
//
// Pure; any thread.
// Cost     microseconds. With expressions 2 ms for each and MiB; where one is of the hard kind, 5 to 10 ns for each step of its
//          program and byte, which is seconds. JSON: 50 to 100 ms a MiB.
// Bounded  steps times bytes of all expressions for the body by kJudgedWorkMax, of those for header lines too: some 3 s at worst.
// Fails    as NotMeasured where the text could not be kept, is too much work, or was not judged in time; where JSON was cut at
//          max_body or goes beyond what we can hold; where an expression holds or fails only because the body was cut. None of
//          these says anything about the site.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "checker/cause_map.h"
#include "checker/exchange.h"

namespace watchwheel::checker {

inline constexpr std::uint64_t kJudgedWorkMax = 400'000'000;

// Asked between two things that may take long. True: what is left is not judged.
using Enough = std::function<bool()>;

// Cause::Ok with Phase::Done, or the first thing that is wrong. `method` is the last hop's.
[[nodiscard]] Verdict judge_content(const ProbePlan& plan, std::string_view method,
                                    const ExchangeResult& result, const Enough& enough = {});

// Steps of expressions times bytes, at worst. What is beyond kJudgedWorkMax is not done, and so no work.
[[nodiscard]] std::uint64_t content_work(const ProbePlan& plan, const ExchangeResult& result);

// That is done within some ms, whatever the body is. Otherwise it belongs to the judge's thread.
[[nodiscard]] bool judged_quickly(const ProbePlan& plan, const ExchangeResult& result);

// What was looked for in header and body of the last hop and what came of it, one sentence each, in the order of judging. For a
// person; secrets of credential headers are not shown. What a broken response did not get to is left out.
[[nodiscard]] std::vector<std::string> content_findings(const ProbePlan& plan,
                                                        std::string_view method,
                                                        const ExchangeResult& result,
                                                        const Enough& enough = {});

}  // namespace watchwheel::checker
