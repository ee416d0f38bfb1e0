// SPDX-License-Identifier: Apache-2.0
// Where data races are looked for, suites that start no thread are left out: they take minutes there and can tell nothing. Which do
// is said in tests/CMakeLists.txt, and held to here.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <string>

#if !defined(__SANITIZE_THREAD__)

namespace {

int threads_started = 0;  // Those of this program are started by its main thread.

class StartsNoThread : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo& /*test*/) override { before_ = threads_started; }
  void OnTestEnd(const ::testing::TestInfo& test) override {
    const std::string suites = ":" WATCHWHEEL_SUITES_WITH_THREADS ":";
    if (suites.find(":" + std::string(test.test_suite_name()) + ":") != std::string::npos) return;
    EXPECT_EQ(threads_started, before_)
        << "name " << test.test_suite_name() << " in threads_sim_engine of tests/CMakeLists.txt";
  }
  int before_ = 0;
};

const bool is_listening = [] {
  ::testing::UnitTest::GetInstance()->listeners().Append(new StartsNoThread);
  return true;
}();

}  // namespace

// In place of the C library's (and of a sanitizer's, which is called).
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* how, void* (*body)(void*),
                              void* with) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  ++threads_started;
  return reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"))(thread, how, body, with);
}

#endif
