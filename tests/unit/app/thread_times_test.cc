// SPDX-License-Identifier: Apache-2.0
#include "app/thread_times.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <thread>

namespace watchwheel::app {
namespace {

TEST(ThreadTimes, ALineOfTheKernelIsReadWhateverTheNameHolds) {
  const std::string tail = " S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0";
  EXPECT_EQ(cpu_seconds_of_stat("42 (lane-0)" + tail, 100), 2.0);
  EXPECT_EQ(cpu_seconds_of_stat("42 (a ) (b) 7 8)" + tail, 100), 2.0);
  EXPECT_FALSE(cpu_seconds_of_stat("42 (lane-0) S 1 2 3", 100));
  EXPECT_FALSE(cpu_seconds_of_stat("42 lane-0", 100));
  EXPECT_FALSE(cpu_seconds_of_stat("", 100));
  EXPECT_FALSE(cpu_seconds_of_stat("42 (x) S 1 2 3 4 5 6 7 8 9 10 -1 50 0", 100));
}

TEST(ThreadTimes, OurOwnThreadsAreThereByName) {
  std::atomic<bool> stop{false};
  std::atomic<bool> named{false};
  std::thread other([&] {
    pthread_setname_np(pthread_self(), "times-test");
    named.store(true);
    while (!stop.load()) std::this_thread::yield();
  });
  while (!named.load()) std::this_thread::yield();
  const auto times = thread_times();
  stop.store(true);
  other.join();
  ASSERT_TRUE(times.contains("times-test"));
  EXPECT_GE(times.at("times-test"), 0);
}

}  // namespace
}  // namespace watchwheel::app
