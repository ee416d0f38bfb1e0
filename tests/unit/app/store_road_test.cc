// SPDX-License-Identifier: Apache-2.0
#include "app/store_road.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

// Goal: readiness says what is, in the order of its worth, and nothing when all is well.
TEST(Degraded, SaysWhatIsWrongWithTheRoad) {
  StoreRoadReading road;
  EXPECT_EQ(degraded(road), "");
  road.detoured = true;
  road.since = core::from_unix_ms(1'700'000'000'000);
  road.journal.entries = 12;
  EXPECT_EQ(degraded(road), "store away since 2023-11-14T22:13:20.000Z; 12 writes in the journal");
  road.replaying = true;
  EXPECT_EQ(degraded(road), "the store is back; 12 writes of the journal are being replayed");
  road = {};
  road.foreign = "/var/lib/x/journal.db.of-another-store-1";
  EXPECT_EQ(degraded(road),
            "the journal held writes of another store, they are kept in "
            "/var/lib/x/journal.db.of-another-store-1");
  road.refusing = true;
  EXPECT_TRUE(
      degraded(road).ends_with("; the journal takes no more, what is judged waits in memory"));
}

}  // namespace
}  // namespace watchwheel::app
