// SPDX-License-Identifier: Apache-2.0
#include "app/waiting.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace watchwheel::app {
namespace {

const core::WallTime kSince = core::from_unix_ms(1'700'000'000'000);

nlohmann::json recording(const Waiting& waiting) {
  return nlohmann::json::parse(waiting_json(waiting, "mysql://h/w", "127.0.0.1:1", kSince))
      .at("recording");
}

// Goal: what is not known is not told as a number, and a server that is back not as away.
TEST(Waiting, SaysWhatItWaitsForAndWhatIsKnownOfTheJournal) {
  EXPECT_EQ(to_text(Waiting{}), "starting: the store is being opened, and no site is checked yet");
  EXPECT_FALSE(store_away(Waiting{}));
  Waiting waiting;
  waiting.since = kSince;
  waiting.error = "refused";
  waiting.journal_entries = 12;
  EXPECT_EQ(to_text(waiting),
            "the store is away since 2023-11-14T22:13:20.000Z and the site list cannot be read: "
            "no site is checked; 12 writes in the journal (refused)");
  waiting.journal_error = "it is locked";
  EXPECT_EQ(to_text(waiting).find("12"), std::string::npos);
  EXPECT_NE(to_text(waiting).find("cannot be read: it is locked (refused)"), std::string::npos);
  EXPECT_EQ(recording(waiting).at("journal").at("trouble"), "it is locked");

  waiting.journal_in_use = true;
  EXPECT_EQ(to_text(waiting).find("away"), std::string::npos);
  EXPECT_TRUE(to_text(waiting).starts_with("another process has the journal"));
  EXPECT_EQ(recording(waiting).at("store_away_since"), nullptr);

  Waiting twin;
  twin.since = kSince;
  twin.error = "its lease holds yet";
  twin.name_in_use = true;
  EXPECT_EQ(to_text(twin),
            "another daemon may live under our node's name: this one checks no site since "
            "2023-11-14T22:13:20.000Z (its lease holds yet)");
  EXPECT_EQ(recording(twin).at("store_away_since"), nullptr);

  Waiting replaying;
  replaying.journal_entries = 12;
  replaying.replaying = true;
  EXPECT_EQ(to_text(replaying).find("away"), std::string::npos);
  EXPECT_TRUE(to_text(replaying).starts_with("12 writes of the journal are being replayed"));
  EXPECT_EQ(recording(replaying).at("store_away_since"), nullptr);
  EXPECT_EQ(recording(replaying).at("journal").at("replaying"), true);
}

}  // namespace
}  // namespace watchwheel::app
