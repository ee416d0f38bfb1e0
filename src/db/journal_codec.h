// SPDX-License-Identifier: Apache-2.0
// db/journal_codec.h - an entry of the journal as text: JSON by name, so that a field can come without a new version and a person
// can read it.
//
// A reader passes over names it does not know. A field whose absence would change what a write means asks for a new
// kJournalVersion; an entry of a higher one is not guessed at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"
#include "sideeffects/journal_api.h"

namespace watchwheel::db {

inline constexpr std::int64_t kJournalVersion = 1;

// "event", "vantage", "vantage_end".
[[nodiscard]] std::string_view journal_kind(const sideeffects::JournalWrite& write);
[[nodiscard]] std::string encode_journal(const sideeffects::JournalWrite& write);
// Corrupt when it is none of ours.
[[nodiscard]] core::Result<sideeffects::JournalWrite> decode_journal(std::string_view kind,
                                                                     std::string_view body);

}  // namespace watchwheel::db
