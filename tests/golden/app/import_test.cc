// SPDX-License-Identifier: Apache-2.0
// Lists of other monitors, as `sites import` takes them over: every problem, then the sites as JSON lines. The files are as those
// programs write them. WATCHWHEEL_UPDATE_GOLDEN=1 writes what is expected anew; the change is then read as a diff.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "app/foreign_list.h"
#include "app/site_list.h"

namespace watchwheel::app {
namespace {

const std::string kData = std::string(WATCHWHEEL_SOURCE_DIR) + "/tests/golden/app/data/import/";

std::string text_of(const std::string& name) {
  std::ifstream file(kData + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Problems and sites in the order of the rows, with the place of the checkout taken out.
std::string taken_over(const ForeignSource& source, const std::string& text) {
  const ChecksConfig defaults;
  std::istringstream in(text);
  const auto reader = make_foreign_reader(source, in, defaults);
  std::string out;
  for (SiteRow row; reader->next(row);) {
    for (const Problem& problem : row.problems) out += format(problem) + "\n";
    if (!row.fatal && !row.note && !any_error(row.problems)) out += site_jsonl(row.record) + "\n";
  }
  for (std::size_t at = 0; (at = out.find(kData)) != std::string::npos;)
    out.erase(at, kData.size());
  return out;
}

struct Case {
  ForeignFormat format;
  const char* file;
  const char* modules;
  const char* expected;
};
const Case kCases[] = {
    {ForeignFormat::Gatus, "gatus.yaml", "", "gatus.expected"},
    {ForeignFormat::UptimeKuma, "uptime-kuma.json", "", "uptime-kuma.expected"},
    {ForeignFormat::Blackbox, "prometheus.yml", "blackbox.yml", "prometheus.expected"},
    {ForeignFormat::Blackbox, "targets/api.yml", "", "targets.expected"},
};

TEST(ForeignLists, AreTakenOverAsFarAsTheyMapAndTheRestIsNamed) {
  for (const Case& one : kCases) {
    const std::string modules = *one.modules == '\0' ? "" : kData + one.modules;
    const std::string got = taken_over({one.format, kData + one.file, modules}, text_of(one.file));
    if (std::getenv("WATCHWHEEL_UPDATE_GOLDEN") != nullptr)
      std::ofstream(kData + one.expected, std::ios::binary) << got;
    EXPECT_EQ(got, text_of(one.expected)) << one.file;
    EXPECT_EQ(got.find("hunter2"), std::string::npos) << "a password is neither kept nor shown";
  }
}

// Cut anywhere, or with a byte turned over, a file is read to some end, and whoever gives up says where.
TEST(ForeignLists, DamagedFilesEndInRowsOrInReasons) {
  for (const Case& one : kCases) {
    const std::string whole = text_of(one.file);
    for (std::size_t at = 0; at < whole.size(); at += 7) {
      const ForeignSource source{one.format, "list", ""};
      (void)taken_over(source, whole.substr(0, at));
      std::string turned = whole;
      turned[at] = static_cast<char>(turned[at] ^ (at % 2 == 0 ? 0x10 : 0x80));
      const std::string got = taken_over(source, turned);
      EXPECT_NE(got, "") << one.file << " at " << at;
    }
  }
}

TEST(ForeignLists, AnotherProgramsFileIsSaidToBeThat) {
  for (const Case& one : kCases) {
    for (const char* text :
         {"", "a: 1", "- x", "{\"monitors\": []}", "url,name\nhttp://a.example/,x\n", "\xff\xfe"}) {
      const std::string got = taken_over({one.format, "list", ""}, text);
      EXPECT_TRUE(got.starts_with("list:") || got.starts_with("list: ")) << got << text;
    }
  }
}

}  // namespace
}  // namespace watchwheel::app
