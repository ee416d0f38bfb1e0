// SPDX-License-Identifier: Apache-2.0
// What a store knows of sites that flap: the wakes that say so, and when confirmed outages began and ended.
#include <algorithm>

#include "contract.h"

namespace watchwheel::db::contract {
namespace {

using core::SiteId;
using sideeffects::FlappingSite;
using sideeffects::SiteChanges;

TEST_P(DeliveryContract, ASiteFlapsAsLongAsItsWakeIsThere) {
  const auto flapping = contract::take(store->make_flapping_store());
  const auto outbox = contract::take(store->make_outbox());
  std::vector<SiteId> ids;
  (void)contract::take(
      catalog->upsert(std::vector{site("https://a.example/"), site("https://b.example/")}, &ids));
  commit(opened(ids.at(0), 1000));
  commit(opened(ids.at(1), 1000));
  const auto all = [&] { return contract::take(outbox->take(100, [](SiteId) { return true; })); };
  const auto notices = all();
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_TRUE(contract::take(flapping->flapping()).empty());
  const core::WallTime since = core::from_unix_ms(1'700'000'000'123);
  const std::vector<sideeffects::NewWake> wakes{
      {.site = notices[0].site,
       .event = notices[0].event,
       .memo = sideeffects::flapping_memo(since)},
      {.site = notices[1].site, .event = notices[1].event, .memo = "digest"}};
  const std::vector<sideeffects::NoticeId> settled{notices[0].id, notices[1].id};
  (void)contract::take(outbox->settle(settled, {}, wakes));
  EXPECT_EQ(contract::take(flapping->flapping()),
            (std::vector<FlappingSite>{
                {.site = notices[0].site, .event = notices[0].event, .since = since}}));
  for (const auto& wake : all()) (void)contract::take(outbox->settle(std::vector{wake.id}, {}, {}));
  EXPECT_TRUE(contract::take(flapping->flapping()).empty());
}

TEST_P(DeliveryContract, ChangesAreThoseOfConfirmedOutages) {
  const auto flapping = contract::take(store->make_flapping_store());
  std::vector<SiteId> ids;
  core::SiteRecord own = site("https://a.example/");
  own.interval = std::chrono::seconds{30};
  (void)contract::take(catalog->upsert(
      std::vector{own, site("https://b.example/"), site("https://c.example/")}, &ids));
  commit(whole_story(ids.at(0), 1000));
  commit(opened(ids.at(0), 200'000));
  commit(confirmed(ids.at(0), 200'000));
  commit(opened(ids.at(1), 1000));  // Only seems down.
  const std::vector<SiteId> asked{ids.at(0), ids.at(1), ids.at(2), SiteId{999'999}};
  const auto of = [&](core::WallTime now) {
    auto all = contract::take(flapping->changes(asked, std::chrono::minutes{1}, now));
    std::sort(all.begin(), all.end(),
              [](const SiteChanges& a, const SiteChanges& b) { return a.site < b.site; });
    for (SiteChanges& one : all) std::sort(one.changes.begin(), one.changes.end());
    return all;
  };
  const auto recent = of(at(300'000));
  ASSERT_EQ(recent.size(), 4U);
  const auto story = whole_story(ids.at(0), 1000);
  EXPECT_EQ(recent[0].changes,
            (std::vector<core::WallTime>{story.confirmed_at, story.ended_at,
                                         confirmed(ids.at(0), 200'000).confirmed_at}));
  EXPECT_EQ(recent[0].interval, std::chrono::seconds{30});
  EXPECT_EQ(recent[0].state, core::SiteState::Down);
  EXPECT_TRUE(recent[1].changes.empty());
  EXPECT_EQ(recent[1].interval, core::Duration{});
  EXPECT_EQ(recent[1].state, core::SiteState::SeemsDown);
  EXPECT_TRUE(recent[2].changes.empty());
  EXPECT_EQ(recent[3].state, core::SiteState::Unknown);
  // What is open is a change however long ago; what is over counts for twenty intervals.
  EXPECT_EQ(of(at(300'000) + std::chrono::hours{1})[0].changes.size(), 1U);
}

TEST_P(DeliveryContract, ChangesOfOutagesThatWereToldAreSaidApart) {
  const auto flapping = contract::take(store->make_flapping_store());
  const auto outbox = contract::take(store->make_outbox());
  std::vector<SiteId> ids;
  (void)contract::take(catalog->upsert(std::vector{site("https://a.example/")}, &ids));
  commit(whole_story(ids.at(0), 1000));
  commit(opened(ids.at(0), 200'000));
  commit(confirmed(ids.at(0), 200'000));
  const auto told = [&] {
    auto all = contract::take(flapping->changes(ids, std::chrono::minutes{5}, at(300'000)));
    EXPECT_EQ(all.at(0).changes.size(), 3U);
    std::sort(all.at(0).told.begin(), all.at(0).told.end());
    return all.at(0).told;
  };
  const auto tell = [&](const std::string& kind, const std::string& which) {
    const auto event = static_cast<std::uint64_t>(
        under_test->number("SELECT id FROM events WHERE ended_at IS " + which));
    const sideeffects::NewDelivery delivery{.target = "ops",
                                            .kind = kind,
                                            .message_id = kind + which,
                                            .line = 1,
                                            .site = ids.at(0),
                                            .body = "{}",
                                            .events = {core::EventId{event}}};
    (void)contract::take(outbox->settle({}, std::vector{delivery}, {}));
  };
  EXPECT_TRUE(told().empty());
  tell("flapping", "NULL");
  EXPECT_TRUE(told().empty()) << "that it flaps is not that it was down";
  const auto story = whole_story(ids.at(0), 1000);
  tell("down", "NOT NULL");
  tell("up", "NOT NULL");
  EXPECT_EQ(told(), (std::vector<core::WallTime>{story.confirmed_at, story.ended_at}));
  under_test->execute("UPDATE delivery_tellings SET state = 'dead'");
  EXPECT_TRUE(told().empty()) << "what was given up nobody has heard of";
}

}  // namespace
}  // namespace watchwheel::db::contract
