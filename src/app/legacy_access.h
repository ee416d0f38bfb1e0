// SPDX-License-Identifier: Apache-2.0
// app/legacy_access.h - the table that [legacy] speaks of, as it stands in a store.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "db/legacy_mapping.h"
#include "db/legacy_table.h"
#include "db/store.h"

namespace watchwheel::app {

// Whether the mapping fits the table as it stands in the store; what is wrong, each beginning with its key. Nothing is written.
[[nodiscard]] core::Result<std::vector<std::string>> check_legacy_table(
    const db::LegacyMapping& mapping, db::Store& store);

// A table to work with. Invalid, with everything that is wrong with the mapping.
[[nodiscard]] core::Result<std::unique_ptr<db::LegacyTable>> open_legacy_table(
    const db::LegacyMapping& mapping, db::Store& store);

}  // namespace watchwheel::app
