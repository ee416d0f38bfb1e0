// SPDX-License-Identifier: Apache-2.0
// What the running daemon tells of itself: the document is what the description of the endpoint says, the figures are of the last
// minutes, and the page and the command show the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon.h"

namespace watchwheel {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Does `value` fit `schema`, as far as the words go that our description uses? "" or what does not.
std::string misfit(const json& value, const json& schema, const std::string& where) {
  const std::string type = schema.value("type", "");
  const bool fits =
      type.empty() || (type == "object" && value.is_object()) ||
      (type == "array" && value.is_array()) || (type == "string" && value.is_string()) ||
      (type == "boolean" && value.is_boolean()) || (type == "number" && value.is_number()) ||
      (type == "integer" && value.is_number_integer());
  if (!fits) return where + " is no " + type + ": " + value.dump();
  if (schema.contains("enum") &&
      std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
    return where + " is not in the list: " + value.dump();
  for (const auto& key : schema.value("required", json::array())) {
    if (!value.contains(key.get<std::string>())) return where + " lacks " + key.dump();
  }
  std::string found;
  const json described = schema.value("properties", json::object());
  const json members = value.is_object() ? value : json::object();
  for (const auto& [key, inner] : members.items()) {
    if (described.contains(key)) {
      found += misfit(inner, described[key], where + "/" + key);
    } else if (schema.contains("additionalProperties")) {
      found += misfit(inner, schema["additionalProperties"], where + "/" + key);
    } else if (!described.empty()) {
      found += where + "/" + key + " is not described; ";
    }
  }
  if (value.is_array() && schema.contains("items")) {
    for (const json& item : value) found += misfit(item, schema["items"], where + "[]");
  }
  return found;
}

TEST(DaemonStatus, IsWhatIsDescribedAndOfTheLastMinutes) {
  const testing::TempDir dir;
  fleet::Config config;
  config.sites = 40;
  config.interval = 5s;
  config.cert_dir = dir.file("certs");
  const testing::FleetThread fleet(config);
  testing::DaemonUnderTest daemon(fleet, 5s);
  daemon.import_sites(40);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(testing::eventually([&] {
    const json status = daemon.status();
    return status.at("recent").at("done_per_second").size() >= 2 &&
           status.at("sites").at("up") == 40;
  })) << daemon.status().dump(1);

  const json status = daemon.status();
  const json described = json::parse(*daemon.get("/api/v1/openapi.json"));
  EXPECT_EQ(misfit(status, described.at("components").at("schemas").at("Status"), ""), "");
  EXPECT_GE(status.at("lag_s").at("window_s").get<double>(), 9);
  EXPECT_LE(status.at("lag_s").at("p50").get<double>(), status.at("lag_s").at("max").get<double>());
  double done = 0;
  for (const json& lane : status.at("lanes")) done += lane.at("done_per_second").get<double>();
  EXPECT_GT(done, 0);
  EXPECT_GT(status.at("freshness").at("within_interval_share").get<double>(), 0.5);
  const std::string sentence = status.at("summary").at("text");
  EXPECT_NE(sentence, "");

  const testing::Finished text = daemon.command({"status"});
  EXPECT_EQ(text.status, 0);
  EXPECT_THAT(text.out,
              AllOf(HasSubstr("of the last "), HasSubstr("Pressure"), HasSubstr("Lanes")));
  EXPECT_THAT(*daemon.get("/"),
              AllOf(HasSubstr("class=\"summary "), HasSubstr("<polyline"), HasSubstr("<meter")));
  EXPECT_EQ(daemon.stop().status, 0);
}

}  // namespace
}  // namespace watchwheel
