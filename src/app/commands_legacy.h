// SPDX-License-Identifier: Apache-2.0
// app/commands_legacy.h - `watchwheel legacy …`: another program's table beside what Watchwheel knows.
#pragma once

#include <cstddef>
#include <string>

#include "app/command.h"
#include "db/site_catalog.h"

namespace watchwheel::app {

struct LegacyDiffArgs {
  std::size_t limit =
      20;  // Differences and rejected rows that are listed, each; all are counted. 0: all.
  bool json = false;
  bool quiet = false;
  std::string config;
};
// kExitOk: they say the same. kExitBad: they differ. kExitTrouble: it could not be told.
[[nodiscard]] int legacy_diff(const LegacyDiffArgs& args, Io& io);

struct LegacyListArgs {
  std::string config;
};
// The site list comes from the table from now on, whatever it was before.
[[nodiscard]] int legacy_adopt(const LegacyListArgs& args, Io& io);
// The site list is the store's own again, as it stands.
[[nodiscard]] int legacy_release(const LegacyListArgs& args, Io& io);

// Invalid when the list comes from another program's table: it says where to edit it.
[[nodiscard]] core::Result<void> check_own_list(db::SiteCatalog& catalog);

}  // namespace watchwheel::app
