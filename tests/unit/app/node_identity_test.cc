// SPDX-License-Identifier: Apache-2.0
#include "app/node_identity.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace watchwheel::app {
namespace {

TEST(NodeIdentity, ANameIsTakenAsItIsOrRefused) {
  EXPECT_EQ(*node_name("mon-1.example_2"), "mon-1.example_2");
  EXPECT_FALSE(node_name("mon 1"));
  EXPECT_FALSE(node_name("a'; DROP TABLE nodes; --"));
  EXPECT_FALSE(node_name(std::string(65, 'a')));
  ASSERT_TRUE(node_name(""));  // The host's.
}

TEST(NodeIdentity, AProcessThatRunsIsNotDead) {
  EXPECT_EQ(process_instance(), process_instance());
  EXPECT_FALSE(is_surely_dead(process_instance()));
}

TEST(NodeIdentity, OneThatRanHereAndIsGoneIsDead) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string instance = process_instance();
    (void)!::write(ends[1], instance.data(), instance.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  char text[200];
  const ssize_t n = ::read(ends[0], text, sizeof text);
  ::close(ends[0]);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ASSERT_GT(n, 0);
  EXPECT_TRUE(is_surely_dead(std::string(text, static_cast<std::size_t>(n))));
}

TEST(NodeIdentity, OfAnotherMachineNothingIsKnown) {
  EXPECT_FALSE(is_surely_dead("other-boot/pid:[1]/1/1"));
  EXPECT_FALSE(is_surely_dead(""));
  EXPECT_FALSE(is_surely_dead(process_instance().substr(0, process_instance().find('/')) + "/pid:[1]/1/1"));
}

}  // namespace
}  // namespace watchwheel::app
