// SPDX-License-Identifier: Apache-2.0
// systemd's own judgement of the unit files. (Starting it needs systemd as process 1, which a test machine may not have.)
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "app/config.h"
#include "support/child_process.h"
#include "support/paths.h"

namespace watchwheel {
namespace {

using testing::run_program;
using testing::TempDir;

constexpr const char* kDaemon = "watchwheel.service";
constexpr const char* kVerifier = "watchwheel-verifier.service";

std::string unit_text(const std::string& unit) {
  std::ifstream file(WATCHWHEEL_SOURCE_DIR "/config/" + unit);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

// The unit as installed, but starting the binary that was built: `verify` wants it to be there.
std::string unit_of_this_build(const std::string& unit) {
  std::string text = unit_text(unit);
  const std::string installed = "/usr/bin/watchwheel";
  const auto at = text.find(installed);
  if (at != std::string::npos)
    text.replace(at, installed.size(), testing::binary_dir() + "/src/app/watchwheel");
  return text;
}

TEST(UnitFile, SystemdFindsNothingToSay) {
  const TempDir dir;
  for (const std::string unit : {kDaemon, kVerifier}) {
    const auto done =
        run_program({"systemd-analyze", "verify", dir.write(unit, unit_of_this_build(unit))});
    EXPECT_EQ(done.status, 0) << unit;
    EXPECT_EQ(done.out + done.err, "") << unit;
  }
}

// Goal: the test above can fail. A mistyped key alone gives a warning and exit status 0.
TEST(UnitFile, AMistypedKeyWouldBeNoticed) {
  const TempDir dir;
  const auto done = run_program(
      {"systemd-analyze", "verify",
       dir.write(kDaemon, unit_of_this_build(kDaemon) + "\n[Service]\nWachdogSec=3\n")});
  EXPECT_NE(done.out + done.err, "");
}

TEST(UnitFile, ExposureIsAtMostTwo) {
  const TempDir dir;
  for (const std::string unit : {kDaemon, kVerifier}) {
    const auto done =
        run_program({"systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager",
                     dir.write(unit, unit_of_this_build(unit))});
    EXPECT_EQ(done.status, 0) << done.out << done.err;
    const std::string words = "Overall exposure level for " + unit + ": ";
    const auto at = done.out.find(words);
    ASSERT_NE(at, std::string::npos) << done.out;
    EXPECT_LE(std::stod(done.out.substr(at + words.size())), 2.0) << unit;
  }
}

TEST(UnitFile, SaysWhatTheDaemonReliesOn) {
  const std::string unit = unit_text(kDaemon);
  for (const std::string& line : std::vector<std::string>{
           "Type=notify", "NotifyAccess=main", "WatchdogSec=30", "Restart=on-failure",
           "TimeoutStopSec=60", "DynamicUser=yes", "StateDirectory=watchwheel",
           "ExecReload=/bin/kill -HUP $MAINPID",
           "ExecStart=/usr/bin/watchwheel run --config " + std::string(app::kConfigPath),
           "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"}) {
    EXPECT_NE(unit.find("\n" + line + "\n"), std::string::npos) << line;
  }
  // What is stored by default lies in the directory that systemd makes for us.
  EXPECT_EQ(app::StoreConfig{}.state_dir, "/var/lib/watchwheel");
}

// It keeps nothing, and reads no configuration of the daemon's.
TEST(UnitFile, SaysWhatTheVerifierReliesOn) {
  const std::string unit = unit_text(kVerifier);
  for (const std::string& line : std::vector<std::string>{
           "Type=notify", "NotifyAccess=main", "WatchdogSec=30", "Restart=on-failure",
           "TimeoutStopSec=30", "DynamicUser=yes",
           "ConditionPathExists=/etc/watchwheel/verifier.toml", "ExecReload=/bin/kill -HUP $MAINPID",
           "ExecStart=/usr/bin/watchwheel verifier --config /etc/watchwheel/verifier.toml"})
    EXPECT_NE(unit.find("\n" + line + "\n"), std::string::npos) << line;
  EXPECT_EQ(unit.find("StateDirectory"), std::string::npos);
}

}  // namespace
}  // namespace watchwheel
