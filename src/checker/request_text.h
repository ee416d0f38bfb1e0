// SPDX-License-Identifier: Apache-2.0
// checker/request_text.h - a request without a body as HTTP/1.x sends it.
//
// Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "checker/exchange.h"

namespace watchwheel::checker {

// What libcurl would send for the same, byte by byte: a site must not be able to tell who of the two asks. The login is the
// options', else the URL's, and only where the request is at the origin of the check's URL; an Authorization header of the
// options' own wins over both.
[[nodiscard]] std::string request_text(const ExchangeRequest& request);

// "YW5uOnMzY3JldA==".
[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace watchwheel::checker
