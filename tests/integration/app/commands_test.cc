// SPDX-License-Identifier: Apache-2.0
// The built program as people and scripts call it: exit statuses, one JSON document, and what it says to bad input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sqlite3.h>
#include <sstream>
#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/fault_server.h"
#include "support/paths.h"

namespace watchwheel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;
using testing::Finished;

const std::string kBinary = testing::binary_dir() + "/src/app/watchwheel";

Finished watchwheel(std::vector<std::string> arguments, const std::string& input = {}) {
  arguments.insert(arguments.begin(), kBinary);
  return testing::run_program(arguments, input);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// A store and a configuration of its own for each test.
class Commands : public ::testing::Test {
 protected:
  Finished run(std::vector<std::string> arguments, const std::string& input = {}) {
    arguments.insert(arguments.end(), {"--config", config_});
    return watchwheel(std::move(arguments), input);
  }
  std::vector<Json> sites() {
    const Finished listed = run({"sites", "list", "--json"});
    EXPECT_EQ(listed.status, 0) << listed.err;
    std::vector<Json> all;
    for (const std::string& line : lines_of(listed.out)) all.push_back(Json::parse(line));
    return all;
  }

  void in_store(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((dir_.path() + "/w.db").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
  }

  testing::TempDir dir_;
  std::string config_ = dir_.write(
      "w.toml", "[store]\nurl = \"sqlite://" + dir_.path() +
                    "/w.db\"\n[checks]\nallow_private = true\n[http]\nlisten = \"127.0.0.1:" +
                    std::to_string(testing::free_port()) + "\"\n");
};

TEST_F(Commands, SitesAreAddedChangedPausedAndRemoved) {
  EXPECT_EQ(run({"sites", "add", "http://a.example/", "--interval", "60s", "--tag", "x", "--tag",
                 "y", "--header", "A: 1", "--header", "B: 2", "--name", "Shop"})
                .out,
            "added site 1\n");
  EXPECT_EQ(run({"sites", "add", "http://b.example/", "--allow-private"}).status, 0);
  const Finished again = run({"sites", "add", "http://a.example/"});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.err, HasSubstr("site 1 has this URL already"));

  std::vector<Json> all = sites();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["tags"], Json({"x", "y"}));
  EXPECT_EQ(all[0]["header"], Json({"A: 1", "B: 2"}));
  EXPECT_EQ(all[0]["interval"], "1m");
  EXPECT_TRUE(all[0]["state"].is_null());
  EXPECT_EQ(all[1]["allow_private"], "true");

  EXPECT_EQ(run({"sites", "set", "http://a.example/", "--interval", "2m", "--unset", "tag",
                 "--allow-private=false"})
                .out,
            "site 1 changed\n");
  EXPECT_EQ(run({"sites", "set", "1", "--interval", "2m"}).out,
            "site 1 unchanged: it was so already\n");
  EXPECT_EQ(run({"sites", "pause", "1", "http://b.example/"}).out, "paused 2 of 2\n");
  all = sites();
  EXPECT_EQ(all[0]["interval"], "2m");
  EXPECT_FALSE(all[0].contains("tags"));
  EXPECT_EQ(all[0]["allow_private"], "false");
  EXPECT_EQ(all[0]["active"], false);
  EXPECT_EQ(run({"sites", "resume", "2"}).out, "resumed 1 of 1\n");

  const Finished missing = run({"sites", "remove", "2", "77"});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, HasSubstr("there is no site 77"));
  EXPECT_EQ(sites().size(), 2U);  // Nothing was done to 2 either.
  EXPECT_EQ(run({"sites", "remove", "2"}).out, "removed 1 of 1\n");
  EXPECT_EQ(sites().size(), 1U);
  EXPECT_EQ(run({"sites", "list", "--tag", "nosuch"}).out, "");
  EXPECT_EQ(run({"sites", "list", "--limit", "1"}).status, 0);
}

// A list whose children come before their parents, by id and by URL; what is refused is named by its line, and the rest is in.
TEST_F(Commands, ParentsComeThroughImportExportAndTheCommandLine) {
  const std::string list =
      "url,parents\nhttp://page.example/,http://app.example/\nhttp://app.example/,http://db.example/\n"
      "http://db.example/,\nhttp://x.example/,http://nosuch.example/\n";
  const Finished imported = run({"sites", "import", "--format", "csv", "-"}, list);
  EXPECT_EQ(imported.status, 1);
  EXPECT_THAT(imported.err, HasSubstr(":5"));
  EXPECT_THAT(imported.err, HasSubstr("no site with the URL http://nosuch.example/"));
  EXPECT_THAT(imported.out, HasSubstr("parents: changed of 2 sites, refused of 1"));
  std::vector<Json> all = sites();
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0]["parents"], Json({2}));
  EXPECT_EQ(all[1]["parents"], Json({3}));
  EXPECT_FALSE(all[2].contains("parents"));

  const Finished circle = run({"sites", "set", "3", "--parent", "1"});
  EXPECT_EQ(circle.status, 1);
  EXPECT_THAT(circle.err, HasSubstr("a circle: site 3 would depend on"));
  EXPECT_EQ(run({"sites", "set", "4", "--parent", "77"}).status, 1);
  EXPECT_EQ(run({"sites", "set", "4", "--parent", "1", "--parent", "http://db.example/"}).out,
            "site 4 changed\n");
  EXPECT_EQ(run({"sites", "add", "http://y.example/", "--parent", "77"}).status, 1);
  EXPECT_EQ(sites().size(), 4U) << "one with a wrong parent is not added without it";

  // Whichever half is refused, the other is not done.
  all = sites();
  EXPECT_EQ(run({"sites", "set", "4", "--parent", "77", "--name", "x"}).status, 1);
  EXPECT_EQ(sites(), all);
  in_store("CREATE TRIGGER refuse BEFORE UPDATE ON sites BEGIN SELECT RAISE(ABORT, 'no'); END");
  EXPECT_NE(run({"sites", "set", "4", "--parent", "2", "--name", "x"}).status, 0);
  EXPECT_EQ(sites(), all);
  in_store("DROP TRIGGER refuse");
  EXPECT_EQ(run({"sites", "set", "4", "--name", "x"}).out, "site 4 changed\n");

  for (const std::string format : {"csv", "jsonl"}) {
    const std::string before = run({"sites", "export", "--format", format}).out;
    EXPECT_EQ(run({"sites", "set", "4", "--unset", "parents"}).out, "site 4 changed\n");
    EXPECT_NE(run({"sites", "export", "--format", format}).out, before);
    EXPECT_EQ(run({"sites", "import", "--format", format, "-"}, before).status, 0);
    EXPECT_EQ(run({"sites", "export", "--format", format}).out, before);
  }
}

// The window is made, shown with the sites it covers, and removed, each by a program of its own.
TEST_F(Commands, AMaintenanceWindowShowsOnTheSitesItCovers) {
  ASSERT_EQ(run({"sites", "add", "https://a.example/", "--tag", "eu"}).status, 0);
  ASSERT_EQ(run({"sites", "add", "https://b.example/"}).status, 0);
  const Finished added = run({"maintenance", "add", "--tag", "eu", "--for", "1h", "--title", "deploy"});
  EXPECT_EQ(added.status, 0) << added.err;
  EXPECT_THAT(added.out, AllOf(HasSubstr("#1 holds until "), HasSubstr("\"deploy\"")));
  const auto all = sites();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["state"], "maintenance");
  EXPECT_NE(all[1]["state"], "maintenance");
  EXPECT_THAT(run({"sites", "list", "--state", "maintenance"}).out,
              AllOf(HasSubstr("a.example"), Not(HasSubstr("b.example"))));
  ASSERT_EQ(run({"maintenance", "add", "--all", "--days", "mon,thu", "--at", "02:30", "--for", "90m",
                 "--zone", "Europe/Berlin"})
                .status,
            0);
  const Json listed = Json::parse(run({"maintenance", "list", "--json"}).out)["maintenance"];
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0]["holds"], true);
  EXPECT_EQ(listed[1]["days"], "mon,thu");
  EXPECT_EQ(listed[1]["at"], "02:30");
  EXPECT_EQ(run({"maintenance", "remove", "1"}).status, 0);
  EXPECT_EQ(run({"maintenance", "remove", "1"}).status, 1);
  EXPECT_THAT(run({"maintenance", "list"}).out, AllOf(Not(HasSubstr("#1 ")), HasSubstr("#2 ")));
}

TEST_F(Commands, AMaintenanceWindowThatSaysTooLittleOrTooMuchIsUsage) {
  const std::vector<std::vector<std::string>> bad{
      {"--for", "1h"},
      {"--all"},
      {"--all", "--tag", "eu", "--for", "1h"},
      {"--all", "--for", "1h", "--until", "2099-01-01T00:00:00Z"},
      {"--all", "--for", "1h", "--zone", "UTC"},
      {"--all", "--until", "2001-01-01T00:00:00Z"},
      {"--all", "--for", "400d"},
      {"--all", "--days", "monday", "--at", "02:30", "--for", "1h", "--zone", "UTC"},
      {"--all", "--days", "mon", "--at", "2:30", "--for", "1h", "--zone", "UTC"},
      {"--all", "--days", "mon", "--at", "02:30", "--for", "1h", "--zone", "Europe/Atlantis"},
      {"--all", "--days", "mon", "--at", "02:30", "--for", "1h"}};
  for (std::vector<std::string> options : bad) {
    options.insert(options.begin(), {"maintenance", "add"});
    const Finished refused = run(options);
    EXPECT_EQ(refused.status, 2) << ::testing::PrintToString(options);
    EXPECT_NE(refused.err, "");
  }
  EXPECT_EQ(run({"maintenance", "add", "--site", "99", "--for", "1h"}).status, 1) << "no such site";
}

TEST_F(Commands, WrongOptionsOfASiteAreUsage) {
  for (const std::vector<std::string>& line : std::vector<std::vector<std::string>>{
           {"sites", "add", "nonsense"},
           {"sites", "add", "http://a.example/", "--timeout", "10"},
           {"sites", "add", "http://a.example/", "--interval", "2s"},
           {"sites", "add", "http://a.example/", "--redirects", "maybe"}}) {
    const Finished ran = run(line);
    EXPECT_EQ(ran.status, 2) << ran.err;
    EXPECT_EQ(ran.out, "");
  }
  EXPECT_TRUE(sites().empty());
}

TEST_F(Commands, AnImportSaysWhatItDidAndRejectsLinesByThemselves) {
  const std::string list = dir_.write("sites.csv",
                                      "url,interval\nhttp://a.example/,60s\nnot a "
                                      "url,60s\nhttp://b.example/\xff,60s\nhttp://c.example/"
                                      ",\nhttp://a.example/,5m\nhttp://d.example/,soon\n");
  const Finished strict = run({"sites", "import", list, "--strict"});
  EXPECT_EQ(strict.status, 1);
  EXPECT_EQ(strict.out, "imported 0, rejected 4 of 6 (strict: nothing was written)\n");
  const Finished dry = run({"sites", "import", list, "--dry-run"});
  EXPECT_EQ(dry.status, 1);
  EXPECT_EQ(dry.out, "would import 2, rejected 4 of 6 (dry run: nothing was written)\n");
  EXPECT_FALSE(std::ifstream(dir_.path() + "/w.db").good());

  const Finished first = run({"sites", "import", list});
  EXPECT_EQ(first.status, 1);
  EXPECT_EQ(first.out, "imported 2 (added 2, changed 0, unchanged 0), rejected 4 of 6\n");
  const std::vector<std::string> problems = lines_of(first.err);
  ASSERT_EQ(problems.size(), 4U) << first.err;
  EXPECT_THAT(problems[0], StartsWith(list + ":3:1: error: url: "));
  EXPECT_THAT(problems[1], AllOf(StartsWith(list + ":4:1: error: url: "), HasSubstr("not UTF-8")));
  EXPECT_THAT(problems[2], StartsWith(list + ":6: error: the same site as line 2"));
  EXPECT_THAT(problems[3], StartsWith(list + ":7:19: error: interval: "));
  EXPECT_EQ(run({"sites", "import", list}).out,
            "imported 2 (added 0, changed 0, unchanged 2), rejected 4 of 6\n");
  EXPECT_EQ(
      run({"sites", "import", "-"}, "url,interval\nhttp://a.example/,5m\nhttp://e.example/,5m\n")
          .out,
      "imported 2 (added 1, changed 1, unchanged 0), rejected 0 of 2\n");
  EXPECT_EQ(run({"sites", "import", "-", "--strict", "--format", "jsonl"},
                "{\"url\":\"http://f.example/\"}\n")
                .out,
            "imported 1 (added 1, changed 0, unchanged 0), rejected 0 of 1\n");
}

TEST_F(Commands, FilesThatAreNoListAreRefusedWithTheirRemedy) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"http://a.example/\nhttp://b.example/\n", "there is no header"},
      {"", "the file is empty"},
      {"url;interval\nhttp://a.example/;60s\n", "not separated by commas"},
      {std::string("\xff\xfeu\0r\0l\0", 8), "save it as UTF-8"},
      {"adress\nhttp://a.example/\n", "unknown column 'adress'"}};
  for (const auto& [text, remedy] : cases) {
    const Finished ran = run({"sites", "import", "-"}, text);
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.err, AllOf(StartsWith("-:1"), HasSubstr(remedy)));
  }
  EXPECT_EQ(run({"sites", "import", dir_.path() + "/nosuch.csv"}).status, 3);
  EXPECT_EQ(run({"sites", "import", dir_.path()}).status, 3);
  EXPECT_TRUE(sites().empty());
}

TEST_F(Commands, AtMostAHundredProblemsArePrinted) {
  std::string list = "url\n";
  for (int i = 0; i < 250; ++i) list += "bad" + std::to_string(i) + "\n";
  const Finished ran = run({"sites", "import", "-"}, list);
  EXPECT_EQ(ran.out, "imported 0 (added 0, changed 0, unchanged 0), rejected 250 of 250\n");
  EXPECT_EQ(lines_of(ran.err).size(), 101U);
  EXPECT_THAT(ran.err, HasSubstr("… and 150 more problems"));
}

TEST_F(Commands, AnExportIsReadBackToTheSameSites) {
  ASSERT_EQ(run({"sites",
                 "add",
                 "http://a.example/",
                 "--keyword",
                 "a \"b\", c",
                 "--header",
                 "A: 1",
                 "--header",
                 "B: 2",
                 "--tag",
                 "x",
                 "--tag",
                 "y",
                 "--interval",
                 "90s",
                 "--keyword",
                 "second, \"text\"",
                 "--body-match",
                 "a{1,2} ",
                 "--json-equals",
                 "/a == \"x, y\"",
                 "--json-equals",
                 "/b/0 == null",
                 "--expect-header",
                 "!X-Y",
                 "--expect-header",
                 "Via ~ ^1",
                 "--size-min",
                 "10B",
                 "--ignore-case",
                 "true",
                 "--http-version",
                 "2",
                 "--auth-user",
                 "me",
                 "--auth-password-file",
                 "a-credential",
                 "--client-cert-file",
                 "/etc/c.pem"})
                .status,
            0);
  ASSERT_EQ(run({"sites", "add", "http://b.example/"}).status, 0);
  ASSERT_EQ(run({"sites", "pause", "2"}).status, 0);
  const std::vector<Json> before = sites();
  EXPECT_EQ(before.at(0)["keyword"], Json({"a \"b\", c", "second, \"text\""}));
  EXPECT_EQ(before.at(0)["json_equals"], Json({"/a == \"x, y\"", "/b/0 == null"}));
  for (const std::string format : {"csv", "jsonl"}) {
    const Finished exported = run({"sites", "export", "--format", format});
    ASSERT_EQ(exported.status, 0) << exported.err;
    EXPECT_EQ(run({"sites", "import", "-", "--format", format}, exported.out).out,
              "imported 2 (added 0, changed 0, unchanged 2), rejected 0 of 2\n")
        << exported.out;
    const testing::TempDir other;
    const std::string config =
        other.write("w.toml", "[store]\nurl = \"sqlite://" + other.path() + "/w.db\"\n");
    const Finished moved =
        watchwheel({"sites", "import", "-", "--format", format, "--config", config}, exported.out);
    EXPECT_EQ(moved.out, "imported 2 (added 2, changed 0, unchanged 0), rejected 0 of 2\n")
        << moved.err;
    EXPECT_EQ(watchwheel({"sites", "export", "--format", format, "--config", config}).out,
              exported.out);
  }
  EXPECT_EQ(sites(), before);
}

// Goal: a million lines go in, in minutes at the worst and with bounded memory, and the bad ones among them are found.
// The bound is far above what it takes (about a minute unoptimised): it is there to catch what grows faster than the list.
TEST_F(Commands, AMillionLinesAreImported) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kLines =
      100'000;  // Slow there, and sanitizers reserve more address space than any limit allows.
  const std::string limit = "true";
#else
  constexpr int kLines = 1'000'000;
  const std::string limit = "ulimit -v 1000000";
#endif
  const std::string list = dir_.path() + "/many.csv";
  {
    std::ofstream file(list);
    file << "url,interval\n";
    for (int i = 0; i < kLines; ++i) {
      if (i % (kLines / 10) == 7) {
        file << "nonsense " << i << ",60s\n";
      } else {
        file << "https://site-" << i << ".example/,5m\n";
      }
    }
  }
  const auto before = std::chrono::steady_clock::now();
  const Finished ran = testing::run_program({"/bin/sh", "-c", limit + " && exec \"$@\"", "sh",
                                             kBinary, "sites", "import", list, "--config", config_},
                                            {}, std::chrono::minutes{9});
  const std::string good = std::to_string(kLines - 10);
  EXPECT_EQ(ran.out, "imported " + good + " (added " + good +
                         ", changed 0, unchanged 0), rejected 10 of " + std::to_string(kLines) +
                         "\n")
      << ran.err;
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr(list + ":9:1: error: url: "));
  RecordProperty("import_s", static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(
                                                  std::chrono::steady_clock::now() - before)
                                                  .count()));
}

TEST_F(Commands, ConfigurationErrorsStopEveryCommandWithTheirPlaces) {
  const std::string bad = dir_.write("bad.toml", "[checks]\ntimeout = 5\nmethod = 7\n");
  const Finished validated = watchwheel({"validate-config", bad});
  EXPECT_EQ(validated.status, 1);
  EXPECT_THAT(validated.err, AllOf(HasSubstr(bad + ":2:11: error: "),
                                   HasSubstr(bad + ":3:10: error: "), HasSubstr("2 errors")));
  EXPECT_EQ(watchwheel({"run", "--config", bad}).status, 1);
  for (const std::vector<std::string>& line :
       std::vector<std::vector<std::string>>{{"check", "http://a.example/"},
                                             {"sites", "list"},
                                             {"incidents"},
                                             {"status"},
                                             {"migrate"}}) {
    std::vector<std::string> arguments = line;
    arguments.insert(arguments.end(), {"--config", bad});
    const Finished ran = watchwheel(arguments);
    EXPECT_EQ(ran.status, 3) << line[0];  // Not 1: nothing is known of the site.
    EXPECT_EQ(ran.out, "");
    EXPECT_THAT(ran.err, HasSubstr(bad + ":2:11: error: "));
  }
  const Finished json = watchwheel({"validate-config", bad, "--json"});
  EXPECT_EQ(json.status, 1);
  EXPECT_EQ(Json::parse(json.out)["problems"].size(), 2U);
}

TEST_F(Commands, JsonIsOneDocument) {
  for (const std::vector<std::string>& line : std::vector<std::vector<std::string>>{
           {"incidents", "--json"}, {"report", "--json"}, {"migrate", "--json"}, {"migrate", "--dry-run", "--json"}}) {
    const Finished ran = run(line);
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_TRUE(Json::accept(ran.out)) << ran.out;
    EXPECT_EQ(ran.err, "");
  }
  EXPECT_TRUE(Json::accept(watchwheel({"validate-config", config_, "--json"}).out));
}

TEST_F(Commands, ADryRunOfMigrateChangesNothing) {
  const Json would = Json::parse(run({"migrate", "--dry-run", "--json"}).out);
  EXPECT_EQ(would["before"], 0);
  EXPECT_FALSE(would["applied"].empty());
  const Json did = Json::parse(run({"migrate", "--json"}).out);
  EXPECT_EQ(did["before"], 0);
  EXPECT_EQ(did["after"], would["after"]);
  EXPECT_THAT(run({"migrate"}).out, HasSubstr("nothing to do"));
}

TEST_F(Commands, AStoreThatCannotBeOpenedIsOurTrouble) {
  const std::string config =
      dir_.write("x.toml", "[store]\nurl = \"sqlite:///nonexistent/dir/w.db\"\n");
  for (const std::vector<std::string>& line : std::vector<std::vector<std::string>>{
           {"sites", "list"}, {"incidents"}, {"migrate"}, {"sites", "add", "http://a.example/"}}) {
    std::vector<std::string> arguments = line;
    arguments.insert(arguments.end(), {"--config", config});
    const Finished ran = watchwheel(arguments);
    EXPECT_EQ(ran.status, 3) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("/nonexistent/dir"));
  }
}

TEST_F(Commands, StatusWithoutADaemonIsOurTrouble) {
  const Finished ran = run({"status"});
  EXPECT_EQ(ran.status, 3);
  EXPECT_THAT(ran.err, HasSubstr("no daemon answers at http://127.0.0.1:"));
  EXPECT_EQ(run({"status", "--json"}).out, "");
}

// Method: a server that answers as a daemon would, on the address of the configuration.
TEST_F(Commands, StatusShowsWhatTheDaemonTells) {
  testing::FaultServer server;
  server.on("/api/v1/status",
            testing::ok(R"({"version":"9","ready":true,"sites":{"total":3,"up":3}})",
                        "Content-Type: application/json\r\n"));
  const std::string token = dir_.write("token", "sesame\n");
  const std::string config =
      dir_.write("s.toml", "[http]\nlisten = \"127.0.0.1:" + std::to_string(server.port()) +
                               "\"\ntoken_file = \"" + token + "\"\n");
  const Finished text = watchwheel({"status", "--config", config});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("watchwheel 9"), HasSubstr("3: up 3")));
  EXPECT_THAT(server.last_request(), HasSubstr("Authorization: Bearer sesame"));
  EXPECT_EQ(Json::parse(watchwheel({"status", "--json", "--config", config}).out)["version"], "9");
  server.on("/api/v1/status", testing::status(401, "Unauthorized"));
  EXPECT_THAT(watchwheel({"status", "--config", config}).err, HasSubstr("wants another token"));
  server.on("/api/v1/status", testing::ok("<html>"));
  const Finished stranger = watchwheel({"status", "--json", "--config", config});
  EXPECT_EQ(stranger.status, 3);
  EXPECT_EQ(stranger.out, "");
}

TEST_F(Commands, ACheckTellsUpDownAndNotMeasuredApart) {
  testing::FaultServer server;
  server.on("/", testing::ok("hello"));
  server.on("/broken", testing::status(503, "Service Unavailable"));
  const Finished up = run({"check", server.url("/"), "--json", "--keyword", "hello"});
  EXPECT_EQ(up.status, 0) << up.err;
  EXPECT_EQ(Json::parse(up.out)["outcome"], "up");
  EXPECT_EQ(Json::parse(up.out)["http_status"], 200);
  EXPECT_EQ(up.err, "");
  EXPECT_THAT(server.last_request(), HasSubstr("User-Agent: Watchwheel/"));
  EXPECT_THAT(run({"check", server.url("/")}).out, StartsWith("UP  " + server.url("/") + "\n"));
  EXPECT_EQ(run({"check", server.url("/"), "--keyword", "absent"}).status, 1);
  EXPECT_EQ(run({"check", server.url("/broken")}).status, 1);
  EXPECT_EQ(run({"check", server.url("/broken"), "--expect-status", "503"}).status, 0);
  const std::string closed = "http://127.0.0.1:" + std::to_string(testing::free_port()) + "/";
  const Finished down = run({"check", closed, "--json"});
  EXPECT_EQ(down.status, 1);
  EXPECT_EQ(Json::parse(down.out)["cause"], "connect_refused");
  const Finished blocked = watchwheel({"check", closed, "--allow-private=false", "--json"});
  EXPECT_EQ(blocked.status, 3);
  EXPECT_EQ(Json::parse(blocked.out)["cause"], "address_blocked");
  EXPECT_EQ(Json::parse(blocked.out)["outcome"], "not_measured");
  const Finished invalid = run({"check", "nonsense", "--json"});
  EXPECT_EQ(invalid.status, 3);
  EXPECT_EQ(Json::parse(invalid.out)["cause"], "target_invalid");
  EXPECT_EQ(run({"check", closed, "--ca-file", "/nonexistent/ca.pem"}).status, 2);
}

}  // namespace
}  // namespace watchwheel
