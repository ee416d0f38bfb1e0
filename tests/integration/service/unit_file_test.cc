// SPDX-License-Identifier: Apache-2.0
// systemd's own judgement of the unit file. (Starting it needs systemd as process 1, which a test machine may not have.)
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

std::string unit_text() {
  std::ifstream file(WATCHWHEEL_SOURCE_DIR "/config/watchwheel.service");
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

// The unit as installed, but starting the binary that was built: `verify` wants it to be there.
std::string unit_of_this_build() {
  std::string text = unit_text();
  const std::string installed = "/usr/bin/watchwheel";
  const auto at = text.find(installed);
  if (at != std::string::npos)
    text.replace(at, installed.size(), testing::binary_dir() + "/src/app/watchwheel");
  return text;
}

TEST(UnitFile, SystemdFindsNothingToSay) {
  const TempDir dir;
  const auto done = run_program(
      {"systemd-analyze", "verify", dir.write("watchwheel.service", unit_of_this_build())});
  EXPECT_EQ(done.status, 0);
  EXPECT_EQ(done.out + done.err, "");
}

// Goal: the test above can fail. A mistyped key alone gives a warning and exit status 0.
TEST(UnitFile, AMistypedKeyWouldBeNoticed) {
  const TempDir dir;
  const auto done = run_program(
      {"systemd-analyze", "verify",
       dir.write("watchwheel.service", unit_of_this_build() + "\n[Service]\nWachdogSec=3\n")});
  EXPECT_NE(done.out + done.err, "");
}

TEST(UnitFile, ExposureIsAtMostTwo) {
  const TempDir dir;
  const auto done =
      run_program({"systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager",
                   dir.write("watchwheel.service", unit_of_this_build())});
  EXPECT_EQ(done.status, 0) << done.out << done.err;
  const std::string words = "Overall exposure level for watchwheel.service: ";
  const auto at = done.out.find(words);
  ASSERT_NE(at, std::string::npos) << done.out;
  EXPECT_LE(std::stod(done.out.substr(at + words.size())), 2.0);
}

TEST(UnitFile, SaysWhatTheDaemonReliesOn) {
  const std::string unit = unit_text();
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

}  // namespace
}  // namespace watchwheel
