// SPDX-License-Identifier: Apache-2.0
// checker/error_pages.h - pages that say "200 OK" and show a failure: recognised by rules in one table.
//
// Pure; any thread. A false alarm costs more than a miss: a rule looks at where a phrase stands (title, heading, start of the
// text) and how much else is on the page, so that an article about an error, or a listing of one, is healthy.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace watchwheel::checker {

struct Page {
  std::string_view content_type;  // As sent; "" when none was.
  std::string_view
      body;  // All of it, at most kPageBytesMax (body_scan.h); longer pages are no error pages.
};

// What the page shows, for the detail ("the page is a WordPress database error"); nothing when it looks like any other page.
[[nodiscard]] std::optional<std::string> recognise_error_page(const Page& page);

}  // namespace watchwheel::checker
