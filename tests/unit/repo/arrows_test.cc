// SPDX-License-Identifier: Apache-2.0
// The repository against its own rules; and the rules against made-up files, to show that they would tell.
#include "arrows.h"

#include <gtest/gtest.h>

#include <set>

namespace watchwheel::repo {
namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

TEST(Arrows, NoFileBreaksThem) {
  const auto files = files_below("src", {".h", ".cc"});
  ASSERT_GT(files.size(), 50u);
  std::set<std::string> rooms;
  std::vector<std::string> all;
  for (const SourceFile& file : files) {
    rooms.insert(file.room());
    const auto found = breaches(file);
    all.insert(all.end(), found.begin(), found.end());
  }
  const auto leaked = leaks(files);
  all.insert(all.end(), leaked.begin(), leaked.end());
  EXPECT_EQ(rooms, (std::set<std::string>{"app", "channels", "checker", "core", "db", "http",
                                          "scheduler", "sideeffects", "verify"}));
  EXPECT_TRUE(all.empty()) << joined(all);
}

TEST(Arrows, EverySourceScriptAndBuildFileNamesTheLicence) {
  std::string missing;
  for (const char* folder : {"src", "tests", "tools", "cmake", "config"}) {
    for (const SourceFile& file :
         files_below(folder, {".h", ".cc", ".go", ".cmake", "CMakeLists.txt", ".service", ".sh"})) {
      const bool named =
          !file.lines.empty() &&
          (file.lines[0].find("SPDX-License-Identifier: Apache-2.0") != std::string::npos ||
           (file.lines.size() > 1 && file.lines[0].starts_with("#!") &&
            file.lines[1].find("SPDX-License-Identifier: Apache-2.0") != std::string::npos));
      if (!named) missing += file.path + "\n";
    }
  }
  EXPECT_EQ(missing, "");
}

struct MadeUp {
  const char* path;
  const char* line;
  bool is_breach;
};

TEST(Arrows, TheRulesWouldTell) {
  for (const MadeUp& made : {
           MadeUp{"src/app/x.cc", "#include \"db/store.h\"", false},
           MadeUp{"src/app/config_x.h", "#include \"db/store.h\"", true},
           MadeUp{"src/app/legacy_config.cc", "#include \"db/legacy_mapping.h\"", false},
           MadeUp{"src/db/x.cc", "#include \"core/ids.h\"", false},
           MadeUp{"src/db/x.cc", "#include \"db/store.h\"", false},
           MadeUp{"src/db/x.cc", "#include \"sideeffects/event_store_api.h\"", false},
           MadeUp{"src/db/x.cc", "#include \"sideeffects/judge.h\"", true},
           MadeUp{"src/core/x.h", "#include \"db/store.h\"", true},
           MadeUp{"src/core/x.h", "#include \"sideeffects/event_store_api.h\"", true},
           MadeUp{"src/http/x.cc", "#include \"app/engine.h\"", true},
           MadeUp{"src/channels/x.cc", "#include \"sideeffects/message.h\"", false},
           MadeUp{"src/channels/x.cc", "#include \"checker/address_guard.h\"", false},
           MadeUp{"src/channels/x.cc", "#include \"db/store.h\"", true},
           MadeUp{"src/sideeffects/x.cc", "#include \"channels/sender.h\"", true},
           MadeUp{"src/http/x.cc", "#include \"app/engine_api.h\"", true},
           MadeUp{"src/scheduler/x.cc", "  #  include <checker/prober.h>", true},
           MadeUp{"src/checker/x.cc", "#include <curl/curl.h>", false},
           MadeUp{"src/scheduler/x.h", "#include <curl/curl.h>", true},
           MadeUp{"src/app/lane.cc", "#include <curl/curl.h>", true},
           MadeUp{"src/app/lane.cc", "#include <sqlite3.h>", true},
           MadeUp{"src/db/sqlite.h", "#include <sqlite3.h>", false},
           MadeUp{"src/scheduler/x.cc", "#include <prometheus/registry.h>", true},
           MadeUp{"src/http/metric_builder.h", "#include <prometheus/metric_family.h>", false},
           MadeUp{"src/core/x.cc", "#include <spdlog/spdlog.h>", true},
           MadeUp{"src/app/x.h", "#include <boost/asio.hpp>", true},
           MadeUp{"src/app/x.cc", "auto t = std::chrono::steady_clock::now();", true},
           MadeUp{"src/core/clock.cc", "return std::chrono::steady_clock::now();", false},
           MadeUp{"src/app/x.cc", "// never std::chrono::steady_clock::now()", false},
           MadeUp{"src/app/x.cc", "std::this_thread::sleep_for(1s);", true},
           MadeUp{"src/db/mysql_store.cc", "connection->commit();", true},
           MadeUp{"src/db/sqlite_store.cc", "transaction->commit();", false},
           MadeUp{"src/db/mysql_x.cc", "log(\"no connection->commit() here\");", false},
       }) {
    const auto found =
        breaches({.path = made.path,
                  .lines = {"// SPDX-License-Identifier: Apache-2.0", "#pragma once", made.line}});
    EXPECT_EQ(!found.empty(), made.is_breach) << made.path << ": " << made.line << "\n"
                                              << joined(found);
  }
  EXPECT_FALSE(breaches({.path = "src/core/x.cc", .lines = {}}).empty());
  EXPECT_FALSE(
      breaches({.path = "src/core/x.h", .lines = {"// SPDX-License-Identifier: Apache-2.0"}})
          .empty());
}

// Goal: a foreign type that travels in a header of ours is seen where it arrives, two headers later.
TEST(Arrows, ALibraryThatComesThroughAHeaderIsTold) {
  const std::vector<SourceFile> files{
      {.path = "src/checker/handle.h", .lines = {"#include <curl/curl.h>"}},
      {.path = "src/checker/prober.h", .lines = {"#include \"checker/handle.h\""}},
      {.path = "src/checker/prober.cc", .lines = {"#include \"checker/prober.h\""}},
      {.path = "src/app/lane.cc", .lines = {"", "#include \"checker/prober.h\""}},
  };
  EXPECT_EQ(leaks(files), std::vector<std::string>{
                              "src/app/lane.cc:2: libcurl comes in through checker/prober.h"});
}

}  // namespace
}  // namespace watchwheel::repo
