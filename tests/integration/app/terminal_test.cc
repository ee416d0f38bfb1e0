// SPDX-License-Identifier: Apache-2.0
// The built program on a terminal: the live view and the progress bars, and that both stay away from files and pipes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "http/server.h"
#include "support/child_process.h"
#include "support/eventually.h"
#include "support/fake_engine_view.h"
#include "support/paths.h"
#include "support/pseudo_terminal.h"

namespace watchwheel {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::PseudoTerminal;

const std::string kBinary = testing::binary_dir() + "/src/app/watchwheel";
constexpr const char* kStatus = R"({"version":"0.1.0","ready":true,"uptime_s":90,
  "sites":{"total":200,"up":195,"down":5,"paused":0},
  "checks":{"required_per_second":20.0,"done_per_second":19.9,"up":1,"down":2,"not_measured":3,"missed":4},
  "lag_s":{"p50":0.001,"p95":0.002,"p99":0.004,"max":0.01},
  "recent":{"step_s":5,"done_per_second":[1,10,20],"lag_p99_s":[0.001,0.002,0.004]},
  "in_flight":{"now":12,"limit":1000,"wanted":30,"limited_by":"descriptors"}})";

// A daemon that answers what the test says, at one port.
class Watching : public ::testing::Test {
 protected:
  void start_daemon() {
    auto opened = http::Server::open(
        {.listen = "127.0.0.1:" + std::to_string(port_), .token = {}, .limits = {}}, engine_);
    ASSERT_TRUE(opened) << opened.error().message;
    server_ = *std::move(opened);
    server_->start();
  }
  void stop_daemon() { server_.reset(); }
  [[nodiscard]] std::vector<std::string> watch(std::vector<std::string> more = {}) const {
    std::vector<std::string> words{kBinary, "status",   "--watch", "--every",
                                   "100ms", "--config", config_};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  testing::FakeEngineView engine_;
  int port_ = testing::free_port();
  testing::TempDir dir_;
  std::string config_ = dir_.write(
      "w.toml", "[store]\nurl = \"sqlite://" + dir_.path() +
                    "/w.db\"\n[http]\nlisten = \"127.0.0.1:" + std::to_string(port_) + "\"\n");
  std::unique_ptr<http::Server> server_;
};

// Echo and line editing, as the shell left them.
bool is_as_found(const termios& settings) {
  return (settings.c_lflag & ICANON) != 0 && (settings.c_lflag & ECHO) != 0;
}

TEST_F(Watching, TheLiveViewIsDrawnResizedAndGivesTheTerminalBack) {
  engine_.status = kStatus;
  start_daemon();
  PseudoTerminal terminal(
      watch(), {.out_file = {}, .environment = {"TERM=xterm", "NO_COLOR=", "LC_ALL=C.UTF-8"}});
  ASSERT_TRUE(terminal.shows("on time: 200 sites")) << terminal.seen();
  ASSERT_TRUE(terminal.shows("to 20/s"));
  ASSERT_TRUE(terminal.shows("▁▄█"));
  ASSERT_TRUE(terminal.shows("q ends this"));
  EXPECT_EQ(terminal.seen().rfind("\x1b[?1049h", 0), 0U) << "the alternate screen comes first";
  EXPECT_FALSE(is_as_found(terminal.settings()));
  EXPECT_THAT(terminal.seen(), HasSubstr("\x1b[1;32mon time"));
  const std::size_t before = terminal.seen().size();
  terminal.resize(60, 8);
  EXPECT_TRUE(terminal.shows("lines more)", before)) << terminal.seen().substr(before);
  terminal.type("\x03");
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_TRUE(terminal.seen().ends_with("\x1b[0m\x1b[?25h\x1b[?1049l")) << terminal.seen();
  EXPECT_TRUE(is_as_found(terminal.settings()));
}

TEST_F(Watching, EveryEndGivesTheTerminalBack) {
  engine_.status = kStatus;
  start_daemon();
  for (const char* how : {"q", "term", "hang up", "count"}) {
    std::vector<std::string> more;
    if (std::string_view(how) == "count") more = {"--count", "2"};
    PseudoTerminal terminal(watch(more), {.out_file = {}, .environment = {"TERM=xterm"}});
    ASSERT_TRUE(terminal.shows("q ends this")) << how;
    if (std::string_view(how) == "q") terminal.type("q");
    if (std::string_view(how) == "term") terminal.signal(SIGTERM);
    if (std::string_view(how) == "hang up") terminal.signal(SIGHUP);
    EXPECT_EQ(terminal.wait(), 0) << how;
    EXPECT_TRUE(terminal.seen().ends_with("\x1b[?1049l")) << how << terminal.seen();
    EXPECT_TRUE(is_as_found(terminal.settings())) << how;
  }
}

TEST_F(Watching, ADaemonThatGoesAndComesBackIsSeenToDoSo) {
  engine_.status = kStatus;
  start_daemon();
  PseudoTerminal terminal(watch(), {.out_file = {}, .environment = {"TERM=xterm", "NO_COLOR=1"}});
  ASSERT_TRUE(terminal.shows("on time: 200 sites"));
  stop_daemon();
  ASSERT_TRUE(terminal.shows("not reachable since 2")) << terminal.seen();
  const std::size_t gone_at = terminal.seen().size();
  start_daemon();
  ASSERT_TRUE(terminal.shows("on time: 200 sites", gone_at)) << terminal.seen();
  terminal.type("q");
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_THAT(terminal.seen(), Not(HasSubstr("\x1b[1;3"))) << "NO_COLOR was set";
}

TEST_F(Watching, WithoutATerminalALineIsAppendedForEachLook) {
  engine_.status = kStatus;
  start_daemon();
  const testing::Finished lines = testing::run_program(watch({"--count", "3"}));
  EXPECT_EQ(lines.status, 0) << lines.err;
  std::istringstream in(lines.out);
  int count = 0;
  for (std::string line; std::getline(in, line); ++count)
    EXPECT_THAT(line, AllOf(HasSubstr("on time: 200 sites"), Not(HasSubstr("\x1b"))));
  EXPECT_EQ(count, 3);

  const testing::Finished json = testing::run_program(watch({"--count", "2", "--json"}));
  EXPECT_EQ(json.status, 0);
  std::istringstream documents(json.out);
  count = 0;
  for (std::string line; std::getline(documents, line); ++count)
    EXPECT_EQ(nlohmann::json::parse(line).at("sites").at("total"), 200);
  EXPECT_EQ(count, 2);

  stop_daemon();
  const testing::Finished nobody = testing::run_program(watch({"--count", "2"}));
  EXPECT_EQ(nobody.status, 3);
  EXPECT_THAT(nobody.out, HasSubstr("not reachable since"));
  EXPECT_EQ(testing::run_program(watch({"--every", "1ms"})).status, 2);
}

// 100,000 rows take long enough to be seen anywhere: the line comes after 300 ms.
std::string many_sites() {
  std::string csv = "url,name\n";
  for (int i = 0; i < 100'000; ++i)
    csv += "http://s" + std::to_string(i) + ".example/," + std::string(40, 'n') + "\n";
  return csv;
}

TEST_F(Watching, LongCommandsShowHowFarTheyAreOnATerminalAndTakeTheLineAway) {
  const std::string list = dir_.write("s.csv", many_sites());
  const PseudoTerminal::Settings plain{.out_file = {}, .environment = {"TERM=xterm", "LC_ALL=C"}};
  PseudoTerminal import({kBinary, "sites", "import", list, "--config", config_}, plain);
  EXPECT_EQ(import.wait(60s * testing::kPatience), 0);
  EXPECT_THAT(import.seen(), AllOf(HasSubstr("\rimporting  "), HasSubstr(" sites, "),
                                   HasSubstr("/s, "), HasSubstr(" left\x1b[K")));
  EXPECT_THAT(import.seen(), HasSubstr("\r\x1b[Kimported 100000 (added 100000"));

  // Where the results go to the terminal themselves there is no line among them.
  PseudoTerminal shown({kBinary, "sites", "export", "--config", config_}, plain);
  EXPECT_EQ(shown.wait(120s), 0);
  EXPECT_THAT(shown.seen(), AllOf(HasSubstr("s99999.example"), Not(HasSubstr("exporting"))));

  const testing::Finished piped =
      testing::run_program({kBinary, "sites", "import", list, "--config", config_});
  EXPECT_EQ(piped.status, 0);
  EXPECT_EQ(piped.err, "");

  PseudoTerminal quiet({kBinary, "sites", "import", list, "--quiet", "--config", config_}, plain);
  EXPECT_EQ(quiet.wait(120s), 0);
  EXPECT_THAT(quiet.seen(), Not(HasSubstr("importing")));
}

TEST_F(Watching, AMigrationShowsItsSteps) {
  PseudoTerminal migrating(
      {kBinary, "migrate", "--config", config_},
      {.out_file = dir_.file("out"), .environment = {"TERM=xterm", "LC_ALL=C"}});
  EXPECT_EQ(migrating.wait(), 0);
  EXPECT_THAT(migrating.seen(), AllOf(HasSubstr("\rmigrating  ......"), HasSubstr("0 steps")));
  EXPECT_TRUE(migrating.seen().ends_with("\r\x1b[K")) << migrating.seen();
  std::ifstream out(dir_.file("out"));
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(out), {}),
              HasSubstr("schema version 0 -> "));
}

}  // namespace
}  // namespace watchwheel
