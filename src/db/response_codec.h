// SPDX-License-Identifier: Apache-2.0
// db/response_codec.h - histograms of response times as a column. Of one: "23:12,24:30" are 12 answers in step 23 and 30 in step 24. Of a
// page of sites: "0=23:12,24:30;17=25:1", each behind its number in the page.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/responses.h"
#include "core/result.h"

namespace watchwheel::db {

// Steps in rising order, none that is empty. "": of nothing.
[[nodiscard]] std::string responses_to_text(const core::ResponseHistogram& responses);
// Invalid: anything else.
[[nodiscard]] core::Result<core::ResponseHistogram> responses_from_text(std::string_view text);

// By number in the page, below sideeffects::ResponsePage::kSites.
using PageResponses = std::map<std::uint8_t, core::ResponseHistogram>;
// Numbers in rising order. "": of nothing.
[[nodiscard]] std::string page_to_text(const PageResponses& responses);
// Invalid: anything else.
[[nodiscard]] core::Result<PageResponses> page_from_text(std::string_view text);

}  // namespace watchwheel::db
