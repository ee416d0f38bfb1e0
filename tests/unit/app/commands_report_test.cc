// SPDX-License-Identifier: Apache-2.0
// Goal: a report says up only of time in which somebody looked.
#include "app/commands_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "app/api_reports.h"
#include "support/temp_dir.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

core::WallTime at(std::int64_t s) {
  return core::WallTime{std::chrono::seconds{1'700'000'000 + s}};
}

db::SiteHistory healthy() {
  db::SiteHistory site;
  site.id = core::SiteId{1};
  site.created_at = site.updated_at = at(-1000);
  site.seen = true;
  site.measured = true;
  site.checked_at = at(95);
  return site;
}

core::Uptime of(const db::SiteHistory& site) {
  return site_uptime(site, {at(0), at(100)}, at(100), 20s);
}

TEST(SiteUptime, IsUnknownFromItsNewestResultOnWhenNobodyLooks) {
  EXPECT_EQ(of(healthy()).up, 100s);

  db::SiteHistory site = healthy();
  site.checked_at = at(80);
  EXPECT_EQ(of(site).up, 100s) << "a projection may be so old";
  site.checked_at = at(79);
  EXPECT_EQ(of(site).unknown, 21s);

  site = healthy();
  site.measured = false;
  site.checked_at = at(90);
  EXPECT_EQ(of(site).unknown, 10s);

  site = healthy();
  site.active = false;
  EXPECT_EQ(of(site).unknown, 5s);

  site = healthy();
  site.measured.reset();
  site.checked_at = core::kNoWallTime;
  site.updated_at = at(60);
  EXPECT_EQ(of(site).unknown, 40s) << "another URL since then";

  site = healthy();
  site.seen = false;
  site.measured.reset();
  site.checked_at = core::kNoWallTime;
  site.created_at = at(40);
  EXPECT_EQ(of(site).unknown, 60s);
  EXPECT_EQ(of(site).unwatched, 40s);
  EXPECT_EQ(of(site).up, 0s);
}

TEST(SiteUptime, EndsWithTheSite) {
  db::SiteHistory site = healthy();
  site.deleted_at = at(30);
  site.measured.reset();
  site.checked_at = core::kNoWallTime;
  EXPECT_EQ(of(site).up, 30s);
  EXPECT_EQ(of(site).unwatched, 70s);
  site.seen = false;
  EXPECT_EQ(of(site).unknown, 30s) << "nobody ever looked";
}

TEST(SiteUptime, KnowsNothingOfItsGaps) {
  db::SiteHistory site = healthy();
  site.gaps = {{at(10), at(30)}};
  site.troubles = {{at(20), at(50), true}};
  EXPECT_EQ(of(site).unknown, 20s);
  EXPECT_EQ(of(site).down, 20s);
  EXPECT_EQ(of(site).up, 60s);
}

TEST(SiteUptime, CountsMaintenanceAndWhatIsNoLongerKeptApart) {
  db::SiteHistory site = healthy();
  site.troubles = {{at(20), at(50), true}};
  const std::vector<core::TimeSpan> maintenance{{at(40), at(60)}};
  core::Uptime uptime = site_uptime(site, {at(0), at(100)}, at(100), 20s, maintenance);
  EXPECT_EQ(uptime.maintenance, 20s);
  EXPECT_EQ(uptime.down, 20s);
  EXPECT_EQ(uptime.up, 60s);
  uptime = site_uptime(site, {at(0), at(100)}, at(100), 20s, maintenance, at(30));
  EXPECT_EQ(uptime.unknown, 30s) << "what ended before was removed";
  EXPECT_EQ(uptime.down, 10s);
  EXPECT_EQ(uptime.up, 40s);
}

TEST(AvailabilityText, NeverRoundsDowntimeAway) {
  EXPECT_EQ(availability_text({}), "-");
  EXPECT_EQ(availability_text({.up = 100s}), "100.000%");
  EXPECT_EQ(availability_text({.down = 100s}), "0.000%");
  EXPECT_EQ(availability_text({.up = 10'000'000s, .down = 1s}), "99.999%");
  EXPECT_EQ(availability_text({.up = 1s, .down = 10'000'000s}), "0.001%");
  EXPECT_EQ(availability_text({.up = 99'989s, .down = 11s}), "99.989%");
}

// The command on a real store.
class Report : public ::testing::Test {
 protected:
  void SetUp() override {
    config_ = dir_.write("w.toml", "[store]\nurl = \"sqlite://" + dir_.file("w.db") + "\"\n");
    auto store = db::open_store("sqlite://" + dir_.file("w.db"));
    ASSERT_TRUE(store);
    ASSERT_TRUE((*store)->migrate(false));
    auto catalog = (*store)->make_site_catalog();
    core::SiteRecord shop;
    shop.url = "https://shop.example/?a=1,2";
    shop.name = "the \"shop\"";
    shop.tags = {"shop", "eu"};
    core::SiteRecord blog;
    blog.url = "https://blog.example/";
    blog.tags = {"eu"};
    ASSERT_TRUE((*catalog)->upsert(std::vector{shop, blog}));
  }
  int run(ReportArgs args) {
    args.config = config_;
    std::istringstream in;
    out_.str("");
    err_.str("");
    Io io{in, out_, err_};
    return show_report(args, io);
  }

  testing::TempDir dir_;
  std::string config_;
  std::ostringstream out_, err_;
};

TEST_F(Report, IsOneDocumentOfSitesOrOfTags) {
  ASSERT_EQ(run({.json = true}), kExitOk) << err_.str();
  const Json sites = Json::parse(out_.str());
  ASSERT_EQ(sites.at("sites").size(), 2U);
  EXPECT_EQ(sites["sites"][0]["url"], "https://shop.example/?a=1,2");
  EXPECT_TRUE(sites["sites"][0]["availability"].is_null()) << "nobody has looked yet";
  EXPECT_EQ(sites["sites"][0]["up_s"], 0.0);
  EXPECT_EQ(sites["all"]["sites"], 2);

  ASSERT_EQ(run({.by_tag = true, .json = true}), kExitOk) << err_.str();
  const Json tags = Json::parse(out_.str());
  ASSERT_EQ(tags.at("tags").size(), 2U);
  EXPECT_EQ(tags["tags"][0]["tag"], "eu");
  EXPECT_EQ(tags["tags"][0]["sites"], 2);
  EXPECT_EQ(tags["tags"][1]["sites"], 1);

  ASSERT_EQ(run({.tag = "none", .json = true}), kExitOk);
  EXPECT_TRUE(Json::parse(out_.str()).at("sites").empty());
}

TEST_F(Report, IsCsvWithAHeader) {
  ASSERT_EQ(run({.csv = true}), kExitOk) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("id,url,name,tags,availability,up_s,"));
  EXPECT_THAT(
      out_.str(),
      HasSubstr("1,\"https://shop.example/?a=1,2\",\"the \"\"shop\"\"\",\"shop,eu\",,0.0,"));
  ASSERT_EQ(run({.site = 2}), kExitOk) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("site 2 https://blog.example/"));
  EXPECT_THAT(out_.str(), HasSubstr("all, 1 site\n"));
}

// What two checks of two seconds ago and a window that holds now leave in a report, in each form.
TEST_F(Report, TellsResponseTimesAndMaintenance) {
  auto store = db::open_store("sqlite://" + dir_.file("w.db"));
  ASSERT_TRUE(store);
  const core::WallTime now = core::SystemClock().wall();
  core::FreshnessMark mark;
  mark.site = core::SiteId{1};
  mark.checked_at = now;
  for (const auto took : {120ms, 130ms, 900ms}) mark.responses.add(took);
  ASSERT_TRUE((*(*store)->make_freshness_sink())->write(std::vector{mark}));
  core::ResponseHistogram minute;
  minute += mark.responses;
  const sideeffects::ResponsePage page{.hour = std::chrono::floor<std::chrono::hours>(now),
                                       .by_hour = true,
                                       .token = 1,
                                       .sites = {{.counts = mark.responses, .offset = 1}}};
  ASSERT_TRUE((*(*store)->make_history_store())->add_pages("", std::vector{page}));
  ASSERT_TRUE((*(*store)->make_history_store())
                  ->add_minute("", std::chrono::floor<std::chrono::minutes>(now), minute));
  sideeffects::MaintenanceWindow window;
  window.tags = {"shop"};
  window.starts_at = now - 2h;
  window.ends_at = now + 2h;
  window.title = "move";
  ASSERT_TRUE((*(*store)->make_maintenance_store())->add(window));

  ASSERT_EQ(run({.since = "1d", .json = true}), kExitOk) << err_.str();
  const Json json = Json::parse(out_.str());
  EXPECT_EQ(json["response_times"]["width_s"], 3600.0);
  const Json& shop = json["sites"][0];
  EXPECT_EQ(shop["responses"], 3);
  EXPECT_EQ(shop["p50_ms"], 152.2) << "the end of the step that 130 ms is in";
  EXPECT_EQ(shop["p99_ms"], 1024.0);
  EXPECT_GT(shop["maintenance_s"], 0.0);
  EXPECT_EQ(shop["unknown_s"], 0.0);
  EXPECT_EQ(json["sites"][1]["responses"], 0);
  EXPECT_TRUE(json["sites"][1]["p50_ms"].is_null());
  EXPECT_EQ(json["sites"][1]["maintenance_s"], 0.0);
  EXPECT_EQ(json["all"]["responses"], 3);

  ASSERT_EQ(run({.since = "1d"}), kExitOk) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("p50 152ms p90 1.0s p95 1.0s p99 1.0s"));
  ASSERT_EQ(run({.since = "1d", .csv = true}), kExitOk) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr(",3,152.2,1024.0,1024.0,1024.0\n"));

  ASSERT_EQ(run({.since = "1h", .minutes = true, .json = true}), kExitOk) << err_.str();
  const Json minutes = Json::parse(out_.str());
  ASSERT_EQ(minutes.at("minutes").size(), 1U);
  EXPECT_EQ(minutes["minutes"][0]["responses"], 3);
  ASSERT_EQ(run({.since = "1h", .minutes = true, .csv = true}), kExitOk) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("Z,3,152.2,1024.0,1024.0,1024.0\n"));
  ASSERT_EQ(run({.since = "1h", .minutes = true}), kExitOk) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("p50 152ms p90 1.0s p95 1.0s p99 1.0s  of 3\n"));
  EXPECT_EQ(run({.by_tag = true, .minutes = true}), kExitUsage);
}

TEST_F(Report, IsServedAPageAtATime) {
  auto store = db::open_store("sqlite://" + dir_.file("w.db"));
  ASSERT_TRUE(store);
  const std::vector<ApiRoute> routes = report_routes(Config{});
  ASSERT_EQ(routes.size(), 2U);
  const ApiContext context{**store, core::SystemClock().wall()};
  const auto ask = [&](std::size_t route, std::map<std::string, std::string, std::less<>> query) {
    for (const auto& [name, value] : query)
      EXPECT_THAT(routes[route].route.query, ::testing::Contains(name));
    return routes[route].answer({.query = std::move(query)}, context);
  };
  EXPECT_TRUE(Json::accept(routes[0].route.operation));
  EXPECT_TRUE(Json::accept(routes[1].route.operation));
  auto answer = ask(0, {{"limit", "1"}});
  ASSERT_TRUE(answer) << answer.error().message;
  Json page = Json::parse(answer->body);
  ASSERT_EQ(page["sites"].size(), 1U);
  EXPECT_EQ(page["sites"][0]["id"], 1);
  EXPECT_EQ(page["next"], 1);
  page = Json::parse(ask(0, {{"limit", "2"}, {"after", "1"}})->body);
  ASSERT_EQ(page["sites"].size(), 1U);
  EXPECT_EQ(page["sites"][0]["id"], 2);
  EXPECT_TRUE(page["next"].is_null());
  EXPECT_TRUE(Json::parse(ask(0, {{"tag", "none"}})->body)["sites"].empty());
  EXPECT_EQ(ask(0, {{"site", "77"}}).error().kind, core::ErrorKind::NotFound);
  EXPECT_EQ(ask(0, {{"since", "soon"}}).error().kind, core::ErrorKind::Invalid);
  EXPECT_EQ(ask(0, {{"limit", "501"}}).error().kind, core::ErrorKind::Invalid);
  EXPECT_TRUE(Json::parse(ask(1, {})->body)["minutes"].empty());
  EXPECT_EQ(ask(1, {{"since", "2d"}}).error().kind, core::ErrorKind::Invalid);
}

TEST_F(Report, RefusesAWindowThatIsNone) {
  EXPECT_EQ(run({.since = "soon"}), kExitUsage);
  EXPECT_THAT(err_.str(), HasSubstr("--since: 'soon' is no time"));
  EXPECT_EQ(run({.until = "late"}), kExitUsage);
  EXPECT_THAT(err_.str(), HasSubstr("--until: 'late' is no time"));
  EXPECT_EQ(run({.since = "1h", .until = "2h"}), kExitUsage);
  EXPECT_THAT(err_.str(), HasSubstr("the window is empty"));
  EXPECT_EQ(run({.site = 77}), kExitBad);
  EXPECT_THAT(err_.str(), HasSubstr("no site 77"));
}

}  // namespace
}  // namespace watchwheel::app
