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
  return routes.answer({.method = method,
                        .target = target,
                        .host = "127.0.0.1:9464",
                        .origin = {},
                        .authorization = authorization});
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
  EXPECT_EQ(routes.answer(request).status, 403u);
  EXPECT_EQ(engine.reloads, 0);
  request.origin = "http://127.0.0.1:9464";
  EXPECT_EQ(routes.answer(request).status, 200u);
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
  const auto paths = Routes::paths();
  EXPECT_EQ(described, std::set<std::string>(paths.begin(), paths.end()));
}

}  // namespace
}  // namespace watchwheel::http
