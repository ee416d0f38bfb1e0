// SPDX-License-Identifier: Apache-2.0
// app/site_fields.h - the columns of a site, as texts: one place that judges what a file, a JSON line or the command line gives.
//
// Pure; any thread. Every refusal says what would be right.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "core/result.h"
#include "core/site.h"

namespace watchwheel::app {

// The sites that one depends on: ids or URLs, parted by spaces, lines or commas. They stand in a table of their own (db/site_parents.h);
// while a record is between a person and the store they stand among its options, from where take_parents() takes them.
inline constexpr std::string_view kParentsColumn = "parents";

// id, url, interval, active, name, tags, parents and the check options: the header of a full CSV, in this order.
[[nodiscard]] const std::vector<std::string_view>& site_columns();

// The options that hold one value a line.
[[nodiscard]] bool is_repeatable(std::string_view column);

// Sets one column. An empty text leaves (or makes) it unset. Tags are separated by commas or lines.
[[nodiscard]] core::Result<void> set_site_field(core::SiteRecord& record, std::string_view column,
                                                std::string_view text);
// What set_site_field would read back; "" when it is not set.
[[nodiscard]] std::string get_site_field(const core::SiteRecord& record, std::string_view column);

// Takes the parents out of the record, as they were written. What the store gets must not have them.
[[nodiscard]] std::vector<std::string> take_parents(core::SiteRecord& record);

// What must hold between the columns, on top of the defaults the site would be checked with: there is a URL, its options do not
// contradict each other, a check fits into the interval.
[[nodiscard]] core::Result<void> check_site(const core::SiteRecord& record,
                                            const ChecksConfig& defaults);

}  // namespace watchwheel::app
