// SPDX-License-Identifier: Apache-2.0
// app/store_access.h - how the configured store is reached: its URL, and its password when it is asked for.
#pragma once

#include "app/config.h"
#include "db/store.h"

namespace watchwheel::app {

// The password's file is read whenever a session is opened, so a changed one needs no restart.
[[nodiscard]] db::StoreAccess store_access(const StoreConfig& config);

}  // namespace watchwheel::app
