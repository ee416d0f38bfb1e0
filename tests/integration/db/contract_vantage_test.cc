// SPDX-License-Identifier: Apache-2.0
// Faults of the vantage, and mass outages: stored once, frozen when over, listed as what they are.
#include "contract.h"

namespace watchwheel::db::contract {
namespace {

using core::SiteId;
using sideeffects::VantageEvent;

VantageEvent fault(std::int64_t start) {
  return {.started_at = at(start),
          .ended_at = core::kNoWallTime,
          .reason = "canaries",
          .detail = "3 of 3 canaries failed",
          .withheld = 7};
}

TEST_P(StoreContract, AVantageFaultIsStoredOnceAndFrozenWhenOver) {
  const auto vantage = take(store->make_vantage_store());
  ASSERT_TRUE(vantage->put(fault(1000)));
  VantageEvent later = fault(1000);
  later.withheld = 90;
  ASSERT_TRUE(vantage->put(later));
  auto found = take(incidents->vantage({.open_only = true}, 10));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].event, later);
  later.ended_at = at(9000);
  ASSERT_TRUE(vantage->put(later));
  ASSERT_TRUE(vantage->put(fault(1000))) << "told again, late";
  EXPECT_TRUE(take(incidents->vantage({.open_only = true}, 10)).empty());
  found = take(incidents->vantage({}, 10));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].event, later);
  EXPECT_TRUE(take(incidents->vantage({.since = at(10'000)}, 10)).empty());
}

TEST_P(StoreContract, WhatAProcessLeftOpenIsClosed) {
  const auto vantage = take(store->make_vantage_store());
  EXPECT_EQ(take(vantage->close_open(at(0))), 0U);
  ASSERT_TRUE(vantage->put(fault(1000)));
  EXPECT_EQ(take(vantage->close_open(at(500))), 1U);
  EXPECT_EQ(take(incidents->vantage({}, 10)).at(0).event.ended_at, at(1000))
      << "not before it began";
}

TEST_P(StoreContract, EventsOfAMassOutageAreOne) {
  const auto ids = add_sites(4);
  std::vector<sideeffects::EventWrite> writes;
  for (int i = 0; i < 3; ++i) {
    writes.push_back(opened(ids[static_cast<std::size_t>(i)], i));
    writes.back().group = at(0);
  }
  writes.push_back(opened(ids[3], 7));
  ASSERT_TRUE(events->commit(writes));
  ASSERT_TRUE(events->commit(writes)) << "a replay";
  auto groups = take(incidents->groups({}, 10));
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].started_at, at(0));
  EXPECT_EQ(groups[0].newest_at, writes[2].started_at);
  EXPECT_EQ(groups[0].sites, 3U);
  EXPECT_EQ(groups[0].seems_down, 3U);
  EXPECT_EQ(groups[0].ended_at, core::kNoWallTime);
  EXPECT_EQ(groups[0].cause, core::to_string(writes[0].evidence.cause));
  EXPECT_EQ(take(incidents->list({.group = groups[0].id}, 0, 10)).size(), 3U);
  EXPECT_EQ(take(incidents->list({.group = groups[0].id}, 1, 1)).at(0).site, ids[1])
      << "the newest first";
  EXPECT_TRUE(take(incidents->list({.group = groups[0].id + 1}, 0, 10)).empty());
  EXPECT_TRUE(
      take(incidents->list({.group = groups[0].id, .kind = core::EventKind::TlsExpiring}, 0, 10))
          .empty());
  const auto alone = take(incidents->list({.group = 0}, 0, 10));
  ASSERT_EQ(alone.size(), 1U);
  EXPECT_EQ(alone[0].group, 0U);
  EXPECT_EQ(incident_of(ids[0]).group, groups[0].id);

  // One that joins when it is confirmed, another that ends; neither forgets its group.
  auto joins = confirmed(ids[3], 7);
  joins.group = at(0);
  commit(joins);
  commit(whole_story(ids[0], 0));
  groups = take(incidents->groups({.open_only = true}, 10));
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].sites, 4U);
  EXPECT_EQ(groups[0].down, 1U);
  EXPECT_EQ(groups[0].seems_down, 2U);
  EXPECT_EQ(incident_of(ids[0]).group, groups[0].id);
}

}  // namespace
}  // namespace watchwheel::db::contract
