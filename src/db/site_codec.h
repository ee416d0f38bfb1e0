// SPDX-License-Identifier: Apache-2.0
// db/site_codec.h - a site record as a store keeps it: which are taken, and how tags and options
// become text.
//
// Stored   tags: a JSON array of texts in the order given. options: a JSON object of option name to
//          text, sorted by name. Equal records give equal texts, so that "already exactly so" is a
//          comparison of columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/site.h"

namespace watchwheel::db {

// An id given from outside is at most this: above it there must be room for the ids that the store
// gives.
inline constexpr std::uint64_t kGivenSiteIdMax = std::uint64_t{1} << 62U;

// Invalid, saying what would be right, when no store could keep `record` and give it back as it
// was. Values of options are not judged here: core::apply_option does, where they enter.
[[nodiscard]] core::Result<void> check_record(const core::SiteRecord& record);

// Of a record that check_record passed.
[[nodiscard]] std::string tags_to_json(const std::vector<std::string>& tags);
[[nodiscard]] std::string options_to_json(const core::SiteOptions& options);

// Corrupt when it is not what the functions above write.
[[nodiscard]] core::Result<std::vector<std::string>> tags_from_json(std::string_view json);
[[nodiscard]] core::Result<core::SiteOptions> options_from_json(std::string_view json);

}  // namespace watchwheel::db
