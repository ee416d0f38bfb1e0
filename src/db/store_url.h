// SPDX-License-Identifier: Apache-2.0
// db/store_url.h - what a store's URL may be, and from one to the file behind it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace watchwheel::db {

// The path of "sqlite:///absolute/path.db" or "sqlite:relative.db", taken as it stands: '%' and '?'
// are part of a name. Invalid: anything else. The message never repeats a URL that may hold a
// password.
[[nodiscard]] core::Result<std::string> sqlite_path(std::string_view url);

// Checks a store URL without touching anything: the error says which URLs are understood.
[[nodiscard]] core::Result<void> check_store_url(std::string_view url);

// A database server, which may be away while we are well; not a file of our own.
[[nodiscard]] bool is_server_url(std::string_view url);

}  // namespace watchwheel::db
