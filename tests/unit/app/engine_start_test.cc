// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <thread>
#include <vector>

#include "app/config.h"
#include "app/engine.h"
#include "support/temp_dir.h"

namespace watchwheel::app {
namespace {

class NoLog final : public Log {
 public:
  void write(LogLevel /*level*/, std::string_view /*line*/) noexcept override {}
  [[nodiscard]] bool enabled(LogLevel /*level*/) const noexcept override { return false; }
};

// So many descriptors may still be opened, until it is destroyed.
class FewDescriptors {
 public:
  explicit FewDescriptors(std::size_t left) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = 256;  // More than the tests have open themselves.
    ::setrlimit(RLIMIT_NOFILE, &few);
    for (int taken = ::dup(0); taken >= 0; taken = ::dup(0)) taken_.push_back(taken);
    for (; left > 0 && !taken_.empty(); --left) {
      ::close(taken_.back());
      taken_.pop_back();
    }
  }
  ~FewDescriptors() {
    for (const int taken : taken_) ::close(taken);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }

 private:
  rlimit before_{};
  std::vector<int> taken_;
};

std::size_t threads_now() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
}

// Goal: an engine that cannot start ends the threads that it had started, wherever it failed: in the first lane, in the second, or
// behind them. Method: one descriptor more each time, until it starts.
TEST(EngineStart, ThatFailsLeavesNoThreadRunning) {
#ifdef __SANITIZE_ADDRESS__
  // Built with it, the undefined behaviour sanitizer opens a pipe to look at an object, and calls a sound one bad when it cannot.
  GTEST_SKIP() << "the sanitizer needs descriptors of its own";
#endif
  const testing::TempDir dir;
  Config config;
  config.store.url = "sqlite://" + dir.file("x.db");
  config.engine.lanes = 2;
  const core::SystemClock clock;
  NoLog log;
  std::thread([] {}).join();  // The thread sanitizer has one of its own from the first on.
  const std::size_t threads_before = threads_now();
  std::size_t failures = 0;
  for (std::size_t left = 0; left < 100; ++left) {
    auto engine = Engine::make(config, clock, log);
    ASSERT_TRUE(engine) << engine.error().message;
    core::Result<void> started;
    {
      const FewDescriptors few(left);
      started = (*engine)->start();
    }
    if (started) {
      (*engine)->drain_and_stop();
      break;
    }
    EXPECT_LE(threads_now(), threads_before) << left << " descriptors: " << started.error().message;
    ++failures;
  }
  EXPECT_GT(failures, 2U);
  EXPECT_LT(failures, 100U);
  EXPECT_EQ(threads_now(), threads_before);
}

}  // namespace
}  // namespace watchwheel::app
