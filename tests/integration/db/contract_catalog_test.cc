// SPDX-License-Identifier: Apache-2.0
// The site list as people edit it.
#include "contract.h"

namespace watchwheel::db::contract {
namespace {

using core::ErrorKind;
using core::SiteId;
using namespace std::chrono_literals;

core::SiteRecord full_record() {
  core::SiteRecord record = site(
      "https://b\xC3\xBC"
      "cher.example/?q=\"x\"");
  record.interval = 90s;
  record.active = false;
  record.name =
      "B\xC3\xBC"
      "cher \"and\" more";
  record.tags = {"prod", "eu", "\xF0\x9F\x98\x80"};
  record.options = {{"body", "a\nb"}, {"header", "X-A: 1\nX-B: 2"}, {"timeout", "20s"}};
  return record;
}

TEST_P(StoreContract, ARecordComesBackAsItWasGiven) {
  core::SiteRecord given = full_record();
  std::vector<SiteId> ids;
  const UpsertCounts counts = take(catalog->upsert(std::span(&given, 1), &ids));
  EXPECT_EQ(counts.added, 1U);
  ASSERT_EQ(ids.size(), 1U);
  given.id = ids[0];
  EXPECT_EQ(view(ids[0]).record, given);
  EXPECT_EQ(take(feed->load(SiteId{}, 10)).sites.at(0).record, given);
}

TEST_P(StoreContract, ASiteIsFoundAgainByItsUrl) {
  const auto ids = add_sites(3);
  std::vector<core::SiteRecord> again{site("https://site-2.example/"),
                                      site("https://site-4.example/"),
                                      site("https://site-3.example/")};
  again[2].interval = 30s;
  std::vector<SiteId> found;
  const UpsertCounts counts = take(catalog->upsert(again, &found));
  EXPECT_EQ(counts.unchanged, 1U);
  EXPECT_EQ(counts.added, 1U);
  EXPECT_EQ(counts.changed, 1U);
  EXPECT_EQ(found[0], ids[1]);
  EXPECT_EQ(found[2], ids[2]);
  EXPECT_EQ(take(catalog->count()), 4U);
  EXPECT_EQ(take(catalog->find_url("https://site-2.example/")), std::vector{ids[1]});
  EXPECT_TRUE(take(catalog->find_url("https://site-2.example")).empty());
}

TEST_P(StoreContract, TheSameUrlTwiceInOneListIsOneSite) {
  const std::vector<core::SiteRecord> twice{site("https://a.example/"), site("https://a.example/")};
  std::vector<SiteId> ids;
  const UpsertCounts counts = take(catalog->upsert(twice, &ids));
  EXPECT_EQ(counts.added, 1U);
  EXPECT_EQ(counts.unchanged, 1U);
  EXPECT_EQ(ids[0], ids[1]);
}

TEST_P(StoreContract, AGivenIdIsKeptAndLaterIdsAreAboveIt) {
  core::SiteRecord given = site("https://a.example/");
  given.id = SiteId{1000};
  std::vector<SiteId> ids;
  (void)take(catalog->upsert(std::span(&given, 1), &ids));
  EXPECT_EQ(ids[0], SiteId{1000});
  const core::SiteRecord next = site("https://b.example/");
  (void)take(catalog->upsert(std::span(&next, 1), &ids));
  EXPECT_GT(ids[0], SiteId{1000});
}

TEST_P(StoreContract, OneUrlMayBeTwoSitesByTheirIds) {
  std::vector<core::SiteRecord> both{site("https://a.example/"), site("https://a.example/")};
  both[0].id = SiteId{5};
  both[1].id = SiteId{6};
  EXPECT_EQ(take(catalog->upsert(both)).added, 2U);
  EXPECT_EQ(take(catalog->find_url("https://a.example/")), (std::vector{SiteId{5}, SiteId{6}}));
}

TEST_P(StoreContract, AListWithOneUnfitRecordIsRefusedWholeByName) {
  std::vector<core::SiteRecord> records{site("https://a.example/"), site("https://b.example/"),
                                        site("https://c.example/")};
  records[1].name = "M\xFCller";
  const auto refused = catalog->upsert(records);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_error(refused.error(), ErrorKind::Invalid,
                       "record 2 (https://b.example/): the name is not UTF-8"));
  EXPECT_EQ(take(catalog->count()), 0U);
}

TEST_P(StoreContract, ALongUrlIsASiteLikeAnyOther) {
  const std::string same(core::kUrlBytesMax - 30, 'x');
  std::vector<core::SiteRecord> records{site("https://a.example/" + same + "1"),
                                        site("https://a.example/" + same + "2")};
  std::vector<SiteId> ids;
  (void)take(catalog->upsert(records, &ids));
  EXPECT_NE(ids[0], ids[1]);
  EXPECT_EQ(take(catalog->find_url(records[1].url)), std::vector{ids[1]});
}

TEST_P(StoreContract, PauseAndRemoveCountWhatChanged) {
  const auto ids = add_sites(3);
  EXPECT_EQ(take(catalog->set_active(ids, false)), 3U);
  EXPECT_EQ(take(catalog->set_active(ids, false)), 0U);
  EXPECT_EQ(view(ids[0]).state, core::SiteState::Paused);
  EXPECT_EQ(take(catalog->set_active(std::vector{ids[0], SiteId{999}}, true)), 1U);
  EXPECT_EQ(take(catalog->remove(std::vector{ids[0], ids[1], SiteId{999}})), 2U);
  EXPECT_EQ(take(catalog->remove(ids)), 1U);
  EXPECT_EQ(take(catalog->set_active(ids, true)), 0U);
  EXPECT_EQ(take(catalog->count()), 0U);
}

TEST_P(StoreContract, ARemovedSiteIsNowhereInTheList) {
  const auto ids = add_sites(2);
  (void)take(catalog->remove(std::vector{ids[0]}));
  const auto gone = catalog->get(ids[0]);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::NotFound);
  EXPECT_TRUE(take(catalog->find_url("https://site-1.example/")).empty());
  EXPECT_EQ(take(catalog->list({}, SiteId{}, 10)).size(), 1U);
  EXPECT_EQ(load_all(10).size(), 1U);
}

// Goal: a new site never takes over the history of a removed one. Method: remove the newest, let
// its mark be purged, add again.
TEST_P(StoreContract, AnIdIsNeverGivenAgain) {
  const auto ids = add_sites(2);
  (void)take(catalog->remove(std::vector{ids[1]}));
  under_test->execute("UPDATE sites SET deleted_at = 1 WHERE deleted_at IS NOT NULL");
  (void)take(store->migrate(false));
  ASSERT_EQ(under_test->number("SELECT count(*) FROM sites"), 1);
  const core::SiteRecord again = site("https://site-2.example/");
  std::vector<SiteId> fresh;
  (void)take(catalog->upsert(std::span(&again, 1), &fresh));
  EXPECT_GT(fresh[0], ids[1]);
}

TEST_P(StoreContract, ARemovedIdThatIsGivenAgainIsASiteWithoutAPast) {
  const auto ids = add_sites(1);
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1000)}));
  ASSERT_EQ(view(ids[0]).state, core::SiteState::Up);
  (void)take(catalog->remove(ids));
  core::SiteRecord again = site("https://site-1.example/");
  again.id = ids[0];
  EXPECT_EQ(take(catalog->upsert(std::span(&again, 1))).added, 1U);
  EXPECT_EQ(view(ids[0]).state, std::nullopt);
  EXPECT_EQ(view(ids[0]).checked_at, core::kNoWallTime);
}

TEST_P(StoreContract, WhatWasMeasuredOfAnotherUrlIsForgotten) {
  const auto ids = add_sites(1);
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1000)}));
  core::SiteRecord moved = view(ids[0]).record;
  moved.interval = 30s;
  (void)take(catalog->upsert(std::span(&moved, 1)));
  EXPECT_EQ(view(ids[0]).state, core::SiteState::Up);
  moved.url = "https://elsewhere.example/";
  EXPECT_EQ(take(catalog->upsert(std::span(&moved, 1))).changed, 1U);
  EXPECT_EQ(view(ids[0]).state, std::nullopt);
  EXPECT_EQ(take(catalog->find_url("https://elsewhere.example/")), ids);
  EXPECT_TRUE(take(catalog->find_url("https://site-1.example/")).empty());
}

// Goal: nobody is told that a URL is down that was never asked, because the one before it was; whoever edited it.
TEST_P(StoreContract, WhatIsOpenOfAnotherUrlSaysNothingOfThisOne) {
  const auto ids = add_sites(1);
  commit(opened(ids[0], 1000));
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1000)}));
  ASSERT_EQ(view(ids[0]).state, core::SiteState::SeemsDown);
  core::SiteRecord moved = view(ids[0]).record;
  moved.url = "https://elsewhere.example/";
  (void)take(catalog->upsert(std::span(&moved, 1)));
  EXPECT_EQ(view(ids[0]).state, core::SiteState::Unknown);
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 2000)}));
  EXPECT_EQ(view(ids[0]).state, core::SiteState::SeemsDown);
  under_test->execute("UPDATE sites SET url = 'https://third.example/' WHERE id = " +
                      std::to_string(ids[0].value));
  EXPECT_EQ(view(ids[0]).state, core::SiteState::Unknown);
  EXPECT_EQ(view(ids[0]).checked_at, core::kNoWallTime);
  EXPECT_EQ(take(feed->changes({}, 10)).size(), 1U) << "the edit is seen";
}

TEST_P(StoreContract, TheListIsPagedById) {
  const auto ids = add_sites(7);
  std::vector<SiteId> seen;
  SiteId after;
  for (int page = 0; page < 10; ++page) {
    const auto views = take(catalog->list({}, after, 3));
    if (views.empty()) break;
    for (const SiteView& one : views) seen.push_back(one.record.id);
    after = seen.back();
  }
  EXPECT_EQ(seen, ids);
}

TEST_P(StoreContract, TheListIsFilteredByTagStateAndUrl) {
  std::vector<core::SiteRecord> records{site("https://a.example/"), site("https://b.example/"),
                                        site("https://c.test/")};
  records[0].tags = {"prod", "eu"};
  records[1].tags = {"production"};
  records[2].active = false;
  std::vector<SiteId> ids;
  (void)take(catalog->upsert(records, &ids));
  ASSERT_TRUE(freshness->write(
      std::vector{measured(ids[0], 1000), measured(ids[1], 1000), measured(ids[2], 1000)}));
  commit(opened(ids[1], 0));

  const auto found = [&](const SiteFilter& filter) {
    std::vector<SiteId> got;
    for (const SiteView& one : take(catalog->list(filter, SiteId{}, 10)))
      got.push_back(one.record.id);
    return got;
  };
  EXPECT_EQ(found({.tag = "prod", .state = {}, .url_contains = {}}), std::vector{ids[0]});
  EXPECT_EQ(found({.tag = "p", .state = {}, .url_contains = {}}), std::vector<SiteId>{});
  EXPECT_EQ(found({.tag = {}, .state = core::SiteState::Up, .url_contains = {}}),
            std::vector{ids[0]});
  EXPECT_EQ(found({.tag = {}, .state = core::SiteState::SeemsDown, .url_contains = {}}),
            std::vector{ids[1]});
  EXPECT_EQ(found({.tag = {}, .state = core::SiteState::Paused, .url_contains = {}}),
            std::vector{ids[2]});
  EXPECT_EQ(found({.tag = {}, .state = {}, .url_contains = ".example"}),
            (std::vector{ids[0], ids[1]}));
  EXPECT_EQ(found({.tag = {}, .state = {}, .url_contains = "%"}), std::vector<SiteId>{});
  EXPECT_EQ(found({.tag = "eu", .state = {}, .url_contains = "b."}), std::vector<SiteId>{});
}

TEST_P(StoreContract, AViewTellsTheOpenEvent) {
  const auto ids = add_sites(1);
  EXPECT_EQ(view(ids[0]).open_event, core::EventId{});
  commit(opened(ids[0], 5000));
  const SiteView seen = view(ids[0]);
  EXPECT_EQ(seen.state, core::SiteState::SeemsDown);
  EXPECT_EQ(seen.state_since, at(5000));
  EXPECT_EQ(seen.open_event, incident_of(ids[0]).id);
}

}  // namespace
}  // namespace watchwheel::db::contract
