// SPDX-License-Identifier: Apache-2.0
// The projector's columns, beside those of the event store: neither may overwrite what the other
// knows.
#include "contract.h"

namespace watchwheel::db::contract {
namespace {

using core::FreshnessMark;
using core::SiteState;
using namespace std::chrono_literals;

TEST_P(StoreContract, AMarkIsStoredWhole) {
  const auto ids = add_sites(1);
  EXPECT_EQ(view(ids[0]).state, std::nullopt);
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1000)}));
  EXPECT_EQ(view(ids[0]).state, SiteState::Up);
  EXPECT_EQ(view(ids[0]).checked_at, at(1000));
  EXPECT_EQ(view(ids[0]).cause, core::Cause::Ok);
  EXPECT_EQ(under_test->number("SELECT http_status FROM site_state"), 200);
  EXPECT_EQ(under_test->number("SELECT total_ms FROM site_state"), 120);
  EXPECT_EQ(under_test->number("SELECT next_due_at FROM site_state"), core::to_unix_ms(at(61'000)));
  EXPECT_EQ(under_test->number("SELECT cert_not_after FROM site_state"),
            core::to_unix_ms(at(86'401'000)));
}

// Goal: another certificate in the place of one is a fact with its time, the first one is not, nor a result without one.
TEST_P(StoreContract, AChangedCertificateIsStoredWithItsTime) {
  const auto ids = add_sites(1);
  const auto seen = [&](std::int64_t when, std::optional<std::uint8_t> certificate) {
    FreshnessMark mark = measured(ids[0], when);
    mark.cert_sha256 = std::nullopt;
    if (certificate) mark.cert_sha256.emplace().fill(*certificate);
    ASSERT_TRUE(freshness->write(std::vector{mark}));
  };
  const auto changed_at = [&] {
    return under_test->number("SELECT coalesce(cert_changed_at, 0) FROM site_state");
  };
  const auto is_stored = [&](const std::string& text) {
    return under_test->number("SELECT cert_sha256 = '" + text + "' FROM site_state") == 1;
  };
  seen(1000, 0x0a);
  EXPECT_EQ(changed_at(), 0);
  seen(2000, 0x0a);
  seen(3000, std::nullopt);
  EXPECT_EQ(changed_at(), 0);
  seen(4000, 0xb0);
  EXPECT_EQ(changed_at(), core::to_unix_ms(at(4000)));
  std::string b0;
  for (int i = 0; i < 32; ++i) b0 += "b0";
  EXPECT_TRUE(is_stored(b0));
  seen(5000, 0xb0);
  EXPECT_EQ(changed_at(), core::to_unix_ms(at(4000)));
}

TEST_P(StoreContract, AnOlderMarkChangesNothing) {
  const auto ids = add_sites(1);
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 2000)}));
  FreshnessMark older = measured(ids[0], 1999);
  older.cause = core::Cause::HttpStatus;
  FreshnessMark never = measured(ids[0], 0);
  never.checked_at = core::kNoWallTime;
  never.cause = core::Cause::HttpStatus;
  ASSERT_TRUE(freshness->write(std::vector{older}));
  ASSERT_TRUE(freshness->write(std::vector{never}));
  EXPECT_EQ(view(ids[0]).checked_at, at(2000));
  EXPECT_EQ(view(ids[0]).cause, core::Cause::Ok);
}

// Goal: a site that cannot be measured any more is unknown, even when its lane knows of no check (its URL is another since) or
// takes the last one for a moment older than it was stored (the wall clock was set back); not when somebody measured it since.
TEST_P(StoreContract, AMarkThatSaysUnknownHoldsUntilItWasMade) {
  const auto ids = add_sites(1);
  FreshnessMark seen = measured(ids[0], 2000);
  seen.cert_sha256.emplace().fill(7);
  ASSERT_TRUE(freshness->write(std::vector{seen}));

  FreshnessMark unknown = measured(ids[0], 1990);
  unknown.measured = false;
  unknown.cert_not_after = core::kNoWallTime;
  unknown.made_at = at(1999);
  ASSERT_TRUE(freshness->write(std::vector{unknown}));
  EXPECT_EQ(view(ids[0]).state, SiteState::Up) << "measured since";
  unknown.made_at = at(60'000);
  ASSERT_TRUE(freshness->write(std::vector{unknown}));
  EXPECT_EQ(view(ids[0]).state, SiteState::Unknown);
  EXPECT_EQ(view(ids[0]).checked_at, at(1990));
  EXPECT_EQ(under_test->number("SELECT cert_sha256 IS NOT NULL FROM site_state"), 1);

  ASSERT_TRUE(freshness->write(std::vector{seen}));
  unknown.checked_at = core::kNoWallTime;
  ASSERT_TRUE(freshness->write(std::vector{unknown}));
  EXPECT_EQ(view(ids[0]).state, SiteState::Unknown);
  EXPECT_EQ(view(ids[0]).checked_at, core::kNoWallTime);
  EXPECT_EQ(under_test->number("SELECT cert_sha256 IS NULL AND cert_not_after IS NULL AND "
                               "cert_changed_at IS NULL FROM site_state"),
            1);
}

// Goal: a clock that once ran ahead does not freeze what we say about a site. Method: a mark from a
// year ahead, then one of now.
TEST_P(StoreContract, AMarkFromTheFutureGivesWayToOneOfNow) {
  const auto ids = add_sites(1);
  const core::SystemClock clock;
  FreshnessMark ahead = measured(ids[0], 0);
  ahead.checked_at = clock.wall() + 24h * 365;
  FreshnessMark now = measured(ids[0], 0);
  now.checked_at = core::from_unix_ms(core::to_unix_ms(clock.wall()));
  ASSERT_TRUE(freshness->write(std::vector{ahead}));
  ASSERT_TRUE(freshness->write(std::vector{now}));
  EXPECT_EQ(view(ids[0]).checked_at, now.checked_at);
}

TEST_P(StoreContract, AnUnmeasuredSiteIsUnknownEvenWithAnOpenEvent) {
  const auto ids = add_sites(2);
  commit(opened(ids[1], 0));
  FreshnessMark first = measured(ids[0], 1000);
  FreshnessMark second = measured(ids[1], 1000);
  first.measured = second.measured = false;
  first.cause = second.cause = core::Cause::LocalOverload;
  ASSERT_TRUE(freshness->write(std::vector{first, second}));
  EXPECT_EQ(view(ids[0]).state, SiteState::Unknown);
  EXPECT_EQ(view(ids[1]).state, SiteState::Unknown);
  EXPECT_NE(view(ids[1]).open_event, core::EventId{});
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1000), measured(ids[1], 1000)}));
  EXPECT_EQ(view(ids[0]).state, SiteState::Up);
  EXPECT_EQ(view(ids[1]).state, SiteState::SeemsDown);
}

TEST_P(StoreContract, NeitherWriterOverwritesTheOther) {
  const auto ids = add_sites(1);
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1000)}));
  commit(opened(ids[0], 2000));
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 3000)}));
  EXPECT_EQ(view(ids[0]).state, SiteState::SeemsDown);
  EXPECT_EQ(view(ids[0]).checked_at, at(3000));
  commit(confirmed(ids[0], 2000));
  EXPECT_EQ(view(ids[0]).checked_at, at(3000));
  commit(recovered(ids[0], 2000));
  EXPECT_EQ(view(ids[0]).state, SiteState::Up);
}

TEST_P(StoreContract, ASiteThatIsGoneIsPassedOver) {
  const auto ids = add_sites(3);
  (void)take(catalog->remove(std::vector{ids[1]}));
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1), measured(ids[1], 1),
                                           measured(ids[2], 1), measured(core::SiteId{999}, 1)}));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM site_state"), 2);
}

TEST_P(StoreContract, NothingMeasuredIsLeftOfARemovedSite) {
  const auto ids = add_sites(1);
  ASSERT_TRUE(freshness->write(std::vector{measured(ids[0], 1000)}));
  (void)take(catalog->remove(ids));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM site_state WHERE measured IS NOT NULL "
                               "OR checked_at IS NOT NULL"),
            0);
}

TEST_P(StoreContract, ABatchMayBeRepeated) {
  const auto ids = add_sites(300);
  std::vector<FreshnessMark> marks;
  for (const core::SiteId id : ids) marks.push_back(measured(id, 5000));
  ASSERT_TRUE(freshness->write(marks));
  ASSERT_TRUE(freshness->write(marks));
  ASSERT_TRUE(freshness->write({}));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM site_state WHERE state = 'up'"), 300);
}

}  // namespace
}  // namespace watchwheel::db::contract
