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

TEST_P(DeliveryContract, TheOutagesAboveASiteAreTheNewestOfEach) {
  const auto ids = add_sites(4);
  const auto parents = take(store->make_site_parents());
  const std::vector<Parentage> chain{of(ids[1], {ids[0]}), of(ids[2], {ids[1]})};
  (void)take(parents->set(chain));
  EXPECT_TRUE(take(parents->above(ids[2], at(0))).empty());
  commit(opened(ids[0], 1000));
  commit(opened(ids[3], 1000));
  const auto open = take(parents->above(ids[2], at(0)));
  ASSERT_EQ(open.size(), 1U) << "of its parent's parent, and not of a stranger";
  EXPECT_EQ(open[0].parent, ids[0]);
  EXPECT_EQ(open[0].ended_at, core::kNoWallTime);
  EXPECT_TRUE(take(parents->above(ids[0], at(0))).empty()) << "it is not above itself";
  under_test->execute("UPDATE events SET state = 'closed', ended_at = " +
                      std::to_string(core::to_unix_ms(at(5000))) +
                      " WHERE site_id = " + std::to_string(ids[0].value));
  EXPECT_EQ(take(parents->above(ids[2], at(5000))).size(), 1U);
  EXPECT_TRUE(take(parents->above(ids[2], at(5001))).empty());

  EXPECT_FALSE(take(parents->interval_of(ids[0])));
  core::SiteRecord record = view(ids[0]).record;
  record.interval = 90s;
  (void)take(catalog->upsert(std::span(&record, 1)));
  EXPECT_EQ(take(parents->interval_of(ids[0])), 90s);
}

}  // namespace
}  // namespace watchwheel::db::contract
