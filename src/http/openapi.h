// SPDX-License-Identifier: Apache-2.0
// http/openapi.h - the description of the endpoint, OpenAPI 3.0, as served at /api/v1/openapi.json.
//
// It is written by hand and held to the routes by a test: every path and method in it is served, and the other way round.
#pragma once

#include <string_view>

namespace watchwheel::http {

[[nodiscard]] std::string_view openapi_document();

}  // namespace watchwheel::http
