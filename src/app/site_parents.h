// SPDX-License-Identifier: Apache-2.0
// app/site_parents.h - parents of sites as people write them, ids or URLs, and as the store keeps them.
//
// Thread   one at a time: what it is given belongs to one thread.
// Fails    core::Error: Invalid or NotFound, naming what was written and what would be right; the store.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "db/site_catalog.h"
#include "db/site_parents.h"

namespace watchwheel::app {

// The ids of sites named by id or URL. That an id is in the list SiteParents::set finds out.
[[nodiscard]] core::Result<std::vector<core::SiteId>> resolve_parents(
    db::SiteCatalog& catalog, const std::vector<std::string>& named);

// Puts into each record what the store has of its parents, for showing and exporting. `page`: in the order of ids.
[[nodiscard]] core::Result<void> show_parents(db::SiteParents& parents,
                                              std::vector<db::SiteView>& page);

}  // namespace watchwheel::app
