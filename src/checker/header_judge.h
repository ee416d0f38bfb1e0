// SPDX-License-Identifier: Apache-2.0
// checker/header_judge.h - whether the header lines of a response are what an assertion asks for.
//
// Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "checker/content_rules.h"

namespace watchwheel::checker {

struct HeaderAnswer {
  bool holds = false;
  std::string
      what;  // For a person; at most about 300 bytes. Never the value of a header that may hold a credential, nor a query string.
};

// `lines`: those of the response, in their order, with names as they came. A header may have several; for Equal and Match any of
// them will do.
[[nodiscard]] HeaderAnswer judge_header(const HeaderRule& rule,
                                        const std::vector<core::Header>& lines);

}  // namespace watchwheel::checker
