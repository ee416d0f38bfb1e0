// SPDX-License-Identifier: Apache-2.0
// db/store_url.h - from a store's URL to the file behind it.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace watchwheel::db {

// The path of "sqlite:///absolute/path.db" or "sqlite:relative.db", taken as it stands: '%' and '?'
// are part of a name. Invalid: anything else. The message never repeats a URL that may hold a
// password.
[[nodiscard]] core::Result<std::string> sqlite_path(std::string_view url);

}  // namespace watchwheel::db
