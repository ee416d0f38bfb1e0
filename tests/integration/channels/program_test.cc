// SPDX-License-Identifier: Apache-2.0
// The operator's program as a channel: what it gets, what it does not get, and that it leaves nothing behind.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "../../unit/channels/messages.h"
#include "channels/bodies.h"
#include "sending.h"
#include "support/eventually.h"
#include "support/temp_dir.h"

namespace watchwheel::channels {
namespace {

using sideeffects::ChannelTarget;
using sideeffects::ChannelType;
using sideeffects::SendOutcome;
using sideeffects::SendResult;
using testing::Sending;
using testing::TempDir;
using namespace std::chrono_literals;

ChannelTarget program_target(std::vector<std::string> words) {
  ChannelTarget target = testing::target_at("");
  target.type = ChannelType::Command;
  target.command = std::move(words);
  return target;
}

// A shell that the test writes out: the channel itself has none.
ChannelTarget script_target(const std::string& script) {
  return program_target({"/bin/sh", "-c", script});
}

std::string content(const std::string& path) {
  std::ifstream file(path);
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

TEST(Program, GetsTheMessageAndNothingElseOfOurs) {
  TempDir dir;
  // A descriptor of ours that would be inherited.
  const int ours = ::open("/dev/null", O_RDONLY);
  ASSERT_GE(ours, 0);
  ::setenv("WATCHWHEEL_SECRET_OF_OURS", "hunter2", 1);
  Sending sending;
  const SendResult result = sending.send(
      script_target("cat > " + dir.file("in") + "; env > " + dir.file("env") + "; pwd > " +
                    dir.file("pwd") + "; for f in /proc/$$/fd/*; do echo ${f##*/}; done > " +
                    dir.file("fds") + "; echo out; echo err >&2"),
      testing::down(), "msg_program", 3);
  ::unsetenv("WATCHWHEEL_SECRET_OF_OURS");
  ::close(ours);
  ASSERT_EQ(result.outcome, SendOutcome::Delivered) << result.detail;
  EXPECT_EQ(result.detail, "exit status 0: out");
  EXPECT_EQ(content(dir.file("in")), webhook_body(testing::down(), "msg_program", "") + "\n");
  EXPECT_EQ(content(dir.file("pwd")), "/\n");
  const std::string environment = content(dir.file("env"));
  EXPECT_NE(environment.find("WATCHWHEEL_MESSAGE_ID=msg_program\n"), std::string::npos)
      << environment;
  EXPECT_NE(environment.find("WATCHWHEEL_ATTEMPT=3\n"), std::string::npos);
  EXPECT_NE(environment.find("WATCHWHEEL_KIND=down\n"), std::string::npos);
  EXPECT_EQ(environment.find("hunter2"), std::string::npos);
  // 0 to 2, and what the shell itself has open at that moment (its own file, from 10 on or the next free one).
  std::istringstream descriptors(content(dir.file("fds")));
  int inherited = 0;
  for (int fd = 0; descriptors >> fd;) inherited += fd > 3 && fd < 10 ? 1 : 0;
  EXPECT_EQ(inherited, 0) << content(dir.file("fds"));
}

TEST(Program, ArgumentsAreNotReadByAShell) {
  TempDir dir;
  const std::string odd = "$(touch " + dir.file("made") + "); `id` \"x\" 'y' *";
  Sending sending;
  const SendResult result = sending.send(program_target({"/bin/echo", odd}), testing::down());
  EXPECT_EQ(result.detail, "exit status 0: " + odd);
  EXPECT_FALSE(std::ifstream(dir.file("made")).good());
}

TEST(Program, ItsExitStatusIsTheAnswer) {
  Sending sending;
  const auto with = [&](const std::string& script) {
    return sending.send(script_target(script), testing::down());
  };
  EXPECT_EQ(with("exit 1").outcome, SendOutcome::Retry);
  EXPECT_EQ(with("exit 65").outcome, SendOutcome::Permanent);
  EXPECT_EQ(with("exit 75").status, 75);
  EXPECT_EQ(with("kill -9 $$").detail, "ended by signal 9");
  EXPECT_EQ(with("exec <&-; exit 0").outcome, SendOutcome::Delivered)
      << "who does not read has been told all the same";
  const SendResult none = sending.send(program_target({"/nonexistent/tell"}), testing::down());
  EXPECT_EQ(none.outcome, SendOutcome::Retry);
  EXPECT_NE(none.detail.find("No such file"), std::string::npos) << none.detail;
}

bool is_gone(const std::string& pid_file) {
  const std::string text = content(pid_file);
  if (text.empty()) return false;
  const pid_t pid = std::stoi(text);
  if (::kill(pid, 0) != 0) return true;
  // Killed, and whoever inherited it has not looked yet.
  return content("/proc/" + std::to_string(pid) + "/stat").find(") Z ") != std::string::npos;
}

TEST(Program, TooLongOrTooMuchIsKilledWithAllItBegan) {
  TempDir dir;
  Sending sending;
  ChannelTarget slow =
      script_target("sleep 1000 & echo $! > " + dir.file("pid") + "; echo begun; sleep 1000");
  slow.timeout = 2s;
  const SendResult late = sending.send(slow, testing::down());
  EXPECT_EQ(late.outcome, SendOutcome::Retry);
  EXPECT_EQ(late.detail, "killed: it took longer than the target's timeout: begun");
  EXPECT_TRUE(testing::eventually([&] { return is_gone(dir.file("pid")); }));

  const SendResult loud =
      sending.send(script_target("while :; do echo 0123456789; done"), testing::down());
  EXPECT_EQ(loud.outcome, SendOutcome::Retry);
  EXPECT_EQ(loud.detail, "killed: it wrote more than 64 KiB: 0123456789");
}

TEST(Program, WhatItLeavesBehindIsKilledAndNotWaitedFor) {
  TempDir dir;
  Sending sending;
  // The child keeps the pipe open.
  const SendResult result = sending.send(
      script_target("sleep 1000 & echo $! > " + dir.file("pid") + "; exit 0"), testing::down());
  EXPECT_EQ(result.outcome, SendOutcome::Delivered);
  EXPECT_TRUE(testing::eventually([&] { return is_gone(dir.file("pid")); }));
}

TEST(Program, StoppingEndsItAndGivesTheAttemptBack) {
  TempDir dir;
  Sending sending;
  sending.post(script_target("echo $$ > " + dir.file("pid") + "; exec sleep 1000"), testing::down(),
               "a");
  ASSERT_TRUE(testing::eventually([&] { return !content(dir.file("pid")).empty(); }));
  const core::SystemClock clock;
  sending.sender().stop(clock.steady());
  EXPECT_EQ(sending.answers().wait(1)[0].result.outcome, SendOutcome::NotSent);
  EXPECT_TRUE(is_gone(dir.file("pid")));
}

}  // namespace
}  // namespace watchwheel::channels
