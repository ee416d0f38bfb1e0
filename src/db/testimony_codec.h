// SPDX-License-Identifier: Apache-2.0
// db/testimony_codec.h - what other vantages said, as stores and the journal keep it: JSON by name.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "core/testimony.h"

namespace watchwheel::db {

// "" for one that says nothing (core::Basis::None).
[[nodiscard]] std::string testimony_to_json(const core::Testimony& testimony);
// Of "" one that says nothing. Corrupt when it is not what the function above writes; names that it does not know are passed over.
[[nodiscard]] core::Result<core::Testimony> testimony_from_json(std::string_view text);

}  // namespace watchwheel::db
