// SPDX-License-Identifier: Apache-2.0
// Which sites depend on which: kept as given, circles and strangers refused, and what the router asks for.
#include "contract.h"
#include "db/site_parents.h"

namespace watchwheel::db::contract {
namespace {

using core::ErrorKind;
using core::SiteId;
using namespace std::chrono_literals;

Parentage of(SiteId site, std::vector<SiteId> parents) {
  return {.site = site, .parents = std::move(parents)};
}

TEST_P(DeliveryContract, ParentsAreKeptReplacedAndTakenAway) {
  const auto ids = add_sites(4);
  const auto parents = take(store->make_site_parents());
  EXPECT_FALSE(take(parents->any()));
  const std::vector<Parentage> given{of(ids[2], {ids[0], ids[1]}), of(ids[3], {ids[2]})};
  EXPECT_EQ(take(parents->set(given)), 2U);
  EXPECT_EQ(take(parents->set(given)), 0U) << "it was so already";
  EXPECT_TRUE(take(parents->any()));
  EXPECT_EQ(take(parents->list(SiteId{}, ids[3])), given);
  EXPECT_EQ(take(parents->list(ids[2], ids[3])), std::vector{given[1]});
  EXPECT_EQ(take(parents->below(ids[0], 100)), 2U);
  EXPECT_EQ(take(parents->below(ids[0], 1)), 1U);
  EXPECT_EQ(take(parents->below(ids[3], 100)), 0U);

  const Parentage other = of(ids[2], {ids[1]});
  EXPECT_EQ(take(parents->set({&other, 1})), 1U);
  EXPECT_EQ(take(parents->below(ids[0], 100)), 0U);
  // Who is removed depends on nobody, and nobody on them.
  EXPECT_EQ(take(catalog->remove(std::vector{ids[2]})), 1U);
  EXPECT_TRUE(take(parents->list(SiteId{}, ids[3])).empty());
  EXPECT_FALSE(take(parents->any()));
}

TEST_P(DeliveryContract, CirclesAndUnknownParentsAreRefusedWhole) {
  const auto ids = add_sites(4);
  const auto parents = take(store->make_site_parents());
  const std::vector<Parentage> chain{of(ids[1], {ids[0]}), of(ids[2], {ids[1]})};
  (void)take(parents->set(chain));
  const auto text = [](SiteId id) { return std::to_string(id.value); };
  const std::vector<std::pair<Parentage, std::string>> wrong{
      {of(ids[0], {ids[2]}), "site " + text(ids[0]) + " would depend on " + text(ids[2]) +
                                 ", that on " + text(ids[1]) + ", that on " + text(ids[0])},
      {of(ids[3], {ids[3]}), "its own parent"},
      {of(ids[3], {ids[0], SiteId{4711}}), "no site 4711"}};
  for (const auto& [one, words] : wrong) {
    const auto refused = parents->set({&one, 1});
    ASSERT_FALSE(refused) << words;
    EXPECT_TRUE(is_error(refused.error(), ErrorKind::Invalid, words)) << refused.error().message;
    EXPECT_TRUE(is_error(refused.error(), ErrorKind::Invalid, "site " + text(one.site)));
    EXPECT_EQ(take(parents->list(SiteId{}, ids[3])), chain);
  }
  // Two halves of a circle in one call.
  const std::vector<Parentage> halves{of(ids[3], {ids[2]}), of(ids[0], {ids[3]})};
  EXPECT_FALSE(parents->set(halves));
  EXPECT_EQ(take(parents->list(SiteId{}, ids[3])), chain);
}

// What `parents` says is above a site that fails since then.
std::vector<sideeffects::ParentOutage> above(SiteParents& parents, SiteId site,
                                             core::WallTime since) {
  const sideeffects::Failing failing{.site = site, .since = since};
  const auto kin = take(parents.kin({&failing, 1}));
  return kin.empty() ? std::vector<sideeffects::ParentOutage>{} : kin.front().above;
}

TEST_P(DeliveryContract, TheOutagesAboveASiteAreTheNewestOfEach) {
  const auto ids = add_sites(4);
  const auto parents = take(store->make_site_parents());
  const std::vector<Parentage> chain{of(ids[1], {ids[0]}), of(ids[2], {ids[1]})};
  (void)take(parents->set(chain));
  EXPECT_TRUE(above(*parents, ids[2], at(0)).empty());
  commit(opened(ids[0], 1000));
  commit(opened(ids[3], 1000));
  const auto open = above(*parents, ids[2], at(0));
  ASSERT_EQ(open.size(), 1U) << "of its parent's parent, and not of a stranger";
  EXPECT_EQ(open[0].parent, ids[0]);
  EXPECT_EQ(open[0].ended_at, core::kNoWallTime);
  EXPECT_TRUE(above(*parents, ids[0], at(0)).empty()) << "it is not above itself";
  under_test->execute("UPDATE events SET state = 'closed', ended_at = " +
                      std::to_string(core::to_unix_ms(at(5000))) +
                      " WHERE site_id = " + std::to_string(ids[0].value));
  EXPECT_EQ(above(*parents, ids[2], at(5000)).size(), 1U);
  EXPECT_TRUE(above(*parents, ids[2], at(5001)).empty());
  commit(opened(ids[0], 9000));
  EXPECT_EQ(above(*parents, ids[2], at(5000)).size(), 1U) << "the newest";
  EXPECT_EQ(above(*parents, ids[2], at(5000))[0].started_at, at(9000));
}

// What only seemed down hides no outage that was over a moment before it.
TEST_P(DeliveryContract, TheNewestConfirmedOutageAboveASiteIsNamedToo) {
  const auto ids = add_sites(2);
  const auto parents = take(store->make_site_parents());
  const Parentage edge = of(ids[1], {ids[0]});
  (void)take(parents->set({&edge, 1}));
  const auto ended = [&](int ms) {
    return " ended_at = " + std::to_string(core::to_unix_ms(at(ms)));
  };
  commit(opened(ids[0], 1000));
  under_test->execute("UPDATE events SET state = 'closed', confirmed_at = started_at," +
                      ended(5000) + " WHERE ended_at IS NULL");
  commit(opened(ids[0], 9000));
  under_test->execute("UPDATE events SET state = 'closed'," + ended(9500) +
                      " WHERE ended_at IS NULL");
  const auto both = above(*parents, ids[1], at(4000));
  ASSERT_EQ(both.size(), 2U);
  EXPECT_NE(both[0].started_at, both[1].started_at);
  const auto one = above(*parents, ids[1], at(6000));
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].confirmed_at, core::kNoWallTime);
}

// More than a statement has places for, of one level, and several levels: each site gets what is its own.
TEST_P(DeliveryContract, ManySitesAreAskedForTogether) {
  constexpr std::size_t kLeaves = 120;
  const auto ids = add_sites(kLeaves + 4);
  const SiteId root = ids[kLeaves];
  const SiteId middle = ids[kLeaves + 1];
  const SiteId other = ids[kLeaves + 2];
  const SiteId stranger = ids[kLeaves + 3];
  const auto parents = take(store->make_site_parents());
  std::vector<Parentage> all{of(middle, {root})};
  for (std::size_t i = 0; i < kLeaves; ++i)
    all.push_back(of(ids[i], {i % 2 == 0 ? middle : other}));
  (void)take(parents->set(all));
  core::SiteRecord record = view(ids[1]).record;
  record.interval = 90s;
  (void)take(catalog->upsert(std::span(&record, 1)));
  commit(opened(root, 1000));
  commit(opened(other, 2000));

  std::vector<sideeffects::Failing> failing{{.site = stranger, .since = at(0)},
                                            {.site = root, .since = at(0)}};
  for (std::size_t i = 0; i < kLeaves; ++i) failing.push_back({.site = ids[i], .since = at(0)});
  const auto kin = take(parents->kin(failing));
  ASSERT_EQ(kin.size(), kLeaves + 1) << "all but the stranger";
  for (const sideeffects::SiteKin& one : kin) {
    EXPECT_EQ(one.is_parent, one.site == root);
    if (one.site == root) {
      EXPECT_TRUE(one.above.empty());
      continue;
    }
    const auto leaf = std::find(ids.begin(), ids.end(), one.site) - ids.begin();
    ASSERT_EQ(one.above.size(), 1U);
    EXPECT_EQ(one.above[0].parent, leaf % 2 == 0 ? root : other);
    EXPECT_EQ(one.interval, leaf == 1 ? std::optional<core::Duration>(90s) : std::nullopt);
  }
  EXPECT_EQ(take(parents->below(root, 1000)), 1 + kLeaves / 2);
}

TEST_P(DeliveryContract, WhatWouldBeRefusedIsKnownBeforehand) {
  const auto ids = add_sites(2);
  const auto parents = take(store->make_site_parents());
  const Parentage fits = of(ids[1], {ids[0]});
  EXPECT_EQ(take(parents->would_set({&fits, 1})), 1U);
  EXPECT_FALSE(take(parents->any())) << "nothing is done";
  EXPECT_EQ(take(parents->set({&fits, 1})), 1U);
  EXPECT_EQ(take(parents->would_set({&fits, 1})), 0U);
  const Parentage circle = of(ids[0], {ids[1]});
  EXPECT_FALSE(parents->would_set({&circle, 1}));
  EXPECT_EQ(take(parents->list(SiteId{}, ids[1])), std::vector{fits});
}

}  // namespace
}  // namespace watchwheel::db::contract
