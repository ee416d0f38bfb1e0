// SPDX-License-Identifier: Apache-2.0
// Prometheus itself as the judge of what we tell it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "http/metrics.h"
#include "http/server.h"
#include "raw_client.h"
#include "support/child_process.h"
#include "support/fake_engine_view.h"
#include "support/promtool.h"

namespace watchwheel::http {
namespace {

using namespace std::chrono_literals;
using testing::FakeEngineView;

std::string page(const FakeEngineView& engine_with_more = {}) {
  FakeEngineView engine;
  engine.more = engine_with_more.more;
  Stats stats;
  stats.count(Refused::Timeout);
  append_metrics(stats, engine.more);
  return to_text(engine.collect());
}

TEST(Promtool, AcceptsOurPage) {
  EXPECT_EQ(testing::promtool_complaints(page()), "");
}

// The check can fail: what promtool objects to is seen.
TEST(Promtool, ObjectsToWhatBreaksTheConventions) {
  FakeEngineView engine;
  engine.more.push_back(counter("watchwheel_things", "A counter without _total.", 1));
  EXPECT_NE(testing::promtool_complaints(page(engine)), "");
  EXPECT_NE(testing::promtool_complaints("watchwheel_broken{\n"), "");
}

class PrometheusServer {
 public:
  explicit PrometheusServer(std::uint16_t target, const std::string& scrape_options = "")
      : port_(testing::free_port()),
        config_(dir_.write("prometheus.yml",
                           "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
                           "- job_name: watchwheel\n" +
                               scrape_options + "  static_configs: [{targets: ['127.0.0.1:" +
                               std::to_string(target) + "']}]\n")),
        process_({"prometheus", "--config.file=" + config_,
                  "--storage.tsdb.path=" + dir_.path() + "/data",
                  "--web.listen-address=127.0.0.1:" + std::to_string(port_)}) {}

  // The value of `query` once it is `wanted`; else the last one seen within a minute. Its first scrape comes after
  // five seconds or more.
  std::string value_of(const std::string& query, const std::string& wanted) {
    std::string seen = "nothing";
    for (int i = 0; i < 300 && process_.runs_for(200ms); ++i) {
      RawClient client(static_cast<std::uint16_t>(port_));
      if (!client.connected()) continue;
      // HTTP/1.0 in spirit: one request a connection, and a body whose length is told.
      client.send("GET /api/v1/query?query=" + query +
                  " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      const auto response = client.receive();
      if (!response || response->status != 200) continue;
      const auto json = nlohmann::json::parse(response->body);
      const auto& result = json.at("data").at("result");
      if (result.empty()) continue;
      seen = result.at(0).at("value").at(1).get<std::string>();
      if (seen == wanted) break;
    }
    return seen;
  }
  [[nodiscard]] std::string log() const { return process_.err(); }

 private:
  testing::TempDir dir_;
  int port_;
  std::string config_;
  testing::ChildProcess process_;
};

TEST(Prometheus, ScrapesUs) {
  FakeEngineView engine;
  auto server = *Server::open({.listen = "127.0.0.1:0", .token = {}, .limits = {}}, engine);
  server->start();
  PrometheusServer prometheus(server->local_port());
  EXPECT_EQ(prometheus.value_of("up", "1"), "1") << prometheus.log();
  EXPECT_EQ(prometheus.value_of("watchwheel_sites%7Bstate=%22up%22%7D", "3"), "3")
      << prometheus.log();
  EXPECT_EQ(prometheus.value_of("watchwheel_schedule_lag_seconds_count", "5"), "5")
      << prometheus.log();
  EXPECT_GE(server->stats().answers[2].value(), 1u);
}

TEST(Prometheus, ScrapesUsWithAToken) {
  FakeEngineView engine;
  auto server = *Server::open({.listen = "127.0.0.1:0", .token = "s3cret", .limits = {}}, engine);
  server->start();
  PrometheusServer prometheus(server->local_port(), "  authorization: {credentials: s3cret}\n");
  EXPECT_EQ(prometheus.value_of("up", "1"), "1") << prometheus.log();
}

}  // namespace
}  // namespace watchwheel::http
