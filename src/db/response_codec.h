// SPDX-License-Identifier: Apache-2.0
// db/response_codec.h - a histogram of response times as a column: "23:12,24:30" are 12 answers in step 23 and 30 in step 24.
#pragma once

#include <string>
#include <string_view>

#include "core/responses.h"
#include "core/result.h"

namespace watchwheel::db {

// Steps in rising order, none that is empty. "": of nothing.
[[nodiscard]] std::string responses_to_text(const core::ResponseHistogram& responses);
// Invalid: anything else.
[[nodiscard]] core::Result<core::ResponseHistogram> responses_from_text(std::string_view text);

}  // namespace watchwheel::db
