// SPDX-License-Identifier: Apache-2.0
// The site list as an engine takes it over, and the changes that follow.
#include "contract.h"

namespace watchwheel::db::contract {
namespace {

using core::ChangeSeq;
using core::SiteId;
using namespace std::chrono_literals;

TEST_P(StoreContract, AllSitesAreLoadedInOrderWhateverThePage) {
  const auto ids = add_sites(10);
  (void)take(catalog->set_active(std::vector{ids[3]}, false));
  for (const std::size_t limit : {1U, 3U, 5U, 10U, 100U}) {
    const auto all = load_all(limit);
    ASSERT_EQ(all.size(), 10U) << limit;
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i].record.id, ids[i]);
      EXPECT_EQ(all[i].record.active, i != 3);
    }
  }
}

TEST_P(StoreContract, UrlsComeLikeTheSitesThatHaveThem) {
  const auto ids = add_sites(10);
  (void)take(catalog->remove(std::vector{ids[4]}));
  std::vector<SiteId> seen;
  SiteId after;
  for (int page = 0; page < 20; ++page) {
    const auto urls = take(feed->urls(after, 4));
    EXPECT_LE(urls.size(), 4U);
    for (const SiteUrl& site : urls) {
      seen.push_back(site.id);
      EXPECT_EQ(site.url, view(site.id).record.url);
    }
    if (urls.size() < 4) break;
    after = urls.back().id;
  }
  auto expected = ids;
  expected.erase(expected.begin() + 4);
  EXPECT_EQ(seen, expected);
}

// Goal: another program edits the list with plain SQL that knows nothing of change sequences, and a daemon sees each edit; its own
// edits go on afterwards.
TEST_P(StoreContract, EditsByAnotherProgramAreChangesToo) {
  const auto ids = add_sites(6);
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1234), measured(ids[1], 1234)}));
  ChangeSeq seen = take(feed->newest_change());
  const auto id = [&](std::size_t i) { return std::to_string(ids[i].value); };
  under_test->execute("UPDATE sites SET url = 'http://elsewhere.example/' WHERE id = " + id(0));
  under_test->execute("UPDATE sites SET interval_ms = 30000 WHERE id IN (" + id(1) + ", " + id(2) +
                      ")");
  under_test->execute("UPDATE sites SET active = 0 WHERE id = " + id(3));
  under_test->foreign_remove("id >= " + id(4));
  under_test->foreign_insert("http://theirs.example/");

  const auto changes = take(feed->changes(seen, 100));
  ASSERT_EQ(changes.size(), 7U);
  EXPECT_EQ(changes[0].known.record.url, "http://elsewhere.example/");
  EXPECT_EQ(changes[0].known.last_checked_at, core::kNoWallTime) << "measured of another URL";
  EXPECT_EQ(changes[1].known.record.id, ids[1]);
  EXPECT_EQ(changes[1].known.record.interval, core::Duration{30s});
  EXPECT_EQ(changes[1].known.last_checked_at, at(1234));
  EXPECT_EQ(changes[2].known.record.id, ids[2]);
  EXPECT_FALSE(changes[3].known.record.active);
  EXPECT_TRUE(changes[4].removed);
  EXPECT_EQ(changes[4].known.record.id, ids[4]);
  EXPECT_TRUE(changes[5].removed);
  EXPECT_EQ(changes[6].known.record.url, "http://theirs.example/");
  EXPECT_FALSE(changes[6].removed);
  EXPECT_EQ(load_all(100).size(), 5U);

  seen = changes.back().seq;
  EXPECT_EQ(seen, take(feed->newest_change()));
  (void)take(catalog->set_active(std::vector{ids[3]}, true));
  under_test->execute("UPDATE sites SET name = 'theirs' WHERE id = " + id(2));
  const auto later = take(feed->changes(seen, 100));
  ASSERT_EQ(later.size(), 2U);
  EXPECT_EQ(later[0].known.record.id, ids[3]);
  EXPECT_EQ(later[1].known.record.id, ids[2]);
}

TEST_P(StoreContract, AnEmptyStoreIsOneLastPage) {
  const SitePage page = take(feed->load(SiteId{}, 10));
  EXPECT_TRUE(page.last);
  EXPECT_TRUE(page.sites.empty());
  EXPECT_TRUE(take(feed->changes(take(feed->newest_change()), 10)).empty());
}

TEST_P(StoreContract, ALoadedSiteBringsWhatIsKnownOfIt) {
  const auto ids = add_sites(3);
  commit(opened(ids[1], 0));
  commit(confirmed(ids[1], 0));
  commit(whole_story(ids[2], 0));
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1234)}));

  const auto all = load_all(10);
  EXPECT_EQ(all[0].last_checked_at, at(1234));
  EXPECT_FALSE(all[0].open_event);
  ASSERT_TRUE(all[1].open_event);
  EXPECT_EQ(*all[1].open_event, (core::OpenEvent{.id = incident_of(ids[1]).id,
                                                 .state = core::SiteState::Down,
                                                 .started_at = at(0),
                                                 .confirmed_at = at(2000),
                                                 .failures = 3,
                                                 .cause = core::Cause::HttpStatus}));
  EXPECT_EQ(all[1].last_checked_at, core::kNoWallTime);
  EXPECT_FALSE(all[2].open_event);
}

TEST_P(StoreContract, ChangesComeInTheirOrderAndOnce) {
  const ChangeSeq start = take(feed->newest_change());
  const auto ids = add_sites(3);
  (void)take(catalog->set_active(std::vector{ids[0]}, false));
  const auto changes = take(feed->changes(start, 100));
  // Site 1 changed twice: it comes once, as it is now, in the place of its last change.
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_EQ(changes[0].known.record.id, ids[1]);
  EXPECT_EQ(changes[1].known.record.id, ids[2]);
  EXPECT_EQ(changes[2].known.record.id, ids[0]);
  EXPECT_FALSE(changes[2].known.record.active);
  EXPECT_LT(changes[0].seq, changes[1].seq);
  EXPECT_LT(changes[1].seq, changes[2].seq);
  EXPECT_EQ(changes[2].seq, take(feed->newest_change()));
  EXPECT_TRUE(take(feed->changes(changes[2].seq, 100)).empty());
}

TEST_P(StoreContract, ChangesInPagesAreTheSameChanges) {
  const ChangeSeq start = take(feed->newest_change());
  const auto ids = add_sites(10);
  std::vector<SiteId> seen;
  ChangeSeq after = start;
  for (int page = 0; page < 20; ++page) {
    const auto changes = take(feed->changes(after, 3));
    if (changes.empty()) break;
    EXPECT_LE(changes.size(), 3U);
    for (const SiteChange& change : changes) seen.push_back(change.known.record.id);
    after = changes.back().seq;
  }
  EXPECT_EQ(seen, ids);
}

TEST_P(StoreContract, WhatChangesNothingIsNoChange) {
  const auto ids = add_sites(2);
  const ChangeSeq before = take(feed->newest_change());
  (void)add_sites(2);
  (void)take(catalog->set_active(ids, true));
  (void)take(catalog->remove(std::vector{SiteId{999}}));
  commit(opened(ids[0], 0));
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1)}));
  EXPECT_EQ(take(feed->newest_change()), before);
}

TEST_P(StoreContract, ARemovalIsAChangeThatStillTellsTheOpenEvent) {
  const auto ids = add_sites(2);
  commit(opened(ids[0], 0));
  const ChangeSeq start = take(feed->newest_change());
  (void)take(catalog->remove(ids));
  const auto changes = take(feed->changes(start, 10));
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_TRUE(changes[0].removed);
  EXPECT_EQ(changes[0].known.record.id, ids[0]);
  EXPECT_TRUE(changes[0].known.open_event);
  EXPECT_TRUE(changes[1].removed);
  EXPECT_FALSE(changes[1].known.open_event);
}

// Goal: one row that another program spoiled costs that site only. Method: spoil the options of one and the open event of
// another among four; load, follow changes, ask for removed ones.
TEST_P(StoreContract, ASpoiledRowComesWithItsProblemAndHoldsUpNobody) {
  const auto ids = add_sites(4);
  commit(opened(ids[2], 0));
  under_test->execute("UPDATE sites SET options = '{\"timeout\": 7}' WHERE id = " +
                      std::to_string(ids[1].value));
  under_test->execute("UPDATE events SET cause = 'moon_phase' WHERE site_id = " +
                      std::to_string(ids[2].value));

  const SitePage page = take(feed->load(SiteId{}, 10));
  ASSERT_EQ(page.sites.size(), 4U);
  EXPECT_EQ(page.sites[0].problem, "");
  EXPECT_NE(page.sites[1].problem.find("site " + std::to_string(ids[1].value)), std::string::npos)
      << page.sites[1].problem;
  EXPECT_EQ(page.sites[1].record.id, ids[1]);
  EXPECT_EQ(page.sites[1].record.url, "https://site-2.example/");
  EXPECT_NE(page.sites[2].problem.find("moon_phase"), std::string::npos) << page.sites[2].problem;
  EXPECT_EQ(page.sites[2].record.id, ids[2]);
  EXPECT_FALSE(page.sites[2].open_event);
  EXPECT_EQ(page.sites[3].problem, "");

  EXPECT_TRUE(page.sites[1].record.active);
  under_test->execute("UPDATE sites SET active = 0 WHERE id = " + std::to_string(ids[1].value));

  const auto changes = take(feed->changes(ChangeSeq{}, 10));
  ASSERT_EQ(changes.size(), 4U);
  // Edited last, so it comes last.
  EXPECT_EQ(changes[3].known.record.id, ids[1]);
  EXPECT_NE(changes[3].known.problem, "");
  EXPECT_FALSE(changes[3].known.record.active) << "a pause is read though the options are not";

  (void)take(catalog->remove(std::vector{ids[2]}));
  const auto removed = take(feed->removed_with_open_event(10));
  ASSERT_EQ(removed.size(), 1U);
  EXPECT_NE(removed[0].problem, "");
}

TEST_P(StoreContract, ASiteThatCameBackIsNotRemoved) {
  const auto ids = add_sites(1);
  const ChangeSeq start = take(feed->newest_change());
  (void)take(catalog->remove(ids));
  core::SiteRecord again = site("https://site-1.example/");
  again.id = ids[0];
  (void)take(catalog->upsert(std::span(&again, 1)));
  const auto changes = take(feed->changes(start, 10));
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_FALSE(changes[0].removed);
}

// Goal: the event of a site that was removed while no engine ran can still be closed, even when its
// row is gone too.
TEST_P(StoreContract, ARemovedSiteWithAnOpenEventIsToldUntilItIsClosed) {
  const auto ids = add_sites(4);
  for (std::size_t i = 0; i < 3; ++i) commit(opened(ids[i], 0));
  const SiteId never_listed{12345};
  commit(opened(never_listed, 0));
  (void)take(catalog->remove(std::vector{ids[0], ids[1], ids[3]}));

  const auto removed = take(feed->removed_with_open_event(10));
  ASSERT_EQ(removed.size(), 3U);
  EXPECT_EQ(removed[0].record.id, ids[0]);
  EXPECT_EQ(removed[0].record.url, "https://site-1.example/");
  EXPECT_EQ(removed[0].open_event.value().started_at, at(0));
  EXPECT_EQ(removed[2].record.id, never_listed);
  EXPECT_EQ(take(feed->removed_with_open_event(1)).size(), 1U);
  EXPECT_EQ(take(feed->removed_with_open_event(1, ids[0])).at(0).record.id, ids[1]);

  commit(whole_story(ids[0], 0));
  EXPECT_EQ(take(feed->removed_with_open_event(10)).size(), 2U);
}

// Goal: another program that deletes twice before a daemon has looked does not hide the removal.
TEST_P(StoreContract, AMarkThatNoDaemonMayHaveSeenCannotBeDeleted) {
  const auto ids = add_sites(2);
  commit(opened(ids[0], 0));
  (void)take(catalog->remove(std::vector{ids[1]}));
  const ChangeSeq seen = take(feed->newest_change());
  under_test->foreign_remove("id = " + std::to_string(ids[0].value));
  under_test->foreign_remove_marks();
  const auto changes = take(feed->changes(seen, 100));
  ASSERT_EQ(changes.size(), 1U) << "a mark that stays is no news either";
  EXPECT_TRUE(changes[0].removed);
  EXPECT_EQ(changes[0].known.record.id, ids[0]);
  EXPECT_TRUE(changes[0].known.open_event);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM sites WHERE deleted_at IS NOT NULL"), 2);
  under_test->execute("UPDATE sites SET deleted_at = 1700000000000 WHERE id = " +
                      std::to_string(ids[1].value));
  under_test->execute("DELETE FROM sites WHERE id = " + std::to_string(ids[1].value));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM sites"), 1);
}

TEST_P(StoreContract, MarksOfRemovedSitesArePurgedOnlyWhenOldAndClosed) {
  const auto ids = add_sites(4);
  commit(opened(ids[1], 0));
  (void)take(catalog->remove(std::vector{ids[0], ids[1], ids[2]}));
  under_test->execute("UPDATE sites SET deleted_at = 1 WHERE id <> " +
                      std::to_string(ids[2].value) + " AND deleted_at IS NOT NULL");
  (void)take(store->migrate(false));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM sites WHERE deleted_at IS NOT NULL"), 2);
  commit(whole_story(ids[1], 0));
  (void)take(catalog->remove(std::vector{ids[3]}));  // A later removal purges too.
  EXPECT_EQ(under_test->number("SELECT count(*) FROM sites WHERE deleted_at IS NOT NULL"), 2);
  EXPECT_EQ(
      under_test->number("SELECT count(*) FROM sites WHERE id = " + std::to_string(ids[1].value)),
      0);
}

}  // namespace
}  // namespace watchwheel::db::contract
