// SPDX-License-Identifier: Apache-2.0
// db/text.h - what a store takes as text: UTF-8, and nothing that only looks like it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace watchwheel::db {

// Whether all of it is UTF-8: no stray or overlong bytes, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text);

// `text` with U+FFFD for every byte that is not part of UTF-8, cut to at most `bytes_max` between
// characters. For what a site sent us: an event is never refused for it.
[[nodiscard]] std::string to_utf8(std::string_view text, std::size_t bytes_max);

// `url` as it may be shown in a message: without what could be a password (user part, query,
// fragment), cut short, in UTF-8.
[[nodiscard]] std::string shown_url(std::string_view url);

}  // namespace watchwheel::db
