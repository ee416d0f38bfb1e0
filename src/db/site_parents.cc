// SPDX-License-Identifier: Apache-2.0
#include "db/site_parents.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "db/rows.h"

namespace watchwheel::db {
namespace {

using sideeffects::kParentsMax;
using sideeffects::kSitesAboveMax;
using sideeffects::ParentOutage;

// Editors of the list go one after the other: two of them could make a circle of which neither sees the other half.
constexpr Sql kAlone("SELECT newest_seq FROM site_changes",
                     "SELECT newest_seq FROM site_changes FOR UPDATE");
constexpr Sql kOf = "SELECT parent_id FROM site_parents WHERE site_id = ? ORDER BY parent_id";
constexpr Sql kForget = "DELETE FROM site_parents WHERE site_id = ?";
constexpr Sql kAdd = "INSERT INTO site_parents (site_id, parent_id) VALUES (?, ?)";
constexpr Sql kThere = "SELECT 1 FROM sites WHERE id = ? AND deleted_at IS NULL";
constexpr Sql kList =
    "SELECT p.site_id, p.parent_id FROM site_parents p JOIN sites s ON s.id = p.parent_id"
    " WHERE p.site_id > ?1 AND p.site_id <= ?2 AND s.deleted_at IS NULL"
    " ORDER BY p.site_id, p.parent_id";
constexpr Sql kAny = "SELECT 1 FROM site_parents LIMIT 1";
// One that is open is the newest.
constexpr Sql kNewest =
    "SELECT confirmed_at, ended_at FROM events WHERE site_id = ? ORDER BY started_at DESC LIMIT 1";
constexpr Sql kBelow =
    "SELECT s.id, s.active FROM site_parents p JOIN sites s ON s.id = p.site_id"
    " WHERE p.parent_id = ?1 AND s.deleted_at IS NULL LIMIT ?2";
constexpr Sql kInterval = "SELECT interval_ms FROM sites WHERE id = ?";

std::string text_of(core::SiteId site) {
  return std::to_string(site.value);
}

core::Error refused(core::SiteId site, const std::string& what) {
  return core::Error{core::ErrorKind::Invalid, "parents of site " + text_of(site) + ": " + what};
}

}  // namespace

std::vector<Sql> site_parents_queries() {
  return {kOf, kForget, kThere, kNewest, kBelow, kInterval};
}

core::Result<std::vector<core::SiteId>> SiteParents::parents_of(core::SiteId site) {
  std::vector<core::SiteId> parents;
  Query query = connection_->query(kOf);
  query.bind(to_column(site));
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return parents;
    parents.push_back(id_from<core::SiteId>(query, 0));
  }
}

core::Result<bool> SiteParents::replace(const Parentage& wanted) {
  std::vector<core::SiteId> parents = wanted.parents;
  std::sort(parents.begin(), parents.end());
  parents.erase(std::unique(parents.begin(), parents.end()), parents.end());
  const auto known = parents_of(wanted.site);
  if (!known) return known.error();
  if (*known == parents) return false;
  if (parents.size() > kParentsMax)
    return refused(wanted.site, std::to_string(parents.size()) + " of them; at most " +
                                    std::to_string(kParentsMax));
  for (const core::SiteId parent : parents) {
    if (parent == wanted.site)
      return refused(wanted.site, "it cannot be its own parent; remove it");
    Query there = connection_->query(kThere);
    const auto row = there.bind(to_column(parent)).step();
    if (!row) return row.error();
    if (!*row)
      return refused(wanted.site, "there is no site " + text_of(parent) +
                                      "; name the id or URL of one that is in the list");
  }
  {
    Query forget = connection_->query(kForget);
    if (auto done = forget.bind(to_column(wanted.site)).run(); !done) return done.error();
  }
  for (const core::SiteId parent : parents) {
    Query add = connection_->query(kAdd);
    if (auto done = add.bind(to_column(wanted.site)).bind(to_column(parent)).run(); !done)
      return done.error();
  }
  return true;
}

// Upwards from the site, until there is nobody above or it is met again.
core::Result<void> SiteParents::refuse_circle(core::SiteId site) {
  std::map<core::SiteId, core::SiteId> reached;  // From whom.
  std::vector<core::SiteId> next{site};
  while (!next.empty()) {
    const core::SiteId one = next.back();
    next.pop_back();
    const auto parents = parents_of(one);
    if (!parents) return parents.error();
    for (const core::SiteId parent : *parents) {
      if (parent == site) {
        std::string way = text_of(site);
        for (core::SiteId at = one; at != site; at = reached.at(at))
          way = text_of(at) + ", that on " + way;
        return refused(site, "a circle: site " + text_of(site) + " would depend on " + way +
                                 "; leave one of them out");
      }
      if (!reached.emplace(parent, one).second) continue;
      if (reached.size() > kSitesAboveMax)
        return refused(site, "more than " + std::to_string(kSitesAboveMax) +
                                 " sites would be above it; name fewer");
      next.push_back(parent);
    }
  }
  return {};
}

core::Result<std::uint64_t> SiteParents::set(std::span<const Parentage> sites) {
  return retried(*connection_, [&]() -> core::Result<std::uint64_t> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    if (const auto alone = connection_->number(kAlone); !alone) return alone.error();
    std::uint64_t changed = 0;
    std::vector<core::SiteId> checked;
    for (const Parentage& wanted : sites) {
      const auto replaced = replace(wanted);
      if (!replaced) return replaced.error();
      if (!*replaced) continue;
      ++changed;
      if (!wanted.parents.empty()) checked.push_back(wanted.site);
    }
    for (const core::SiteId site : checked) {
      if (auto fits = refuse_circle(site); !fits) return fits.error();
    }
    if (auto done = transaction->commit(); !done) return done.error();
    return changed;
  });
}

core::Result<std::vector<Parentage>> SiteParents::list(core::SiteId after, core::SiteId last) {
  std::vector<Parentage> all;
  Query query = connection_->query(kList);
  query.bind(to_column(after)).bind(to_column(last));
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return all;
    const auto site = id_from<core::SiteId>(query, 0);
    if (all.empty() || all.back().site != site) all.push_back({.site = site, .parents = {}});
    all.back().parents.push_back(id_from<core::SiteId>(query, 1));
  }
}

core::Result<bool> SiteParents::any() {
  const auto found = connection_->number(kAny);
  if (!found) return found.error();
  return found->has_value();
}

// Step by step: of a recursive query with the newest outage of each MariaDB 10.11 gives no rows.
core::Result<std::vector<ParentOutage>> SiteParents::above(core::SiteId site,
                                                           core::WallTime since) {
  std::vector<ParentOutage> outages;
  std::set<core::SiteId> seen{site};
  std::vector<core::SiteId> next{site};
  while (!next.empty()) {
    const core::SiteId one = next.back();
    next.pop_back();
    const auto parents = parents_of(one);
    if (!parents) return parents.error();
    for (const core::SiteId parent : *parents) {
      if (seen.size() > kSitesAboveMax || !seen.insert(parent).second) continue;
      next.push_back(parent);
      Query query = connection_->query(kNewest);
      core::Result<bool> row = query.bind(to_column(parent)).step();
      if (!row) return row.error();
      if (!*row) continue;
      const core::WallTime ended = query.time(1);
      if (ended == core::kNoWallTime || ended >= since)
        outages.push_back({.parent = parent, .confirmed_at = query.time(0), .ended_at = ended});
    }
  }
  return outages;
}

core::Result<std::uint64_t> SiteParents::below(core::SiteId parent, std::uint64_t limit) {
  std::set<core::SiteId> seen{parent};
  std::vector<core::SiteId> next{parent};
  std::uint64_t count = 0;
  while (!next.empty() && count < limit && seen.size() <= limit) {
    const core::SiteId one = next.back();
    next.pop_back();
    Query query = connection_->query(kBelow);
    query.bind(to_column(one)).bind(static_cast<std::int64_t>(limit));
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      const auto site = id_from<core::SiteId>(query, 0);
      if (!seen.insert(site).second) continue;
      if (query.integer(1) != 0) ++count;
      next.push_back(site);
    }
  }
  return std::min(count, limit);
}

core::Result<std::optional<core::Duration>> SiteParents::interval_of(core::SiteId site) {
  Query query = connection_->query(kInterval);
  const auto row = query.bind(to_column(site)).step();
  if (!row) return row.error();
  if (!*row || query.is_null(0)) return std::optional<core::Duration>{};
  return std::optional<core::Duration>(std::chrono::milliseconds{query.integer(0)});
}

}  // namespace watchwheel::db
