// SPDX-License-Identifier: Apache-2.0
// unit/channels/messages.h - messages to give a form to.
#pragma once

#include <string>

#include "sideeffects/message.h"

namespace watchwheel::testing {

inline core::WallTime at(const char* text) {
  return core::parse_iso8601(text).value();
}

inline sideeffects::MessageSite shop() {
  sideeffects::MessageSite site;
  site.site = core::SiteId{42};
  site.name = "The \"shop\" <main> & more";
  site.url = "https://user:hunter2@shop.example/cart?token=s3cret";
  site.tags = {"shop", "eu"};
  site.event = core::EventId{7};
  site.transition = 2;
  site.reason = core::TransitionReason::Confirmed;
  site.before = core::SiteState::SeemsDown;
  site.after = core::SiteState::Down;
  site.started_at = at("2026-11-21T12:00:00.123Z");
  site.confirmed_at = at("2026-11-21T12:00:20.500Z");
  site.at = site.confirmed_at;
  site.failures = 3;
  site.evidence = {.cause = core::Cause::ConnectTimeout,
                   .phase = core::Phase::Connect,
                   .http_status = 0,
                   .detail = "no answer in 5s",
                   .address = "203.0.113.7"};
  site.witnesses = {"fra", "nyc"};
  return site;
}

inline sideeffects::Message down() {
  sideeffects::Message message;
  message.id = "msg_0123456789abcdef0123456789abcdef";
  message.kind = sideeffects::MessageKind::Down;
  message.severity = sideeffects::Severity::Critical;
  message.target = "ops";
  message.made_at = at("2026-11-21T12:00:21Z");
  message.sites = {shop()};
  message.links = {{.text = "Status", .url = "https://watch.example/"}};
  return message;
}

inline sideeffects::Message up() {
  sideeffects::Message message = down();
  message.kind = sideeffects::MessageKind::Up;
  message.made_at = at("2026-11-21T12:30:00Z");
  sideeffects::MessageSite& site = message.sites.front();
  site.transition = 3;
  site.reason = core::TransitionReason::Recovered;
  site.before = core::SiteState::Down;
  site.after = core::SiteState::Up;
  site.ended_at = at("2026-11-21T12:29:59Z");
  site.at = site.ended_at;
  site.evidence = {.cause = core::Cause::Ok,
                   .phase = core::Phase::Done,
                   .http_status = 200,
                   .detail = "",
                   .address = ""};
  return message;
}

// Two sites of one outage.
inline sideeffects::Message digest() {
  sideeffects::Message message = down();
  message.group = 9;
  message.group_started_at = at("2026-11-21T11:59:58Z");
  message.part = 1;
  sideeffects::MessageSite blog = shop();
  blog.site = core::SiteId{43};
  blog.name = "";
  blog.url = "https://blog.example/";
  blog.tags.clear();
  blog.event = core::EventId{8};
  message.sites.push_back(blog);
  return message;
}

inline sideeffects::Message test_message() {
  sideeffects::Message message;
  message.id = "msg_test";
  message.kind = sideeffects::MessageKind::Test;
  message.target = "ops";
  message.made_at = at("2026-11-21T12:00:21Z");
  return message;
}

}  // namespace watchwheel::testing
