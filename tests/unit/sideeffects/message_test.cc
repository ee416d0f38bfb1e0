// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/message.h"

#include <gtest/gtest.h>

#include <set>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

MessageSite shop() {
  return {.site = core::SiteId{7},
          .name = "shop",
          .url = "https://shop.example/",
          .tags = {"eu", "paid"},
          .event = core::EventId{17},
          .transition = 2,
          .reason = core::TransitionReason::Confirmed,
          .before = core::SiteState::SeemsDown,
          .after = core::SiteState::Down,
          .started_at = core::from_unix_ms(1'700'000'000'123),
          .confirmed_at = core::from_unix_ms(1'700'000'020'000),
          .ended_at = core::kNoWallTime,
          .at = core::from_unix_ms(1'700'000'020'000),
          .failures = 3,
          .evidence = {.cause = core::Cause::HttpStatus,
                       .phase = core::Phase::FirstByte,
                       .http_status = 503,
                       .detail = "503 Service Unavailable",
                       .address = "203.0.113.7"},
          .witnesses = {"fra", "nyc"}};
}

Message down() {
  return {.id = message_id({"x"}),
          .kind = MessageKind::Down,
          .severity = Severity::Critical,
          .target = "ops",
          .made_at = core::from_unix_ms(1'700'000'021'000),
          .sites = {shop()},
          .group = 3,
          .group_started_at = core::from_unix_ms(1'700'000'000'000),
          .part = 2,
          .note = "in maintenance before",
          .links = {{.text = "runbook", .url = "https://wiki.example/down"}}};
}

TEST(Message, ComesBackFromItsJsonAsItWas) {
  const core::Result<Message> back = decode_message(encode_message(down()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, down());
}

TEST(Message, OfATestComesBackToo) {
  const Message test{.id = message_id({"t"}),
                     .kind = MessageKind::Test,
                     .severity = Severity::Info,
                     .target = "ops",
                     .made_at = core::from_unix_ms(5),
                     .sites = {},
                     .note = "",
                     .links = {}};
  const core::Result<Message> back = decode_message(encode_message(test));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, test);
}

TEST(Message, OfANewerVersionOfTheSameFormIsReadWithoutWhatIsNew) {
  const core::Result<Message> back =
      decode_message(R"({"version":1,"id":"msg_1","kind":"up","mood":"fine","note":null,)"
                     R"("sites":[{"site":4,"colour":[1,2]}]})");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->kind, MessageKind::Up);
  ASSERT_EQ(back->sites.size(), 1U);
  EXPECT_EQ(back->sites.front().site, core::SiteId{4});
}

TEST(Message, WhatIsNoMessageIsRefusedWithItsReason) {
  const struct {
    const char* text;
    const char* why;
  } cases[] = {
      {"", "no JSON"},
      {"[]", "no object"},
      {"{}", "version"},
      {R"({"version":2,"id":"m"})", "version"},
      {R"({"version":1})", "no id"},
      {R"({"version":1,"id":7})", "id is no text"},
      {R"({"version":1,"id":"m","kind":"sideways"})", "kind is an unknown word"},
      {R"({"version":1,"id":"m","sites":{}})", "sites is no list"},
      {R"({"version":1,"id":"m","sites":[7]})", "no object"},
      {R"({"version":1,"id":"m","sites":[{"site":-1}]})", "site is no number"},
      {R"({"version":1,"id":"m","sites":[{"http_status":65536}]})", "http_status is no number"},
      {R"({"version":1,"id":"m","sites":[{"at":9223372036854775807}]})", "at is no time"},
      {R"({"version":1,"id":"m","sites":[{"tags":["a",1]}]})", "tags is no list of texts"},
  };
  for (const auto& c : cases) {
    const core::Result<Message> back = decode_message(c.text);
    ASSERT_FALSE(back) << c.text;
    EXPECT_EQ(back.error().kind, core::ErrorKind::Corrupt);
    EXPECT_NE(back.error().message.find(c.why), std::string::npos) << back.error().message;
  }
}

TEST(Message, BytesThatAreNoUtf8DoNotKeepItFromBeingStored) {
  Message message = down();
  message.sites.front().evidence.detail = "caf\xe9";
  const core::Result<Message> back = decode_message(encode_message(message));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->sites.front().evidence.detail, "caf\xef\xbf\xbd");
}

TEST(MessageId, IsTheSameForTheSamePartsAndNoOther) {
  EXPECT_EQ(message_id({"7", "x"}), message_id({"7", "x"}));
  std::set<std::string> ids;
  for (const auto& parts : std::vector<std::vector<std::string>>{
           {}, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"ab"}, {"a", "b"}, {"1:a"}}) {
    const std::string id = message_id(parts);
    EXPECT_EQ(id.size(), 36U);
    EXPECT_EQ(id.substr(0, 4), "msg_");
    EXPECT_TRUE(ids.insert(id).second) << id;
  }
  // Part of what receivers rely on: the same on every host and version.
  EXPECT_EQ(message_id({"golden", "1"}), "msg_dfcf920db0b4e6c7aea07f451b4d4d17");
}

TEST(Message, ConditionIsOneFromItsFirstMessageToItsLast) {
  MessageSite end = shop();
  end.transition = 3;
  end.after = core::SiteState::Up;
  end.url = "https://shop.example/new";
  EXPECT_EQ(condition_key(end), condition_key(shop()));
  MessageSite next = shop();
  next.event = core::EventId{18};
  EXPECT_EQ(condition_key(next), condition_key(shop())) << "the store may give it a number later";
  next.started_at += std::chrono::milliseconds{1};
  EXPECT_NE(condition_key(next), condition_key(shop()));
}

TEST(Message, HeadlineSaysWhatHappened) {
  Message message = down();
  EXPECT_EQ(headline(message), "DOWN shop: http_status");
  message.sites.front().name = "";
  message.kind = MessageKind::Up;
  message.sites.front().reason = core::TransitionReason::Recovered;
  EXPECT_EQ(headline(message), "UP https://shop.example/");
  message.sites.front().reason = core::TransitionReason::FalseAlarm;
  EXPECT_EQ(headline(message), "UP https://shop.example/ (false_alarm)");
  message.sites.front().reason = core::TransitionReason::Operator;
  message.sites.front().after = core::SiteState::Paused;
  EXPECT_EQ(headline(message), "OVER https://shop.example/ (operator)") << "nobody saw it up";
  message.kind = MessageKind::Down;
  message.sites.push_back(shop());
  EXPECT_EQ(headline(message),
            "DOWN 2 sites of the outage since 2023-11-14T22:13:20.000Z (part 2)");
  message.kind = MessageKind::Test;
  message.sites.clear();
  EXPECT_EQ(headline(message), "TEST of ops");
}

}  // namespace
}  // namespace watchwheel::sideeffects
