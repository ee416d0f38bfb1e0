// SPDX-License-Identifier: Apache-2.0
#include "db/journal_codec.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace watchwheel::db {
namespace {

using sideeffects::EventWrite;
using sideeffects::JournalWrite;
using sideeffects::VantageEnd;
using sideeffects::VantageEvent;

core::WallTime at(std::int64_t ms) {
  return core::from_unix_ms(1'700'000'000'000 + ms);
}

// Each field another than its default, and than any other of its type.
EventWrite whole() {
  const core::Evidence first{core::Cause::ConnectRefused, core::Phase::Connect, 0, "refusé",
                             "192.0.2.1"};
  const core::Evidence last{core::Cause::HttpStatus, core::Phase::FirstByte, 503, "503",
                            "[2001:db8::1]"};
  EventWrite write;
  write.site = core::SiteId{(std::uint64_t{1} << 62) + 3};
  write.started_at = at(1);
  write.state = core::SiteState::Up;
  write.confirmed_at = at(2);
  write.ended_at = at(3);
  write.failures = 4;
  write.merged = 5;
  write.group = at(6);
  write.transitions_total = 8;
  write.evidence = last;
  write.transitions.push_back({.seq = 7,
                               .reason = core::TransitionReason::Confirmed,
                               .before = core::SiteState::SeemsDown,
                               .after = core::SiteState::Down,
                               .at = at(2),
                               .failures = 3,
                               .evidence = first});
  write.transitions.push_back({.seq = 8,
                               .reason = core::TransitionReason::Recovered,
                               .before = core::SiteState::Down,
                               .after = core::SiteState::Up,
                               .at = at(3),
                               .failures = 4,
                               .evidence = last});
  write.testimony = {.basis = core::Basis::Quorum, .quorum = 2, .round = 9, .decided_at = at(2)};
  write.testimony.witnesses = {{.vantage = "fra",
                                .region = "eu",
                                .saw = core::Saw::Down,
                                .cause = core::Cause::TlsTimeout,
                                .http_status = 0,
                                .detail = "d",
                                .at = at(1)}};
  write.transitions[0].testimony = write.testimony;
  return write;
}

JournalWrite there_and_back(const JournalWrite& write) {
  return decode_journal(journal_kind(write), encode_journal(write)).value();
}

TEST(JournalCodec, KeepsEveryFieldOfAnEvent) {
  const EventWrite write = whole();
  const EventWrite back = std::get<EventWrite>(there_and_back(write));
  EXPECT_EQ(back.site, write.site);
  EXPECT_EQ(back.started_at, write.started_at);
  EXPECT_EQ(back.state, write.state);
  EXPECT_EQ(back.confirmed_at, write.confirmed_at);
  EXPECT_EQ(back.ended_at, write.ended_at);
  EXPECT_EQ(back.failures, write.failures);
  EXPECT_EQ(back.merged, write.merged);
  EXPECT_EQ(back.group, write.group);
  EXPECT_EQ(back.transitions_total, write.transitions_total);
  EXPECT_EQ(back.evidence, write.evidence);
  EXPECT_EQ(back.transitions, write.transitions);
  EXPECT_EQ(back.testimony, write.testimony);
}

TEST(JournalCodec, KeepsTimesThatAreNotSet) {
  const EventWrite back = std::get<EventWrite>(there_and_back(EventWrite{}));
  EXPECT_EQ(back.started_at, core::kNoWallTime);
  EXPECT_EQ(back.ended_at, core::kNoWallTime);
  EXPECT_EQ(back.group, core::kNoWallTime);
}

TEST(JournalCodec, KeepsTheVantage) {
  const VantageEvent event{at(1), at(2), "canaries_failing", "2 of 3", 17};
  EXPECT_EQ(std::get<VantageEvent>(there_and_back(event)), event);
  EXPECT_EQ(std::get<VantageEnd>(there_and_back(VantageEnd{at(5)})), VantageEnd{at(5)});
}

TEST(JournalCodec, MakesWhatASiteSaidFitForAStore) {
  EventWrite write = whole();
  write.evidence.detail = "caf\xe9 " + std::string(5000, 'x');
  const EventWrite back = std::get<EventWrite>(there_and_back(write));
  EXPECT_LE(back.evidence.detail.size(), 512U);
  EXPECT_TRUE(back.evidence.detail.starts_with("caf\xEF\xBF\xBD "));
}

TEST(JournalCodec, PassesOverWhatALaterVersionAdded) {
  std::string body = encode_journal(whole());
  body.insert(1, R"("a_later_field":[1,{"x":2}],)");
  EXPECT_EQ(std::get<EventWrite>(decode_journal("event", body).value()).transitions,
            whole().transitions);
}

TEST(JournalCodec, ReadsNothingIntoWhatIsNotItsOwn) {
  const std::string good = encode_journal(whole());
  for (const std::string& body :
       {std::string(), std::string("{}"), std::string("[]"), std::string("null"),
        good.substr(0, good.size() / 2), std::string(R"({"site":"1"})")}) {
    const auto read = decode_journal("event", body);
    ASSERT_FALSE(read) << body;
    EXPECT_EQ(read.error().kind, core::ErrorKind::Corrupt);
  }
  EXPECT_FALSE(decode_journal("delivery", good));
  std::string odd = good;
  odd.replace(odd.find("\"recovered\""), 11, "\"rewritten\"");
  EXPECT_FALSE(decode_journal("event", odd));
}

}  // namespace
}  // namespace watchwheel::db
