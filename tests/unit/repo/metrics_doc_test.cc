// SPDX-License-Identifier: Apache-2.0
// docs/reference/metrics.md against the sources: names and types as they are written there.
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <map>
#include <string>

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
  static const RE2 kMade(R"re(\b(counter|gauge|histogram)\(\s*"(watchwheel_[a-z0-9_]+)")re");
  Types out;
  for (const SourceFile& file : files_below("src", {"metrics.cc"})) {
    const std::string text = whole(file);
    re2::StringPiece rest(text);
    std::string type;
    std::string name;
    while (RE2::FindAndConsume(&rest, kMade, &type, &name)) {
      EXPECT_TRUE(out.emplace(name, type).second) << name << " is made twice";
    }
  }
  return out;
}

Types written_in_the_reference() {
  static const RE2 kRow(R"(^\| `(watchwheel_[a-z0-9_]+)` \| ([a-z]+) \|)");
  Types out;
  for (const SourceFile& file : files_below("docs/reference", {"metrics.md"})) {
    for (const std::string& line : file.lines) {
      std::string name;
      std::string type;
      if (RE2::PartialMatch(line, kRow, &name, &type)) out.emplace(name, type);
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
  static const RE2 kName("(watchwheel_[a-z0-9_]+)");
  for (const SourceFile& file : files_below("docs/reference", {"metrics.md"})) {
    const std::string text = whole(file);
    re2::StringPiece rest(text);
    std::string name;
    while (RE2::FindAndConsume(&rest, kName, &name)) {
      std::string family = name;  // Of a histogram's parts.
      RE2::Replace(&family, "_(bucket|sum|count)$", "");
      EXPECT_TRUE(made.contains(name) || made.contains(family)) << name;
    }
  }
}

}  // namespace
}  // namespace watchwheel::repo
