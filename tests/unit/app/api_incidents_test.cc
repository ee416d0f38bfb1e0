// SPDX-License-Identifier: Apache-2.0
// Goal: what people ask of incidents over HTTP is asked once, in a name, and refused with what would be right. Method: the routes'
// handlers on a store of their own; a shard's part is played by the transaction that it would make.
#include "app/api_incidents.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "sideeffects/warning_api.h"
#include "support/temp_dir.h"

namespace watchwheel::app {
namespace {

using nlohmann::json;
using sideeffects::Act;
using ::testing::HasSubstr;

const core::WallTime kStart = core::from_unix_ms(1'700'000'000'000);

TEST(OperatorRequests, OfTheApiSayWhoAndWhy) {
  struct Case {
    Act act;
    std::string body;
    std::string wrong;  // "": it is right.
  };
  const std::string longest(1000, 'x');
  const std::vector<Case> cases{
      {Act::Ack, R"({"by": "ann"})", ""},
      {Act::Ack, R"({"by": "ann", "why": null})", ""},
      {Act::Ack, R"({"by": "ann ü", "why": "on it"})", ""},
      {Act::Comment, R"({"by": "ann", "text": ")" + longest + "\"}", ""},
      {Act::Close, R"({"by": "ann", "why": "not ours"})", ""},
      {Act::Ack, "", "no JSON object"},
      {Act::Ack, "ack", "no JSON object"},
      {Act::Ack, R"(["ann"])", R"({"by": "who", "why": "…"})"},
      {Act::Ack, "{\"by\": \"\xff\"}", "no JSON object"},
      {Act::Ack, R"({"why": "on it"})", R"("by" is missing)"},
      {Act::Ack, R"({"by": " "})", R"("by" is missing or says nothing)"},
      {Act::Ack, R"({"by": 7})", R"("by" is a text)"},
      {Act::Ack, "{\"by\": \"a\\u0000b\"}", "control character"},
      {Act::Ack, "{\"by\": \"a\\nb\"}", "control character"},
      {Act::Ack, R"({"by": ")" + std::string(129, 'x') + "\"}", "longer than 128"},
      {Act::Ack, R"({"by": "ann", "text": "on it"})", "not known"},
      {Act::Ack, R"({"by": "ann", "who": "bob"})", "not known"},
      {Act::Comment, R"({"by": "ann"})", R"("text" is missing)"},
      {Act::Comment, R"({"by": "ann", "text": "\n"})", R"("text" is missing or says nothing)"},
      {Act::Comment, R"({"by": "ann", "text": ")" + longest + "x\"}", "longer than 1000"},
      {Act::Comment, R"({"by": "ann", "why": "x"})", R"("text": "…")"},
      {Act::Close, R"({"by": "ann"})", R"("why" is missing)"},
      {Act::Close, std::string(5000, '['), "no JSON object"},
  };
  for (const Case& c : cases) {
    const auto request = operator_request(c.act, core::EventId{7}, c.body);
    ASSERT_EQ(request.has_value(), c.wrong.empty())
        << c.body << (request ? "" : request.error().message);
    if (!request) {
      EXPECT_EQ(request.error().kind, core::ErrorKind::Invalid);
      EXPECT_THAT(request.error().message, HasSubstr(c.wrong)) << c.body;
      continue;
    }
    EXPECT_EQ(request->event, core::EventId{7});
    EXPECT_EQ(request->by.act, c.act);
    EXPECT_EQ(request->by.source, "api");
    EXPECT_THAT(request->by.who, HasSubstr("ann"));
  }
}

class ApiIncidents : public ::testing::Test {
 protected:
  ApiIncidents() {
    store_ = db::open_store("sqlite://" + dir_.file("w.db")).value();
    EXPECT_TRUE(store_->migrate(false));
    core::SiteRecord site;
    site.url = "https://shop.example/";
    std::vector<core::SiteId> ids;
    EXPECT_TRUE(store_->make_site_catalog().value()->upsert({&site, 1}, &ids));
    site_ = ids.at(0);
    write_.site = site_;
    write_.started_at = kStart;
    write_.state = core::SiteState::SeemsDown;
    change(core::TransitionReason::Opened, core::SiteState::Up, core::SiteState::SeemsDown);
  }

  // One more transition of the site's event.
  void change(core::TransitionReason reason, core::SiteState before, core::SiteState after,
              std::optional<sideeffects::ByHand> by = {}) {
    sideeffects::TransitionRecord transition;
    transition.seq = ++write_.transitions_total;
    transition.reason = reason;
    transition.before = before;
    transition.after = after;
    transition.at = kStart + std::chrono::seconds{write_.transitions_total};
    transition.by = std::move(by);
    write_.transitions = {transition};
    ASSERT_TRUE(store_->make_event_store().value()->commit({&write_, 1}));
  }
  // A warning beside it: the site's second event.
  void warn() {
    sideeffects::WarningWrite write;
    write.warning.site = site_;
    write.warning.kind = core::EventKind::TlsExpiring;
    write.warning.started_at = write.at = kStart;
    write.warning.step = std::chrono::hours{24 * 14};
    ASSERT_TRUE(store_->make_warning_store().value()->commit({&write, 1}));
  }
  void close() {
    write_.state = core::SiteState::Up;
    write_.ended_at = kStart + std::chrono::hours{1};
    change(core::TransitionReason::Recovered, core::SiteState::SeemsDown, core::SiteState::Up);
  }

  http::Response ask(const std::string& method, const std::string& path,
                     http::StoreRequest request) {
    for (const ApiRoute& one : incident_routes()) {
      if (one.route.path != path || one.route.method != method) continue;
      auto answer = one.answer(request, {.store = *store_, .now = kStart + std::chrono::hours{2}});
      if (answer) return *std::move(answer);
      const core::ErrorKind kind = answer.error().kind;
      return http::refusal(kind == core::ErrorKind::Invalid    ? 400
                           : kind == core::ErrorKind::NotFound ? 404
                                                               : 503,
                           answer.error().message);
    }
    ADD_FAILURE() << "no route " << method << " " << path;
    return {};
  }
  http::Response act(const std::string& act, const std::string& body, const std::string& key = "",
                     const std::string& id = "1") {
    return ask("POST", "/api/v1/incidents/{id}/" + act,
               {.values = {id}, .query = {}, .body = body, .idempotency_key = key});
  }

  testing::TempDir dir_;
  std::unique_ptr<db::Store> store_;
  core::SiteId site_;
  sideeffects::EventWrite write_;
};

TEST_F(ApiIncidents, WhatIsAskedIsAcceptedAndSaysWhereToLook) {
  const http::Response answer = act("ack", R"({"by": "ann", "why": "on it"})");
  EXPECT_EQ(answer.status, 202U);
  const json said = json::parse(answer.body);
  EXPECT_EQ(said.at("incident"), 1);
  EXPECT_EQ(said.at("act"), "ack");
  EXPECT_EQ(said.at("state"), "waiting");
  EXPECT_EQ(said.at("source"), "api");
  const std::string url = "/api/v1/requests/" + std::to_string(said.at("request").get<int>());
  EXPECT_EQ(said.at("url"), url);
  ASSERT_EQ(answer.headers.size(), 1U);
  EXPECT_EQ(answer.headers[0], (std::pair<std::string, std::string>{"Location", url}));

  const auto waiting = store_->make_operator_desk().value()->waiting().value();
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting[0].by.who, "ann");
  change(core::TransitionReason::Operator, core::SiteState::SeemsDown, core::SiteState::SeemsDown,
         waiting[0].by);
  const std::string number = std::to_string(said.at("request").get<int>());
  const json done = json::parse(ask("GET", "/api/v1/requests/{id}", {.values = {number}}).body);
  EXPECT_EQ(done.at("state"), "done");
  EXPECT_TRUE(done.at("done_at").is_string());
  const json incident = json::parse(ask("GET", "/api/v1/incidents/{id}", {.values = {"1"}}).body);
  EXPECT_EQ(incident.at("acked_by"), "ann");
  EXPECT_EQ(incident.at("transitions").back().at("act"), "ack");
  EXPECT_EQ(ask("GET", "/api/v1/requests/{id}", {.values = {"99"}}).status, 404U);
}

// Goal: a client that sends again what it had no answer to does nothing twice.
TEST_F(ApiIncidents, WhatIsSentTwiceIsAskedOnce) {
  const auto number = [](const http::Response& answer) {
    return json::parse(answer.body).at("request").get<int>();
  };
  const std::string body = R"({"by": "ann", "text": "a cable"})";
  const int first = number(act("comment", body));
  EXPECT_EQ(number(act("comment", body)), first);
  EXPECT_EQ(number(act("comment", R"({"text": "a cable", "by": "ann"})")), first)
      << "what it says counts, not how";
  EXPECT_NE(number(act("comment", R"({"by": "bob", "text": "a cable"})")), first);
  EXPECT_NE(number(act("close", R"({"by": "ann", "why": "a cable"})")), first);

  const int keyed = number(act("comment", body, "k1"));
  EXPECT_NE(keyed, first) << "a key says that it is another one";
  EXPECT_EQ(number(act("comment", body, "k1")), keyed);
  EXPECT_NE(number(act("comment", body, "k2")), keyed);
  const http::Response misused = act("comment", R"({"by": "ann", "text": "other"})", "k1");
  EXPECT_EQ(misused.status, 422U);
  EXPECT_THAT(misused.body, HasSubstr("/api/v1/requests/" + std::to_string(keyed)));
  EXPECT_EQ(store_->make_operator_desk().value()->waiting().value().size(), 5U);

  const auto waiting = store_->make_operator_desk().value()->waiting().value();
  change(core::TransitionReason::Operator, core::SiteState::SeemsDown, core::SiteState::SeemsDown,
         waiting[0].by);
  close();
  const http::Response again = act("comment", body);
  EXPECT_EQ(again.status, 200U) << "it was done while the event was open";
  EXPECT_EQ(number(again), first);
  EXPECT_EQ(json::parse(again.body).at("state"), "done");
}

TEST_F(ApiIncidents, WhatCannotBeDoneIsRefused) {
  EXPECT_EQ(act("ack", R"({"by": "ann"})", "", "2").status, 404U);
  EXPECT_EQ(act("ack", R"({"by": "ann"})", "", "x").status, 400U);
  EXPECT_EQ(act("ack", R"({})").status, 400U);
  warn();
  const http::Response warning = act("close", R"({"by": "ann", "why": "not ours"})", "", "2");
  EXPECT_EQ(warning.status, 409U);
  EXPECT_THAT(warning.body, HasSubstr("is a warning (tls_expiring), and ends by itself"));
  close();
  const http::Response over = act("close", R"({"by": "ann", "why": "not ours"})");
  EXPECT_EQ(over.status, 409U);
  EXPECT_THAT(over.body, HasSubstr("is over since"));
  EXPECT_TRUE(store_->make_operator_desk().value()->waiting().value().empty());
}

TEST_F(ApiIncidents, AreListedAsTheCommandDoes) {
  const auto list = [&](std::map<std::string, std::string, std::less<>> query) {
    return ask("GET", "/api/v1/incidents", {.values = {}, .query = std::move(query)});
  };
  const json all = json::parse(list({}).body);
  ASSERT_EQ(all.at("incidents").size(), 1U);
  EXPECT_FALSE(all.at("more"));
  EXPECT_TRUE(all.at("groups").empty());
  EXPECT_EQ(all.at("incidents").at(0),
            json::parse(ask("GET", "/api/v1/incidents/{id}", {.values = {"1"}}).body));
  EXPECT_EQ(json::parse(list({{"open", "true"}, {"site", "1"}}).body).at("incidents").size(), 1U);
  EXPECT_EQ(json::parse(list({{"site", "2"}}).body).at("incidents").size(), 0U);
  warn();
  const json warnings = json::parse(list({{"kind", "tls_expiring"}}).body).at("incidents");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings.at(0).at("kind"), "tls_expiring");
  const json outages = json::parse(list({{"kind", "outage"}}).body).at("incidents");
  ASSERT_EQ(outages.size(), 1U);
  EXPECT_EQ(outages.at(0).at("kind"), "outage");
  EXPECT_THAT(list({{"kind", "down"}}).body, HasSubstr("kind is outage, tls_expiring"));
  close();
  const auto outages_of = [&](std::map<std::string, std::string, std::less<>> query) {
    query.emplace("kind", "outage");
    return json::parse(list(std::move(query)).body).at("incidents").size();
  };
  EXPECT_EQ(outages_of({{"open", "true"}}), 0U);
  EXPECT_EQ(outages_of({{"since", "90m"}}), 1U);
  EXPECT_EQ(outages_of({{"since", "30m"}}), 0U);
  EXPECT_EQ(list({{"since", "soon"}}).status, 400U);
  EXPECT_EQ(list({{"limit", "501"}}).status, 400U);
  EXPECT_EQ(ask("GET", "/api/v1/incidents/{id}", {.values = {"9"}}).status, 404U);
}

}  // namespace
}  // namespace watchwheel::app
