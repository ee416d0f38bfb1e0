// SPDX-License-Identifier: Apache-2.0
// A process that is killed while it stores events: what it was told is stored stays stored.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>

#include "contract.h"
#include "support/temp_dir.h"

namespace watchwheel::db::contract {
namespace {

constexpr int kRounds = 20;
constexpr std::uint64_t kSites = 64;

// What the writer was told is stored: the number of its commit, told after commit() returned.
using Step = std::uint64_t;

// Commit number `step`: every site goes one step on (opened, confirmed, recovered), one event after
// the other.
std::vector<sideeffects::EventWrite> writes_of(Step step) {
  const auto start = static_cast<std::int64_t>(step / 3) * 100'000;
  std::vector<sideeffects::EventWrite> writes;
  for (std::uint64_t i = 1; i <= kSites; ++i) {
    const core::SiteId id{i};
    writes.push_back(step % 3 == 0   ? opened(id, start)
                     : step % 3 == 1 ? confirmed(id, start)
                                     : recovered(id, start));
  }
  return writes;
}

[[noreturn]] void write_until_killed(const std::string& url, Step from, int tell) {
  const auto store = open_store(url);
  if (!store) ::_exit(2);
  const auto events = (*store)->make_event_store();
  if (!events) ::_exit(3);
  for (Step step = from;; ++step) {
    if (!(*events)->commit(writes_of(step))) ::_exit(4);
    if (::write(tell, &step, sizeof step) != sizeof step) ::_exit(5);
  }
}

// Lets a writer go on from `from` and kills it `after` its first commit was told. Returns the last
// one it told.
Step kill_a_writer(const std::string& url, Step from, std::chrono::microseconds after) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
  const pid_t child = ::fork();
  if (child == 0) write_until_killed(url, from, ends[1]);
  ::close(ends[1]);

  Step told = from;
  if (::read(ends[0], &told, sizeof told) != sizeof told)
    throw std::runtime_error("the writer told nothing");
  std::this_thread::sleep_for(after);
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
      << "the writer ended by itself: " << status;
  for (Step next; ::read(ends[0], &next, sizeof next) == sizeof next;) told = next;
  ::close(ends[0]);
  return told;
}

std::uint64_t seed_from_env() {
  const char* given = std::getenv("WATCHWHEEL_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

// All that was told is stored, and what is stored is a whole number of commits without gaps or
// pairs of open events. Returns how many commits are stored.
Step check_store(const std::string& url, Step told) {
  const auto store = take(open_store(url));
  (void)take(store->migrate(false));
  const auto log = take(store->make_incident_log());
  Step stored_min = UINT64_MAX;
  Step stored_max = 0;
  for (std::uint64_t i = 1; i <= kSites; ++i) {
    const auto found = take(log->list({.open_only = false, .site = core::SiteId{i}}, 0, 1'000'000));
    Step stored = 0;
    int open = 0;
    for (const Incident& one : found) {
      const std::int64_t start = core::to_unix_ms(one.started_at) - core::to_unix_ms(at(0));
      const auto story = whole_story(core::SiteId{i}, start).transitions;
      EXPECT_EQ(one.transitions,
                std::vector(story.begin(),
                            story.begin() + static_cast<std::ptrdiff_t>(one.transitions.size())));
      open += one.state != core::SiteState::Up ? 1 : 0;
      EXPECT_EQ(one.state == core::SiteState::Up, one.transitions.size() == 3);
      stored += one.transitions.size();
    }
    EXPECT_LE(open, 1);
    stored_min = std::min(stored_min, stored);
    stored_max = std::max(stored_max, stored);
  }
  EXPECT_EQ(stored_min, stored_max) << "half a commit is stored";
  EXPECT_GT(stored_min, told) << "a commit that was told is lost";
  EXPECT_LE(stored_min, told + 2) << "more is stored than was begun";
  return stored_min;
}

// Goal: SIGKILL at any moment loses no acknowledged commit and leaves nothing half done.
// Method: twenty writers, each killed at a random moment; each goes on where the one before was
// stopped, and after every second one the next repeats the last commit, as a shard does that never
// heard of its end.
TEST(Crash, AKilledWriterLosesNothingItWasTold) {
  const std::uint64_t seed = seed_from_env();
  std::cout << "seed " << seed << " (WATCHWHEEL_SEED repeats it)\n";
  std::mt19937_64 random(seed);
  const testing::TempDir dir;
  const std::string url = "sqlite://" + dir.file("x.db");
  (void)take(take(open_store(url))->migrate(false));

  Step next = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::chrono::microseconds after(random() % 30'000);
    const Step told = kill_a_writer(url, next, after);
    const Step stored = check_store(url, told);
    ASSERT_FALSE(HasFailure()) << "round " << round << ", killed after " << after.count() << " us";
    next = round % 2 == 0 ? stored : stored - 1;
  }
  // However slow the machine: every round stores at least what it told, and every second one gives one back.
  EXPECT_GE(next, static_cast<Step>(kRounds / 2));
}

}  // namespace
}  // namespace watchwheel::db::contract
