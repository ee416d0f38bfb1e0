// SPDX-License-Identifier: Apache-2.0
// checker/error_pages.h - pages that say "200 OK" and show a failure: recognised by the rules of error_page_rules.inc.
//
// Pure; any thread. A false alarm costs more than a miss: a rule looks at where a phrase stands (title, heading, start of the
// text), at how much else is on the page, and at what a site has around its articles (menus, forms, links), so that an article
// about an error, or a listing of one, is healthy.
// Cost     of a healthy page: one pass, which ends as soon as title, heading and the first words are read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace watchwheel::checker {

struct Page {
  std::string_view content_type;  // As sent; "" when none was.
  std::string_view
      body;  // All of it, at most kPageBytesMax (body_scan.h); longer pages are no error pages.
  // It answers, with 200, a GET of the path "/". Only there is a document with nothing in it an error page: elsewhere it may be
  // what a health endpoint says when all is well. A body without a byte is healthy everywhere.
  bool home_page = false;
};

// What the page shows, for the detail ("the page is a WordPress database error (rule wordpress-db)"); nothing when it looks
// like any other page.
[[nodiscard]] std::optional<std::string> recognise_error_page(const Page& page);

}  // namespace watchwheel::checker
