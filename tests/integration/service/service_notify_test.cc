// SPDX-License-Identifier: Apache-2.0
#include "app/service_notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "support/child_process.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

// The supervisor's end of NOTIFY_SOCKET, and an environment that is put back.
class ServiceNotifyTest : public ::testing::Test {
 protected:
  ServiceNotifyTest() {
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    path_ = dir_.path() + "/notify";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }
  ~ServiceNotifyTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
    close(fd_);
  }

  // The next message; sending on AF_UNIX has delivered it by the time the call returned.
  std::optional<std::string> received() {
    char buffer[4096];
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    if (n < 0) return std::nullopt;
    return std::string(buffer, static_cast<std::size_t>(n));
  }

  testing::TempDir dir_;
  std::string path_;
  int fd_ = -1;
};

TEST_F(ServiceNotifyTest, TellsEachStep) {
  ServiceNotify service;
  service.ready("watching 200 sites");
  EXPECT_EQ(received(), "READY=1\nSTATUS=watching 200 sites");
  service.reloading();
  EXPECT_EQ(received(), "RELOADING=1");
  service.ready("");
  EXPECT_EQ(received(), "READY=1");
  service.alive();
  EXPECT_EQ(received(), "WATCHDOG=1");
  service.stopping();
  EXPECT_EQ(received(), "STOPPING=1");
  EXPECT_EQ(received(), std::nullopt);
}

// A status comes partly from outside; a line break in it must not become an instruction to systemd.
TEST_F(ServiceNotifyTest, AStatusIsOneLine) {
  ServiceNotify service;
  service.ready("fine\nMAINPID=1");
  EXPECT_EQ(received(), "READY=1\nSTATUS=fine");
}

TEST_F(ServiceNotifyTest, TheWatchdogIsTheOneSetForThisProcess) {
  EXPECT_EQ(ServiceNotify().watchdog_period(), std::nullopt);
  setenv("WATCHDOG_USEC", "30000000", 1);
  EXPECT_EQ(ServiceNotify().watchdog_period(), core::Duration{30s});
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(ServiceNotify().watchdog_period(), core::Duration{30s});
  setenv("WATCHDOG_PID", "1", 1);  // Somebody else's.
  EXPECT_EQ(ServiceNotify().watchdog_period(), std::nullopt);
  unsetenv("WATCHDOG_PID");
  setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_EQ(ServiceNotify().watchdog_period(), std::nullopt);
}

TEST_F(ServiceNotifyTest, WithoutASupervisorNothingHappens) {
  ServiceNotify service;
  unsetenv("NOTIFY_SOCKET");
  service.ready("x");
  EXPECT_EQ(received(), std::nullopt);
  setenv("NOTIFY_SOCKET", (dir_.path() + "/nobody").c_str(), 1);
  service.ready("x");
  service.alive();
  setenv("NOTIFY_SOCKET", "neither path nor abstract", 1);
  service.stopping();
  EXPECT_EQ(received(), std::nullopt);
}

}  // namespace
}  // namespace watchwheel::app
