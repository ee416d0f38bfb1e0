// SPDX-License-Identifier: Apache-2.0
// app/legacy_config.h - the section [legacy] as the mapping it means. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/config.h"
#include "core/result.h"
#include "db/legacy_mapping.h"
#include "db/store.h"

namespace watchwheel::app {

// Nothing when the section names neither a table nor a preset. Invalid: the message begins with the key, "legacy.url: …".
[[nodiscard]] core::Result<std::optional<db::LegacyMapping>> legacy_mapping(
    const LegacyConfig& config);

// Whether the mapping fits the table as it stands in the store; what is wrong, each beginning with its key. Nothing is written.
[[nodiscard]] core::Result<std::vector<std::string>> check_legacy_table(
    const db::LegacyMapping& mapping, db::Store& store);

// A table to work with. Invalid, with everything that is wrong with the mapping.
[[nodiscard]] core::Result<std::unique_ptr<db::LegacyTable>> open_legacy_table(
    const db::LegacyMapping& mapping, db::Store& store);

}  // namespace watchwheel::app
