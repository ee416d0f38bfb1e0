// SPDX-License-Identifier: Apache-2.0
#include "db/site_parents.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "db/delivery_rows.h"
#include "db/rows.h"

namespace watchwheel::db {
namespace {

using sideeffects::kParentsMax;
using sideeffects::kSitesAboveMax;
using sideeffects::ParentOutage;
using sideeffects::SiteKin;

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
constexpr Sql kEdges =
    "SELECT site_id, parent_id FROM site_parents WHERE site_id IN " WATCHWHEEL_IDS
    " ORDER BY site_id, parent_id";
// Subqueries of one row each: a join with the newest or with any would read all, on one server or the other.
constexpr Sql kSites =
    "SELECT s.id, s.interval_ms,"
    " (SELECT p.site_id FROM site_parents p WHERE p.parent_id = s.id LIMIT 1)"
    " FROM sites s WHERE s.id IN " WATCHWHEEL_IDS;
// One that is open is the newest. The newest that was confirmed holds for a while when it is over, and what only seemed so after it does
// not end that.
#define WATCHWHEEL_NEWEST(which)                                                  \
  "(SELECT e.id FROM events e WHERE e.site_id = s.id AND e.kind = 'outage'" which \
  " ORDER BY e.started_at DESC LIMIT 1)"
constexpr Sql kNewest = "SELECT " WATCHWHEEL_NEWEST("") ", " WATCHWHEEL_NEWEST(
    " AND e.confirmed_at IS NOT NULL") " FROM sites s WHERE s.id IN " WATCHWHEEL_IDS;
constexpr Sql kOutages =
    "SELECT site_id, started_at, confirmed_at, ended_at FROM events WHERE id IN " WATCHWHEEL_IDS;
constexpr Sql kBelow =
    "SELECT s.id, s.active, (SELECT q.site_id FROM site_parents q WHERE q.parent_id = s.id LIMIT 1)"
    " FROM site_parents p JOIN sites s ON s.id = p.site_id"
    " WHERE p.parent_id = ?1 AND s.deleted_at IS NULL LIMIT ?2";

std::string text_of(core::SiteId site) {
  return std::to_string(site.value);
}

core::Error refused(core::SiteId site, const std::string& what) {
  return core::Error{core::ErrorKind::Invalid, "parents of site " + text_of(site) + ": " + what};
}

Ids columns_of(std::span<const core::SiteId> sites) {
  Ids ids;
  for (const core::SiteId site : sites) ids.push_back(to_column(site));
  return ids;
}

// Of all above `failing` the newest outages that matter to it.
std::vector<ParentOutage> outages_above(
    const sideeffects::Failing& failing,
    const std::map<core::SiteId, std::vector<core::SiteId>>& parents,
    const std::multimap<core::SiteId, ParentOutage>& newest) {
  std::vector<ParentOutage> outages;
  std::set<core::SiteId> seen{failing.site};
  std::vector<core::SiteId> next{failing.site};
  while (!next.empty()) {
    const auto above = parents.find(next.back());
    next.pop_back();
    if (above == parents.end()) continue;
    for (const core::SiteId parent : above->second) {
      if (seen.size() > kSitesAboveMax || !seen.insert(parent).second) continue;
      next.push_back(parent);
      const auto [first, last] = newest.equal_range(parent);
      for (auto one = first; one != last; ++one) {
        const core::WallTime ended = one->second.ended_at;
        if (ended == core::kNoWallTime || ended >= failing.since) outages.push_back(one->second);
      }
    }
  }
  return outages;
}

}  // namespace

std::vector<Sql> site_parents_queries() {
  return {kOf, kForget, kThere, kEdges, kSites, kNewest, kOutages, kBelow};
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

core::Result<void> SiteParents::read_edges(std::span<const std::int64_t> sites, Edges& edges) {
  return by_parts(sites, [&](auto part) -> core::Result<void> {
    Query query = connection_->query(kEdges);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      edges[id_from<core::SiteId>(query, 0)].push_back(id_from<core::SiteId>(query, 1));
    }
  });
}

core::Result<std::vector<Parentage>> SiteParents::other(std::span<const Parentage> wanted) {
  Edges last;  // Of a site that is named twice the last counts.
  for (const Parentage& one : wanted) last[one.site] = one.parents;
  Ids ids;
  for (const auto& [site, parents] : last) ids.push_back(to_column(site));
  Edges known;
  if (auto read = read_edges(ids, known); !read) return read.error();
  std::vector<Parentage> others;
  for (auto& [site, parents] : last) {
    std::sort(parents.begin(), parents.end());
    parents.erase(std::unique(parents.begin(), parents.end()), parents.end());
    const auto has = known.find(site);
    const bool same = has == known.end() ? parents.empty() : has->second == parents;
    if (!same) others.push_back({.site = site, .parents = std::move(parents)});
  }
  return others;
}

core::Result<void> SiteParents::replace(const Parentage& wanted) {
  const std::vector<core::SiteId>& parents = wanted.parents;
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
  return {};
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

// Where all is so already nothing is locked: an import looks at each of its rows.
core::Result<std::uint64_t> SiteParents::replace(std::span<const Parentage> sites, bool keep) {
  const auto differ = other(sites);
  if (!differ) return differ.error();
  if (differ->empty()) return std::uint64_t{0};
  return retried(*connection_, [&]() -> core::Result<std::uint64_t> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    if (const auto alone = connection_->number(kAlone); !alone) return alone.error();
    const auto changed = other(*differ);
    if (!changed) return changed.error();
    for (const Parentage& wanted : *changed) {
      if (auto done = replace(wanted); !done) return done.error();
    }
    for (const Parentage& wanted : *changed) {
      if (auto fits = refuse_circle(wanted.site); !fits) return fits.error();
    }
    if (keep) {
      if (auto done = transaction->commit(); !done) return done.error();
    }
    return changed->size();
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

// Of each site the newest there is, and the newest that was confirmed.
core::Result<std::multimap<core::SiteId, ParentOutage>> SiteParents::newest_outages(
    std::span<const std::int64_t> sites) {
  Ids events;
  auto read = by_parts(sites, [&](auto part) -> core::Result<void> {
    Query query = connection_->query(kNewest);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      if (query.is_null(0)) continue;
      events.push_back(query.integer(0));
      if (!query.is_null(1) && query.integer(1) != events.back())
        events.push_back(query.integer(1));
    }
  });
  if (!read) return read.error();
  std::multimap<core::SiteId, ParentOutage> newest;
  read = by_parts(events, [&](auto part) -> core::Result<void> {
    Query query = connection_->query(kOutages);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      const auto parent = id_from<core::SiteId>(query, 0);
      newest.emplace(parent, ParentOutage{.parent = parent,
                                          .started_at = query.time(1),
                                          .confirmed_at = query.time(2),
                                          .ended_at = query.time(3)});
    }
  });
  if (!read) return read.error();
  return newest;
}

// Level by level for all of them together: a thousand children of one parent ask for it once. Not in one recursive query: of one with
// the newest outage of each MariaDB 10.11 gives no rows.
core::Result<std::vector<SiteKin>> SiteParents::kin(std::span<const sideeffects::Failing> sites) {
  std::set<core::SiteId> asked;
  Ids all;
  for (const sideeffects::Failing& failing : sites) {
    if (asked.insert(failing.site).second) all.push_back(to_column(failing.site));
  }
  Edges parents;
  std::set<core::SiteId> above;
  for (Ids level = all; !level.empty();) {
    Edges found;
    if (auto read = read_edges(level, found); !read) return read.error();
    std::vector<core::SiteId> next;
    for (auto& [site, of] : found) {
      for (const core::SiteId parent : of) {
        if (above.insert(parent).second && asked.insert(parent).second) next.push_back(parent);
      }
      parents[site] = std::move(of);
    }
    level = columns_of(next);
  }
  const auto newest = newest_outages(columns_of(std::vector(above.begin(), above.end())));
  if (!newest) return newest.error();

  std::map<core::SiteId, SiteKin> kin;
  const auto read = by_parts(all, [&](auto part) -> core::Result<void> {
    Query query = connection_->query(kSites);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      const auto site = id_from<core::SiteId>(query, 0);
      const bool is_parent = !query.is_null(2);
      if (!is_parent && !parents.contains(site)) continue;
      SiteKin one{.site = site, .is_parent = is_parent, .interval = {}, .above = {}};
      if (!query.is_null(1)) one.interval = std::chrono::milliseconds{query.integer(1)};
      kin[site] = std::move(one);
    }
  });
  if (!read) return read.error();
  for (const sideeffects::Failing& failing : sites) {
    const auto found = kin.find(failing.site);
    if (found != kin.end()) found->second.above = outages_above(failing, parents, *newest);
  }
  std::vector<SiteKin> out;
  out.reserve(kin.size());
  for (auto& [site, one] : kin) out.push_back(std::move(one));
  return out;
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
      if (!query.is_null(2)) next.push_back(site);
    }
  }
  return std::min(count, limit);
}

}  // namespace watchwheel::db
