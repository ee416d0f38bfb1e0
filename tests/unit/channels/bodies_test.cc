// SPDX-License-Identifier: Apache-2.0
#include "channels/bodies.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "messages.h"

namespace watchwheel::channels {
namespace {

using Json = nlohmann::json;
using sideeffects::Message;
using sideeffects::MessageKind;
using sideeffects::Severity;
using testing::at;

const core::WallTime kNow = at("2026-11-21T12:00:30Z");
const Wording kWording{.subject = "the subject", .text = "the text"};

// Golden: docs/reference/notifications.md shows this body.
TEST(WebhookBody, IsWhatIsDocumented) {
  const std::string key = condition_key(testing::shop());
  EXPECT_EQ(
      webhook_body(testing::down(), "msg_0123456789abcdef0123456789abcdef", ""),
      "{\"type\":\"site.down\",\"timestamp\":\"2026-11-21T12:00:21.000Z\",\"data\":{"
      "\"id\":\"msg_0123456789abcdef0123456789abcdef\",\"kind\":\"down\",\"severity\":\"critical\","
      "\"target\":\"ops\",\"summary\":\"DOWN The \\\"shop\\\" <main> & more: connect_timeout\","
      "\"outage\":null,\"sites\":[{\"id\":42,\"name\":\"The \\\"shop\\\" <main> & more\","
      "\"url\":\"https://shop.example/cart\",\"tags\":[\"shop\",\"eu\"],\"incident\":\"" +
          key +
          "\",\"event\":7,\"transition\":2,\"reason\":\"confirmed\",\"previous_state\":\"seems_"
          "down\","
          "\"state\":\"down\",\"at\":\"2026-11-21T12:00:20.500Z\",\"started_at\":\"2026-11-21T12:"
          "00:00.123Z\","
          "\"confirmed_at\":\"2026-11-21T12:00:20.500Z\",\"ended_at\":null,\"failures\":3,"
          "\"cause\":\"connect_timeout\",\"phase\":\"connect\",\"http_status\":null,"
          "\"detail\":\"no answer in "
          "5s\",\"address\":\"203.0.113.7\",\"witnesses\":[\"fra\",\"nyc\"]}],"
          "\"note\":\"\",\"links\":[{\"text\":\"Status\",\"url\":\"https://watch.example/\"}]}}");
}

TEST(WebhookBody, EveryKindIsJsonWithItsOwnType) {
  std::set<std::string> types;
  for (std::size_t i = 0; i < sideeffects::kMessageKindNames.size(); ++i) {
    Message message = testing::digest();
    message.kind = static_cast<MessageKind>(i);
    const Json body = Json::parse(webhook_body(message, "msg_1", "own words"));
    types.insert(body["type"].get<std::string>());
    EXPECT_EQ(body["data"]["text"], "own words");
    EXPECT_EQ(body["data"]["outage"]["id"], 9);
    EXPECT_EQ(body["data"]["sites"].size(), 2U);
  }
  EXPECT_EQ(types.size(), sideeffects::kMessageKindNames.size());
  EXPECT_TRUE(Json::parse(webhook_body(testing::test_message(), "x", ""))["data"]["sites"].empty());
}

// Goal: no credentials of a site's URL leave us, on any channel.
TEST(Bodies, HoldNoCredentials) {
  for (Message message : {testing::down(), testing::up(), testing::digest()}) {
    message.sites.front().name = "";
    const Wording wording = word(message, "", "", 10'000).value();
    std::string all = webhook_body(message, "x", "") + slack_body(message, wording) +
                      alertmanager_body(message, "ops", wording, kNow) + wording.subject +
                      wording.text;
    for (const std::string& one : pagerduty_bodies(message, "R0", wording)) all += one;
    EXPECT_EQ(all.find("hunter2"), std::string::npos);
    EXPECT_EQ(all.find("s3cret"), std::string::npos);
    EXPECT_NE(all.find("shop.example/cart"), std::string::npos);
  }
}

TEST(Bodies, WhatIsNoUtf8IsReplacedAndNotFatal) {
  Message message = testing::down();
  message.sites.front().name = "\xff\xfe";
  message.sites.front().evidence.detail = "\x80";
  message.sites.front().tags = {"\xc3"};
  const Wording wording = word(message, "", "", 1000).value();
  EXPECT_TRUE(Json::accept(webhook_body(message, "x", "")));
  EXPECT_TRUE(Json::accept(slack_body(message, wording)));
  EXPECT_TRUE(Json::accept(alertmanager_body(message, "ops", wording, kNow)));
  EXPECT_TRUE(Json::accept(pagerduty_bodies(message, "R0", wording).front()));
}

// ---- Alertmanager ----

Json alerts(const Message& message) {
  return Json::parse(alertmanager_body(message, "ops", kWording, kNow));
}

// The labels and whether the alert has ended by now.
std::map<std::string, bool> ended_by_labels(const Json& list) {
  std::map<std::string, bool> out;
  for (const Json& alert : list) {
    const core::WallTime from = at(alert["startsAt"].get<std::string>().c_str());
    const core::WallTime to = at(alert["endsAt"].get<std::string>().c_str());
    EXPECT_LE(from, to) << alert;
    out[alert["labels"].dump()] = to <= kNow;
  }
  return out;
}

TEST(AlertmanagerBody, BeginsAnAlertThatDoesNotEndByItself) {
  const Json list = alerts(testing::down());
  EXPECT_EQ(list[0]["labels"], (Json{{"alertname", "WatchwheelSiteDown"},
                                     {"severity", "critical"},
                                     {"target", "ops"},
                                     {"site", "42"},
                                     {"incident", condition_key(testing::shop())}}));
  EXPECT_EQ(list[0]["startsAt"], "2026-11-21T12:00:00.123Z");
  EXPECT_GT(at(list[0]["endsAt"].get<std::string>().c_str()), kNow + std::chrono::hours{24 * 3000});
  EXPECT_EQ(list[0]["annotations"]["summary"], "the subject");
  EXPECT_EQ(list[0]["annotations"]["url"], "https://shop.example/cart");
  EXPECT_EQ(list[0]["generatorURL"], "https://watch.example/");
}

// Goal: whatever was told of an incident, its end ends all of it; also when the site was renamed or tagged anew meanwhile.
TEST(AlertmanagerBody, TheEndEndsAllThatWasTold) {
  for (const MessageKind begin :
       {MessageKind::SeemsDown, MessageKind::Down, MessageKind::Reminder}) {
    for (const Severity severity : {Severity::Info, Severity::Warning, Severity::Critical}) {
      Message message = testing::down();
      message.kind = begin;
      message.severity = severity;
      Message end = testing::up();
      end.sites.front().name = "renamed";
      end.sites.front().tags = {"other"};
      end.sites.front().url = "https://moved.example/";
      const auto ended = ended_by_labels(
          Json::parse(alertmanager_body(end, "ops", kWording, at("2026-11-21T12:30:01Z"))));
      for (const Json& alert : alerts(message)) EXPECT_TRUE(ended.contains(alert["labels"].dump()));
    }
  }
}

// Goal: nothing is told as over that was never told: what is confirmed goes on as the alert that it was.
TEST(AlertmanagerBody, AConfirmedOutageIsTheSameAlert) {
  Message seems = testing::down();
  seems.kind = MessageKind::SeemsDown;
  seems.severity = Severity::Warning;
  const auto before = ended_by_labels(alerts(seems));
  EXPECT_EQ(before.size(), 1U);
  EXPECT_EQ(before, ended_by_labels(alerts(testing::down())));
  EXPECT_FALSE(before.begin()->second);
}

TEST(AlertmanagerBody, WhatNobodyEndsEndsByItself) {
  const Json list = alerts(testing::test_message());
  ASSERT_EQ(list.size(), 1U);
  const core::WallTime end = at(list[0]["endsAt"].get<std::string>().c_str());
  EXPECT_GT(end, kNow);
  EXPECT_LE(end, kNow + std::chrono::hours{1});
}

TEST(AlertmanagerBody, FlappingIsAnAlertOfItsOwnAndItsEndEndsIt) {
  Message flapping = testing::down();
  flapping.kind = MessageKind::Flapping;
  const auto before = ended_by_labels(alerts(flapping));
  EXPECT_NE(before, ended_by_labels(alerts(testing::down())));
  EXPECT_FALSE(before.begin()->second);
  flapping.kind = MessageKind::FlappingOver;
  const auto after = ended_by_labels(alerts(flapping));
  EXPECT_EQ(before.begin()->first, after.begin()->first);
  EXPECT_TRUE(after.begin()->second);
}

TEST(AlertmanagerBody, ADigestIsAnAlertForEachSite) {
  std::set<std::string> sites;
  for (const Json& alert : alerts(testing::digest())) sites.insert(alert["labels"]["site"]);
  EXPECT_EQ(sites, (std::set<std::string>{"42", "43"}));
  EXPECT_EQ(alerts(testing::test_message()).size(), 1U);
}

TEST(AlertmanagerBody, AnEndInTheFutureOrBeforeItsBeginIsNone) {
  Message odd = testing::up();
  odd.sites.front().ended_at = kNow + std::chrono::hours{5};
  for (const Json& alert : alerts(odd))
    EXPECT_EQ(at(alert["endsAt"].get<std::string>().c_str()), kNow);
  odd.sites.front().ended_at = odd.sites.front().started_at - std::chrono::hours{1};
  for (const Json& alert : alerts(odd)) EXPECT_EQ(alert["endsAt"], alert["startsAt"]);
}

// ---- Slack, PagerDuty ----

TEST(SlackBody, EscapesWhatSlackTakesForMarkup) {
  const Wording wording =
      word(testing::down(), "{{name}}", "<own> {{name}}", 1000, &slack_escape).value();
  const Json body = Json::parse(slack_body(testing::down(), wording));
  EXPECT_EQ(body["text"], "The \"shop\" &lt;main&gt; &amp; more");
  EXPECT_EQ(body["attachments"][0]["text"], "<own> The \"shop\" &lt;main&gt; &amp; more");
  EXPECT_EQ(body["attachments"][0]["color"], "danger");
  EXPECT_EQ(Json::parse(slack_body(testing::up(), wording))["attachments"][0]["color"], "good");
}

TEST(PagerDutyBodies, OneEventForEachSiteWithTheIncidentsKey) {
  const auto begun = pagerduty_bodies(testing::digest(), "R0UT1NG", kWording);
  ASSERT_EQ(begun.size(), 2U);
  const Json first = Json::parse(begun[0]);
  EXPECT_EQ(first["routing_key"], "R0UT1NG");
  EXPECT_EQ(first["event_action"], "trigger");
  EXPECT_EQ(first["dedup_key"], condition_key(testing::shop()));
  EXPECT_EQ(first["payload"]["severity"], "critical");
  EXPECT_EQ(first["payload"]["group"], "outage-9");
  EXPECT_EQ(first["payload"]["component"], "https://shop.example/cart");
  EXPECT_EQ(Json::parse(begun[1])["payload"]["summary"], "down: https://blog.example/");
  EXPECT_EQ(first["links"][0]["href"], "https://watch.example/");

  const Json over = Json::parse(pagerduty_bodies(testing::up(), "R0UT1NG", kWording).front());
  EXPECT_EQ(over["event_action"], "resolve");
  EXPECT_EQ(over["dedup_key"], first["dedup_key"]);
  EXPECT_EQ(pagerduty_bodies(testing::test_message(), "R", kWording).size(), 1U);
}

// ---- words ----

TEST(Wording, OursSaysWhatHappened) {
  const Wording wording = word(testing::up(), "", "", 10'000).value();
  EXPECT_EQ(wording.subject, "UP The \"shop\" <main> & more");
  EXPECT_EQ(wording.text,
            "The \"shop\" <main> & more\n"
            "  https://shop.example/cart\n"
            "  up\n"
            "  since 2026-11-21T12:00:00.123Z until 2026-11-21T12:29:59.000Z, for 29m 58s\n"
            "  also seen by fra, nyc\n"
            "  tags: shop, eu\n"
            "\n"
            "Status: https://watch.example/\n"
            "\n"
            "Message msg_0123456789abcdef0123456789abcdef of 2026-11-21T12:30:00.000Z, critical, "
            "for ops.\n");
}

TEST(Wording, ASubjectIsOneLine) {
  const Wording wording = word(testing::down(), "a\nb {{name}}\r\nc", "", 100).value();
  EXPECT_EQ(wording.subject.find_first_of("\r\n"), std::string::npos);
  EXPECT_LE(word(testing::down(), std::string(1000, 'x'), "", 100).value().subject.size(), 203U);
  EXPECT_FALSE(word(testing::down(), "{{nope}}", "", 100));
}

}  // namespace
}  // namespace watchwheel::channels
