// SPDX-License-Identifier: Apache-2.0
// app/legacy_config.h - the section [legacy] as the mapping it means. Pure.
#pragma once

#include <optional>

#include "app/config.h"
#include "core/result.h"
#include "db/legacy_mapping.h"

namespace watchwheel::app {

// Nothing when the section names neither a table nor a preset. Invalid: the message begins with the key, "legacy.url: …".
[[nodiscard]] core::Result<std::optional<db::LegacyMapping>> legacy_mapping(
    const LegacyConfig& config);

}  // namespace watchwheel::app
