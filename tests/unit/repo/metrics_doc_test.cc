// SPDX-License-Identifier: Apache-2.0
// docs/reference/metrics.md against the sources: names, types, and labels as they are written there.
#include <gtest/gtest.h>

#include <map>
#include <regex>

#include "source_tree.h"

namespace watchwheel::repo {
namespace {

using Types = std::map<std::string, std::string>;  // Of a metric's name.

std::string whole(const SourceFile& file) {
  std::string out;
  for (const std::string& line : file.lines) out += line + "\n";
  return out;
}

Types made_by_the_sources() {
  static const std::regex kMade(R"re(\b(counter|gauge|histogram)\(\s*"(watchwheel_[a-z0-9_]+)")re");
  Types out;
  for (const SourceFile& file : files_below("src", {"metrics.cc"})) {
    const std::string text = whole(file);
    for (std::sregex_iterator at(text.begin(), text.end(), kMade), end; at != end; ++at) {
      EXPECT_TRUE(out.emplace((*at)[2], (*at)[1]).second) << (*at)[2] << " is made twice";
    }
  }
  return out;
}

Types written_in_the_reference() {
  static const std::regex kRow(R"(^\| `(watchwheel_[a-z0-9_]+)` \| ([a-z]+) \|)");
  Types out;
  for (const SourceFile& file : files_below("docs/reference", {"metrics.md"})) {
    for (const std::string& line : file.lines) {
      std::smatch found;
      if (std::regex_search(line, found, kRow)) out.emplace(found[1], found[2]);
    }
  }
  return out;
}

TEST(MetricsReference, HoldsEveryMetricWithItsTypeAndNoOther) {
  const Types made = made_by_the_sources();
  ASSERT_GT(made.size(), 20u);
  EXPECT_EQ(written_in_the_reference(), made);
}

// What an alert in the reference asks for must exist.
TEST(MetricsReference, ItsExamplesUseMetricsThatExist) {
  const Types made = made_by_the_sources();
  static const std::regex kName("watchwheel_[a-z0-9_]+");
  for (const SourceFile& file : files_below("docs/reference", {"metrics.md"})) {
    const std::string text = whole(file);
    for (std::sregex_iterator at(text.begin(), text.end(), kName), end; at != end; ++at) {
      const std::string name =
          std::regex_replace(at->str(), std::regex("_(bucket|sum|count)$"), "");
      EXPECT_TRUE(made.contains(at->str()) || made.contains(name)) << at->str();
    }
  }
}

}  // namespace
}  // namespace watchwheel::repo
