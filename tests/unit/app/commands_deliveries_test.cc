// SPDX-License-Identifier: Apache-2.0
// Goal: whoever is on call sees what waits and what was given up, and can send it again. Method: the commands on a store of their own.
#include "app/commands_deliveries.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/api_deliveries.h"
#include "support/temp_dir.h"

namespace watchwheel::app {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Deliveries : public ::testing::Test {
 protected:
  Deliveries() {
    std::ofstream(config_) << "[store]\nurl = \"sqlite://" << dir_.file("w.db") << "\"\n";
    store_ = db::open_store("sqlite://" + dir_.file("w.db")).value();
    EXPECT_TRUE(store_->migrate(false));
    outbox_ = store_->make_outbox().value();
    queue_ = store_->make_delivery_queue().value();
  }

  void put(const std::string& target, const std::string& id) {
    const sideeffects::NewDelivery one{.target = target,
                                       .kind = "down",
                                       .message_id = id,
                                       .line = ++line_,
                                       .site = {},
                                       .body = R"({"a":1})"};
    ASSERT_TRUE(outbox_->settle({}, std::span(&one, 1), {}));
  }
  void bury_all(const std::string& target) {
    const std::vector<sideeffects::Want> wants{{target, 100}};
    const auto claimed = queue_->claim(wants, std::chrono::minutes{1}, {"n", 1}).value();
    for (const auto& delivery : claimed.deliveries) {
      const sideeffects::Finish finish{
          .id = delivery.id,
          .token = delivery.token,
          .verdict = sideeffects::Bury{sideeffects::DeathReason::Permanent},
          .http_status = 404,
          .detail = "no such hook"};
      ASSERT_TRUE(queue_->finish(std::span(&finish, 1)));
    }
  }
  template <typename Args>
  int run(int (*command)(const Args&, Io&), Args args) {
    out_.str("");
    err_.str("");
    args.config = config_;
    Io io{in_, out_, err_};
    return command(args, io);
  }
  json shown(DeliveriesArgs args) {
    args.json = true;
    EXPECT_EQ(run(show_deliveries, args), kExitOk) << err_.str();
    return json::parse(out_.str());
  }

  testing::TempDir dir_;
  const std::string config_ = dir_.file("w.toml");
  std::unique_ptr<db::Store> store_;
  std::unique_ptr<sideeffects::Outbox> outbox_;
  std::unique_ptr<sideeffects::DeliveryQueue> queue_;
  std::uint64_t line_ = 0;
  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(Deliveries, AreListedAsTheyWait) {
  EXPECT_EQ(run(show_deliveries, DeliveriesArgs{}), kExitOk);
  EXPECT_EQ(out_.str(), "nothing waits to be told\n");
  for (int i = 0; i < 3; ++i) put("ops", "m" + std::to_string(i));
  put("chat", "c");
  EXPECT_EQ(run(show_deliveries, DeliveriesArgs{}), kExitOk);
  EXPECT_THAT(out_.str(), HasSubstr("waiting  down to ops"));
  EXPECT_THAT(out_.str(), HasSubstr("0 attempts, due"));
  DeliveriesArgs args;
  args.limit = 2;
  json all = shown(args);
  EXPECT_EQ(all["deliveries"].size(), 2U);
  EXPECT_TRUE(all["more"]);
  args.limit = 0;
  args.target = "chat";
  all = shown(args);
  ASSERT_EQ(all["deliveries"].size(), 1U);
  EXPECT_EQ(all["deliveries"][0]["message_id"], "c");
  EXPECT_EQ(all["deliveries"][0]["status"], "waiting");
  EXPECT_FALSE(all["more"]);
}

TEST_F(Deliveries, ThatAreDeadTellWhyAndAreRequeued) {
  for (int i = 0; i < 3; ++i) put("ops", "m" + std::to_string(i));
  bury_all("ops");
  DeliveriesArgs args;
  args.dead = true;
  const json dead = shown(args);
  ASSERT_EQ(dead["deliveries"].size(), 3U);
  EXPECT_EQ(dead["deliveries"][0]["reason"], "permanent");
  EXPECT_EQ(dead["deliveries"][0]["http_status"], 404);
  const std::uint64_t id = dead["deliveries"][0]["id"];
  args.id = id;
  const json one = shown(args);
  EXPECT_EQ(one["failed_attempts"][0]["detail"], "no such hook");
  EXPECT_EQ(one["body"]["a"], 1);

  RequeueArgs again;
  again.id = id;
  EXPECT_EQ(run(requeue, again), kExitOk) << err_.str();
  EXPECT_EQ(run(requeue, again), kExitBad);
  EXPECT_THAT(err_.str(), HasSubstr("no dead letter"));
  EXPECT_EQ(shown(args)["requeues"], 1);
  again.id = 0;
  again.all = true;
  again.per_minute = 60;
  EXPECT_EQ(run(requeue, again), kExitOk);
  EXPECT_EQ(out_.str(), "requeued 2, the last of them in 1s\n");
}

TEST_F(Deliveries, WhatMakesNoSenseIsRefused) {
  RequeueArgs again;
  EXPECT_EQ(run(requeue, again), kExitUsage);
  again.id = 1;
  again.all = true;
  EXPECT_EQ(run(requeue, again), kExitUsage);
  again.all = false;
  again.target = "ops";
  EXPECT_EQ(run(requeue, again), kExitUsage);
  DeliveriesArgs args;
  args.reason = "gone";
  EXPECT_EQ(run(show_deliveries, args), kExitUsage);
  args.dead = true;
  args.reason = "moonlight";
  EXPECT_EQ(run(show_deliveries, args), kExitUsage);
  EXPECT_THAT(err_.str(), HasSubstr("max_attempts"));
  args.reason = "";
  args.id = 77;
  EXPECT_EQ(run(show_deliveries, args), kExitBad);
}

// Goal: the API says what the command says. Method: its handlers on the same store.
TEST_F(Deliveries, OverHttpAreTheSame) {
  for (int i = 0; i < 3; ++i) put("ops", "m" + std::to_string(i));
  put("chat", "c");
  const auto ask = [&](const std::string& path, http::StoreRequest request) {
    for (const ApiRoute& one : delivery_routes()) {
      if (one.route.path == path)
        return one.answer(request, {.store = *store_, .now = core::kNoWallTime});
    }
    return core::Result<http::Response>(core::Error{core::ErrorKind::NotFound, "no such route"});
  };
  const std::string list = "/api/v1/deliveries";
  json all = json::parse(ask(list, {.query = {{"limit", "2"}}})->body);
  EXPECT_EQ(all["deliveries"].size(), 2U);
  EXPECT_TRUE(all["more"]);
  const std::uint64_t last = all["deliveries"][1]["id"];
  all =
      json::parse(ask(list, {.query = {{"after", std::to_string(last)}, {"target", "ops"}}})->body);
  ASSERT_EQ(all["deliveries"].size(), 1U);
  EXPECT_EQ(all["deliveries"][0]["message_id"], "m2");
  EXPECT_FALSE(all["more"]);

  bury_all("ops");
  all = json::parse(ask(list, {.query = {{"dead", "true"}, {"reason", "permanent"}}})->body);
  ASSERT_EQ(all["deliveries"].size(), 3U);
  const std::string id = std::to_string(all["deliveries"][0]["id"].get<std::uint64_t>());
  EXPECT_EQ(json::parse(ask(list + "/{id}", {.values = {id}})->body)["reason"], "permanent");
  EXPECT_EQ(json::parse(ask(list + "/{id}/requeue", {.values = {id}})->body)["requeued"], 1);
  EXPECT_EQ(json::parse(ask(list + "/{id}", {.values = {id}})->body)["status"], "waiting");

  const auto refused = [&](const std::string& path, http::StoreRequest request) {
    const auto answer = ask(path, std::move(request));
    return answer ? core::ErrorKind::Corrupt : answer.error().kind;
  };
  using core::ErrorKind;
  EXPECT_EQ(refused(list + "/{id}", {.values = {"999"}}), ErrorKind::NotFound);
  EXPECT_EQ(refused(list + "/{id}/requeue", {.values = {id}}), ErrorKind::NotFound);
  EXPECT_EQ(refused(list, {.query = {{"reason", "permanent"}}}), ErrorKind::Invalid);
  EXPECT_EQ(refused(list, {.query = {{"dead", "true"}, {"reason", "bad"}}}), ErrorKind::Invalid);
  EXPECT_EQ(refused(list, {.query = {{"limit", "501"}}}), ErrorKind::Invalid);
  EXPECT_EQ(refused(list, {.query = {{"dead", "yes"}}}), ErrorKind::Invalid);
}

}  // namespace
}  // namespace watchwheel::app
