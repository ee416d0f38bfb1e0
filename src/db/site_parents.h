// SPDX-License-Identifier: Apache-2.0
// db/site_parents.h - which sites depend on which (table site_parents), as people edit it and as the router reads it.
//
// Owns     a session with the store.
// Thread   one at a time. Calls block, and each is one short transaction.
// Bounded  sideeffects::kParentsMax parents of a site, kSitesAboveMax sites above one.
// Fails    core::Error. set(): Invalid, naming the site, what is wrong with its parents and what would be right; nothing is done then.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/ids.h"
#include "core/result.h"
#include "db/sql.h"
#include "sideeffects/parents_api.h"

namespace watchwheel::db {

// A site and all its parents, sorted; none: it depends on nobody.
struct Parentage {
  core::SiteId site;
  std::vector<core::SiteId> parents;
  friend bool operator==(const Parentage&, const Parentage&) = default;
};

class SiteParents final : public sideeffects::ParentStore {
 public:
  explicit SiteParents(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  // Replaces the parents of each, all in one transaction; how many had others before. A site may be named once.
  [[nodiscard]] core::Result<std::uint64_t> set(std::span<const Parentage> sites) {
    return replace(sites, true);
  }
  // What set() would say now; nothing is done.
  [[nodiscard]] core::Result<std::uint64_t> would_set(std::span<const Parentage> sites) {
    return replace(sites, false);
  }
  // The sites above `after` up to `last` that have any, by id. Parents that were removed are left out.
  [[nodiscard]] core::Result<std::vector<Parentage>> list(core::SiteId after, core::SiteId last);

  [[nodiscard]] core::Result<bool> any() override;
  [[nodiscard]] core::Result<std::vector<sideeffects::SiteKin>> kin(
      std::span<const sideeffects::Failing> sites) override;
  [[nodiscard]] core::Result<std::uint64_t> below(core::SiteId parent,
                                                  std::uint64_t limit) override;

 private:
  // Of each that has any, sorted.
  using Edges = std::map<core::SiteId, std::vector<core::SiteId>>;

  [[nodiscard]] core::Result<std::uint64_t> replace(std::span<const Parentage> sites, bool keep);
  [[nodiscard]] core::Result<void> replace(const Parentage& wanted);
  [[nodiscard]] core::Result<std::vector<core::SiteId>> parents_of(core::SiteId site);
  // Those of `wanted` that have others now, with their parents in order and each once.
  [[nodiscard]] core::Result<std::vector<Parentage>> other(std::span<const Parentage> wanted);
  [[nodiscard]] core::Result<void> refuse_circle(core::SiteId site);
  // Adds the parents of each of `sites` to `edges`.
  [[nodiscard]] core::Result<void> read_edges(std::span<const std::int64_t> sites, Edges& edges);
  [[nodiscard]] core::Result<std::multimap<core::SiteId, sideeffects::ParentOutage>> newest_outages(
      std::span<const std::int64_t> sites);

  std::unique_ptr<Connection> connection_;
};

// What the router asks, for the test that holds each to an index.
[[nodiscard]] std::vector<Sql> site_parents_queries();

}  // namespace watchwheel::db
