// SPDX-License-Identifier: Apache-2.0
#include "http/routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "http/openapi.h"
#include "support/fake_engine_view.h"

namespace watchwheel::http {
namespace {

using testing::FakeEngineView;

Response ask(FakeEngineView& engine, std::string_view method, std::string_view target,
             const std::string& token = "", std::string_view authorization = "") {
  Routes routes(engine, token);
  return routes
      .answer({.method = method,
               .target = target,
               .host = "127.0.0.1:9464",
               .origin = {},
               .authorization = authorization},
              nullptr)
      .value();
}

// Answers at once with what it was asked.
class FakeDesk final : public StoreDesk {
 public:
  std::vector<StoreRoute> served{
      {.path = "/api/v1/things", .method = "GET", .query = {"name", "limit"}, .operation = kListed},
      {.path = "/api/v1/things", .method = "POST", .query = {}, .operation = kListed},
      {.path = "/api/v1/things/{id}/parts/{part}",
       .method = "GET",
       .query = {},
       .operation = kListed},
      {.path = "/api/v1/deeds",
       .method = "POST",
       .query = {},
       .operation = kListed,
       .json_bytes_max = 20,
       .token_needed = true},
  };
  std::vector<std::size_t> asked;
  std::string key;

  [[nodiscard]] const std::vector<StoreRoute>& routes() const override { return served; }
  void ask(std::size_t route, StoreRequest request, Answered answered) override {
    asked.push_back(route);
    key = request.idempotency_key;
    std::string said = std::to_string(route);
    for (const std::string& value : request.values) said += " " + value;
    for (const auto& [name, value] : request.query) said += " " + name + "=" + value;
    answered({.status = 200, .body = said + " " + request.body});
  }

 private:
  static constexpr const char* kListed =
      R"({"responses": {"200": {"description": "x", "content": {"application/json": {}}}}})";
};

struct Asking {
  std::string_view method = "GET";
  std::string_view target{};
  std::string_view origin{};
  std::string_view authorization{};
};

// The answer, whoever gives it.
Response ask_desk(FakeDesk& desk, const Asking& asking, const std::string& token = "") {
  FakeEngineView engine;
  Routes routes(engine, token, &desk);
  std::optional<Response> later;
  auto now = routes.answer({.method = asking.method,
                            .target = asking.target,
                            .host = "127.0.0.1:9464",
                            .origin = asking.origin,
                            .authorization = asking.authorization,
                            .body = "body"},
                           [&later](Response response) { later = std::move(response); });
  EXPECT_NE(now.has_value(), later.has_value());
  return now ? *std::move(now) : *std::move(later);
}

std::string header(const Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

TEST(Routes, MetricsAreInThePrometheusTextFormat) {
  FakeEngineView engine;
  const Response response = ask(engine, "GET", "/metrics?ignored=1");
  EXPECT_EQ(response.status, 200u);
  EXPECT_EQ(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(response.body.find("watchwheel_sites{state=\"up\"} 3"), std::string::npos);
}

TEST(Routes, HealthAndReadinessSayWhyNot) {
  FakeEngineView engine;
  EXPECT_EQ(ask(engine, "GET", "/-/healthy").status, 200u);
  EXPECT_EQ(ask(engine, "GET", "/-/ready").body, "ready\n");
  engine.unhealthy_because = "lane 2 stands still";
  engine.unready_because = "the sites are being loaded";
  const Response sick = ask(engine, "GET", "/-/healthy");
  EXPECT_EQ(sick.status, 503u);
  EXPECT_EQ(sick.body, "not healthy: lane 2 stands still\n");
  const Response loading = ask(engine, "GET", "/-/ready");
  EXPECT_EQ(loading.status, 503u);
  EXPECT_EQ(loading.body, "not ready: the sites are being loaded\n");
}

TEST(Routes, ReloadTellsWhatChangedOrEveryReasonWhyNot) {
  FakeEngineView engine;
  const Response good = ask(engine, "POST", "/-/reload");
  EXPECT_EQ(good.status, 200u);
  EXPECT_EQ(good.body, "reloaded\n");
  EXPECT_EQ(engine.reloads, 1);

  engine.reload_refused = "w.toml:3:1: error: one\nw.toml:4:1: error: two";
  const Response bad = ask(engine, "POST", "/-/reload");
  EXPECT_EQ(bad.status, 409u);
  EXPECT_EQ(bad.body, "w.toml:3:1: error: one\nw.toml:4:1: error: two\n");
}

TEST(Routes, AWrongMethodIsToldTheRightOnesAndDoesNothing) {
  FakeEngineView engine;
  for (const char* method : {"GET", "HEAD", "PUT", "post"}) {
    const Response response = ask(engine, method, "/-/reload");
    EXPECT_EQ(response.status, 405u) << method;
    EXPECT_EQ(header(response, "Allow"), "POST");
  }
  EXPECT_EQ(engine.reloads, 0);
  const Response response = ask(engine, "POST", "/metrics");
  EXPECT_EQ(response.status, 405u);
  EXPECT_EQ(header(response, "Allow"), "GET, HEAD");
}

TEST(Routes, APageOfAnotherOriginCannotReload) {
  FakeEngineView engine;
  Routes routes(engine, "");
  Request request{.method = "POST",
                  .target = "/-/reload",
                  .host = "127.0.0.1:9464",
                  .origin = "http://evil.example",
                  .authorization = {}};
  EXPECT_EQ(routes.answer(request, nullptr)->status, 403u);
  EXPECT_EQ(engine.reloads, 0);
  request.origin = "http://127.0.0.1:9464";
  EXPECT_EQ(routes.answer(request, nullptr)->status, 200u);
  EXPECT_EQ(engine.reloads, 1);
}

TEST(Routes, UnknownPathsAreJsonRefusals) {
  FakeEngineView engine;
  for (const char* path :
       {"/nothing", "/metrics/", "//metrics", "", "*", "/-/", "/%2e", "/api/v1/status\xff"}) {
    const Response response = ask(engine, "GET", path);
    EXPECT_EQ(response.status, 404u) << path;
    EXPECT_EQ(response.content_type, "application/json");
    EXPECT_TRUE(nlohmann::json::parse(response.body).at("error").is_string()) << path;
  }
}

// A stranger learns that the daemon lives and nothing else, not even which paths exist.
TEST(Routes, WithATokenOnlyHealthAndReadinessAreOpen) {
  FakeEngineView engine;
  for (const char* path :
       {"/", "/metrics", "/-/reload", "/api/v1/status", "/api/v1/openapi.json", "/nothing"}) {
    for (const char* authorization : {"", "Bearer wrong", "Basic c2VjcmV0"}) {
      for (const char* method : {"GET", "POST"}) {
        const Response response = ask(engine, method, path, "secret", authorization);
        EXPECT_EQ(response.status, 401u) << method << path;
        EXPECT_EQ(header(response, "WWW-Authenticate"), "Bearer realm=\"watchwheel\"");
        EXPECT_EQ(response.body.find("secret"), std::string::npos);
      }
    }
  }
  EXPECT_EQ(engine.reloads, 0);
  EXPECT_EQ(ask(engine, "GET", "/-/healthy", "secret").status, 200u);
  EXPECT_EQ(ask(engine, "GET", "/-/ready", "secret").status, 200u);
  EXPECT_EQ(ask(engine, "GET", "/metrics", "secret", "Bearer secret").status, 200u);
  EXPECT_EQ(ask(engine, "POST", "/-/reload", "secret", "Bearer secret").status, 200u);
}

TEST(Routes, StatusIsWhatTheEngineSays) {
  FakeEngineView engine;
  engine.status = R"({"sites":{"up":3}})";
  const Response response = ask(engine, "GET", "/api/v1/status");
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(response.body, engine.status);
}

TEST(Routes, WhatIsOfTheStoreIsAskedOfTheDeskWithItsValuesDecoded) {
  FakeDesk desk;
  EXPECT_EQ(ask_desk(desk, {.target = "/api/v1/things"}).body, "0 body");
  EXPECT_EQ(ask_desk(desk, {.method = "HEAD", .target = "/api/v1/things?"}).body, "0 body");
  EXPECT_EQ(ask_desk(desk, {.target = "/api/v1/things?limit=5&name=a+b%26%C3%A9"}).body,
            "0 limit=5 name=a b&\xc3\xa9 body");
  EXPECT_EQ(ask_desk(desk, {.method = "POST", .target = "/api/v1/things"}).body, "1 body");
  EXPECT_EQ(ask_desk(desk, {.target = "/api/v1/things/7/parts/a%2fb+c"}).body, "2 7 a/b+c body");
  EXPECT_EQ(desk.asked.size(), 5u);
}

TEST(Routes, WhatTheDeskWouldNotUnderstandItIsNotAsked) {
  FakeDesk desk;
  struct Case {
    Asking asking;
    unsigned status;
  };
  for (const Case& c : {
           Case{{.target = "/api/v1/things?nmae=x"}, 400},
           Case{{.target = "/api/v1/things?name=x&name=y"}, 400},
           Case{{.target = "/api/v1/things?name=%4"}, 400},
           Case{{.target = "/api/v1/things?name=%zz"}, 400},
           Case{{.target = "/api/v1/things/7/parts/1?limit=1"}, 400},
           Case{{.target = "/api/v1/things/"}, 404},
           Case{{.target = "/api/v1/things/7"}, 404},
           Case{{.target = "/api/v1/things//parts/1"}, 404},
           Case{{.target = "/api/v1/things/7/parts/%"}, 404},
           Case{{.target = "/api/v1/things/7/parts/1/"}, 404},
           Case{{.method = "DELETE", .target = "/api/v1/things"}, 405},
           Case{{.method = "POST", .target = "/api/v1/things/7/parts/1"}, 405},
           Case{{.method = "POST", .target = "/api/v1/things", .origin = "http://evil.example"},
                403},
       }) {
    EXPECT_EQ(ask_desk(desk, c.asking).status, c.status) << c.asking.method << c.asking.target;
  }
  EXPECT_EQ(header(ask_desk(desk, {.method = "PUT", .target = "/api/v1/things"}), "Allow"),
            "GET, HEAD, POST");
  EXPECT_EQ(ask_desk(desk, {.target = "/api/v1/things"}, "secret").status, 401u);
  std::string many = "/api/v1/things?";
  for (int i = 0; i < 40; ++i) many += "&";
  EXPECT_EQ(ask_desk(desk, {.target = many}).status, 400u);
  EXPECT_TRUE(desk.asked.empty());
}

// Goal: what is done in a person's name is done for whoever has the token, and for nobody where there is none; and what is no JSON of
// a bounded size goes no further than the listener.
TEST(Routes, WhatNeedsATokenAndJsonIsRefusedWithout) {
  struct Case {
    std::string_view token;
    Request request;
    unsigned status;
    std::string_view says;
  };
  const Request good{.method = "POST",
                     .target = "/api/v1/deeds",
                     .host = "127.0.0.1:9464",
                     .origin = {},
                     .authorization = "Bearer secret",
                     .body = "{}",
                     .content_type = "application/json",
                     .idempotency_key = "a-1"};
  const auto with = [&good](auto change) {
    Request request = good;
    change(request);
    return request;
  };
  const std::string long_key(65, 'k');
  const std::vector<Case> cases{
      {"secret", good, 200, "3"},
      {"", good, 403, "http.token_file"},
      {"other", good, 401, "http.token_file"},
      {"secret", with([](Request& r) { r.authorization = {}; }), 401, "http.token_file"},
      {"secret", with([](Request& r) { r.origin = "http://evil.example"; }), 403, "another origin"},
      {"secret", with([](Request& r) { r.method = "GET"; }), 405, "POST"},
      {"secret", with([](Request& r) { r.content_type = {}; }), 415, "application/json"},
      {"secret", with([](Request& r) { r.content_type = "text/plain"; }), 415, "application/json"},
      {"secret", with([](Request& r) { r.content_type = "application/jsonp"; }), 415, "json"},
      {"secret", with([](Request& r) { r.content_type = "Application/JSON ; charset=utf-8"; }), 200,
       "3"},
      {"secret", with([](Request& r) { r.body = "twenty bytes and one."; }), 413, "20 bytes"},
      {"secret", with([](Request& r) { r.body = "twenty bytes, and no"; }), 200, "3"},
      {"secret", with([](Request& r) { r.idempotency_key = {}; }), 200, "3"},
      {"secret", with([](Request& r) { r.idempotency_key = "a b"; }), 400, "Idempotency-Key"},
      {"secret", with([&](Request& r) { r.idempotency_key = long_key; }), 400, "Idempotency-Key"},
      {"secret", with([](Request& r) { r.target = "/api/v1/deeds?by=ann"; }), 400, "by"},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Case& c = cases[i];
    FakeDesk desk;
    FakeEngineView engine;
    Routes routes(engine, std::string(c.token), &desk);
    std::optional<Response> later;
    const auto now =
        routes.answer(c.request, [&later](Response response) { later = std::move(response); });
    const Response answer = now ? *now : later.value();
    EXPECT_EQ(answer.status, c.status) << i << " " << answer.body;
    EXPECT_NE(answer.body.find(c.says), std::string::npos) << i << " " << answer.body;
    EXPECT_EQ(desk.asked.size(), answer.status == 200 ? 1U : 0U) << i;
    if (answer.status == 200) {
      EXPECT_EQ(desk.key, c.request.idempotency_key);
    } else {
      EXPECT_TRUE(nlohmann::json::parse(answer.body).at("error").is_string()) << i;
    }
  }
}

TEST(OpenApi, DescribesWhatTheDeskServes) {
  FakeDesk desk;
  const auto document =
      nlohmann::json::parse(ask_desk(desk, {.target = "/api/v1/openapi.json"}).body);
  const auto& things = document.at("paths").at("/api/v1/things");
  EXPECT_TRUE(things.at("get").at("responses").contains("503"));
  EXPECT_FALSE(things.at("get").at("responses").contains("403"));
  EXPECT_TRUE(things.at("post").at("responses").contains("403"));
  EXPECT_TRUE(document.at("paths").contains("/api/v1/things/{id}/parts/{part}"));
  EXPECT_FALSE(things.at("post").contains("security"));
  const auto& deed = document.at("paths").at("/api/v1/deeds").at("post");
  EXPECT_EQ(deed.at("security"), nlohmann::json::parse(R"([{"bearer": []}])"));
  for (const char* refused : {"401", "403", "413", "415"})
    EXPECT_TRUE(deed.at("responses").contains(refused)) << refused;
  EXPECT_TRUE(document.at("paths").contains("/metrics"));
}

// Goal: the published description is true. Method: ask every path of it with every method.
TEST(OpenApi, DescribesWhatIsServedAndNothingElse) {
  FakeEngineView engine;
  const auto document = nlohmann::json::parse(ask(engine, "GET", "/api/v1/openapi.json").body);
  std::set<std::string> described;
  for (const auto& [path, item] : document.at("paths").items()) {
    for (const char* method : {"get", "post", "put", "delete", "patch"}) {
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
      const Response response = ask(engine, upper, path);
      EXPECT_NE(response.status, 404u) << path;
      EXPECT_EQ(response.status != 405, item.contains(method)) << method << " " << path;
      if (!item.contains(method)) continue;
      described.insert(path);
      const auto& answers = item.at(method).at("responses");
      ASSERT_TRUE(answers.contains("200")) << path;
      const std::string media = response.content_type.substr(0, response.content_type.find(';'));
      EXPECT_TRUE(answers.at("200").at("content").contains(media)) << path << " gives " << media;
      const bool open = item.at(method).contains("security");
      EXPECT_EQ(ask(engine, upper, path, "secret").status == 401, !open) << path;
    }
  }
  const auto paths = Routes(engine, "").paths();
  EXPECT_EQ(described, std::set<std::string>(paths.begin(), paths.end()));
}

}  // namespace
}  // namespace watchwheel::http
