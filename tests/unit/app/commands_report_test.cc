// SPDX-License-Identifier: Apache-2.0
// Goal: a report says up only of time in which somebody looked.
#include "app/commands_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "support/temp_dir.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

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
