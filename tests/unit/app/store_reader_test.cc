// SPDX-License-Identifier: Apache-2.0
#include "app/store_reader.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/api_routes.h"
#include "app/config.h"
#include "db/store.h"
#include "support/temp_dir.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// What was answered, for whoever waits for it.
class Answers {
 public:
  http::StoreDesk::Answered next() {
    return [this](http::Response response) {
      const std::lock_guard lock(mutex_);
      all_.push_back(std::move(response));
      condition_.notify_all();
    };
  }
  std::vector<http::Response> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    condition_.wait_for(lock, 60s, [&] { return all_.size() >= count; });
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  std::vector<http::Response> all_;
};

std::string retry_after(const http::Response& response) {
  for (const auto& [name, value] : response.headers) {
    if (name == "Retry-After") return value;
  }
  return "";
}

ApiRoute route(std::function<core::Result<http::Response>()> answer) {
  return {.route = {.path = "/x"},
          .answer = [answer = std::move(answer)](const auto&, const auto&) { return answer(); }};
}

class StoreReaderTest : public ::testing::Test {
 protected:
  StoreReader::OpenStore opener() {
    return [this] { return db::open_store("sqlite://" + dir_.file("w.db")); };
  }
  testing::TempDir dir_;
  core::ManualClock clock_;
  Answers answers_;
};

// Goal: the http thread never waits. Method: a handler that stands still; what is beyond the room is answered before ask() returns,
// what is within in its order, and what has waited for too long is not put to the store.
TEST_F(StoreReaderTest, AnswersInOrderWithinItsRoomAndRefusesWhatIsBeyond) {
  std::mutex mutex;
  std::condition_variable condition;
  bool inside = false;
  bool go_on = false;
  int done = 0;
  StoreReader reader(opener(), {route([&]() -> core::Result<http::Response> {
                       std::unique_lock lock(mutex);
                       inside = true;
                       condition.notify_all();
                       condition.wait(lock, [&] { return go_on; });
                       return http::Response{.status = 200, .body = std::to_string(++done)};
                     })},
                     clock_);
  reader.start();
  reader.ask(0, {}, answers_.next());
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(condition.wait_for(lock, 60s, [&] { return inside; }));
  }
  for (std::size_t i = 0; i < StoreReader::kWaitingMax; ++i) {
    if (i == StoreReader::kWaitingMax / 2) clock_.advance(StoreReader::kPatience);
    reader.ask(0, {}, answers_.next());
  }
  EXPECT_EQ(reader.waiting(), StoreReader::kWaitingMax);
  std::optional<http::Response> refused;
  reader.ask(0, {}, [&](http::Response response) { refused = std::move(response); });
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503u);
  EXPECT_EQ(retry_after(*refused), "1");
  {
    const std::lock_guard lock(mutex);
    go_on = true;
  }
  condition.notify_all();
  const auto all = answers_.wait_for(1 + StoreReader::kWaitingMax);
  ASSERT_EQ(all.size(), 1 + StoreReader::kWaitingMax);
  EXPECT_EQ(all.front().body, "1");
  for (std::size_t i = 1; i <= StoreReader::kWaitingMax / 2; ++i) {
    EXPECT_EQ(all[i].status, 503u);
    EXPECT_EQ(retry_after(all[i]), "5");
  }
  EXPECT_EQ(all.back().body, std::to_string(1 + StoreReader::kWaitingMax / 2));
  EXPECT_EQ(reader.stats().refused.value(), 1u);
  EXPECT_EQ(reader.stats().expired.value(), StoreReader::kWaitingMax / 2);
  reader.stop();
  EXPECT_EQ(reader.stats().answered.value(), 1 + StoreReader::kWaitingMax);
}

TEST_F(StoreReaderTest, ErrorsAreAnswersAndAStoreThatIsAwayIsTriedAgain) {
  using core::ErrorKind;
  std::vector<ApiRoute> routes;
  for (const ErrorKind kind : {ErrorKind::Invalid, ErrorKind::NotFound, ErrorKind::Unavailable,
                               ErrorKind::Unknown, ErrorKind::Corrupt}) {
    routes.push_back(route([kind]() -> core::Result<http::Response> {
      return core::Error{kind, "so it is"};
    }));
  }
  routes.push_back(route([]() -> core::Result<http::Response> { return http::Response{}; }));
  int opened = 0;
  StoreReader reader(
      [&, open = opener()]() -> core::Result<std::unique_ptr<db::Store>> {
        if (++opened < 3) return core::Error{ErrorKind::Unavailable, "the server is away"};
        return open();
      },
      routes, clock_);
  reader.start();
  for (int i = 0; i < 2; ++i) reader.ask(5, {}, answers_.next());
  for (std::size_t i = 0; i < 6; ++i) reader.ask(i, {}, answers_.next());
  const auto all = answers_.wait_for(8);
  std::vector<unsigned> statuses;
  for (const http::Response& one : all) statuses.push_back(one.status);
  EXPECT_EQ(statuses, (std::vector<unsigned>{503, 503, 400, 404, 503, 503, 500, 200}));
  EXPECT_EQ(json::parse(all[0].body).at("error"), "the server is away");
  EXPECT_EQ(json::parse(all[2].body).at("error"), "so it is");
  EXPECT_EQ(opened, 3);
}

TEST_F(StoreReaderTest, WhatIsLeftWhenItStopsIsAnswered) {
  StoreReader reader(
      opener(), {route([]() -> core::Result<http::Response> { return http::Response{}; })}, clock_);
  for (int i = 0; i < 3; ++i) reader.ask(0, {}, answers_.next());  // Nobody takes them.
  reader.stop();
  reader.ask(0, {}, answers_.next());
  const auto all = answers_.wait_for(4);
  ASSERT_EQ(all.size(), 4u);
  for (const http::Response& one : all) EXPECT_EQ(one.status, 503u);
}

TEST(StoreReaderValues, NumbersAndFlagsAreTakenWithinTheirBounds) {
  const http::StoreRequest request{.values = {"7", "x", "0"},
                                   .query = {{"limit", "500"},
                                             {"over", "501"},
                                             {"sign", "-1"},
                                             {"none", ""},
                                             {"yes", "true"},
                                             {"no", "false"}},
                                   .body = {}};
  const NumberRange range{.least = 1, .most = 500, .usual = 100};
  EXPECT_EQ(*number_in(request, "limit", range), 500u);
  EXPECT_EQ(*number_in(request, "absent", range), 100u);
  for (const char* name : {"over", "sign", "none", "yes"})
    EXPECT_EQ(number_in(request, name, range).error().kind, core::ErrorKind::Invalid) << name;
  EXPECT_TRUE(*flag_in(request, "yes"));
  EXPECT_FALSE(*flag_in(request, "no"));
  EXPECT_FALSE(*flag_in(request, "absent"));
  EXPECT_FALSE(flag_in(request, "limit"));
  EXPECT_EQ(*id_in(request), 7u);
  EXPECT_FALSE(id_in(request, 1));
  EXPECT_FALSE(id_in(request, 2));
}

// Goal: each route of the API can be described: its operation is JSON with an answer 200, its braces are its parameters.
TEST(ApiRoutes, SayWhatTheyAre) {
  for (const ApiRoute& one : api_routes(Config{})) {
    SCOPED_TRACE(one.route.method + " " + one.route.path);
    const json operation = json::parse(one.route.operation, nullptr, false);
    ASSERT_TRUE(operation.is_object());
    EXPECT_TRUE(operation.contains("summary"));
    EXPECT_TRUE(operation.at("responses").contains("200"));
    std::vector<std::string> described;
    for (const json& parameter : operation.value("parameters", json::array())) {
      const std::string name = parameter.at("name");
      if (parameter.at("in") == "query") described.push_back(name);
      if (parameter.at("in") == "path") {
        EXPECT_NE(one.route.path.find("{" + name + "}"), std::string::npos) << name;
      }
    }
    EXPECT_EQ(described, one.route.query);
  }
}

}  // namespace
}  // namespace watchwheel::app
