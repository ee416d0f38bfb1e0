// SPDX-License-Identifier: Apache-2.0
#include "checker/reactor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <functional>
#include <random>
#include <set>
#include <vector>

namespace watchwheel::checker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

const core::SteadyTime kStart{1h};

// A descriptor that is readable once signal() was called.
class Signal {
 public:
  Signal() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~Signal() { close(); }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  void signal() const {
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(fd_, &one, sizeof one), 8);
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Recorder : IoHandler, TimerHandler {
  void on_io(int, std::uint32_t, std::uint64_t tag, core::SteadyTime) noexcept override {
    io.push_back(tag);
    if (then) then(tag);
  }
  void on_timer(std::uint64_t tag, core::SteadyTime) noexcept override {
    timers.push_back(tag);
    if (then) then(tag);
  }
  std::vector<std::uint64_t> io, timers;
  std::function<void(std::uint64_t)> then;
};

std::unique_ptr<Reactor> make(std::size_t events_max = 64) {
  return std::move(Reactor::make(events_max)).value();
}

TEST(Reactor, TellsWhoWatches) {
  const auto reactor = make();
  Recorder recorder;
  const Signal signal;
  ASSERT_TRUE(reactor->watch(signal.fd(), EPOLLIN, recorder, 7));
  EXPECT_EQ(reactor->run(kStart), 0U);
  signal.signal();
  pollfd readable{reactor->descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&readable, 1, 0), 1);
  EXPECT_EQ(reactor->run(kStart), 1U);
  EXPECT_THAT(recorder.io, ElementsAre(7));
  EXPECT_EQ(reactor->run(kStart), 1U);  // Level-triggered.
}

TEST(Reactor, EdgeTriggeredTellsOnce) {
  const auto reactor = make();
  Recorder recorder;
  const Signal signal;
  ASSERT_TRUE(reactor->watch(signal.fd(), EPOLLIN | EPOLLET, recorder, 7));
  signal.signal();
  EXPECT_EQ(reactor->run(kStart), 1U);
  EXPECT_EQ(reactor->run(kStart), 0U);
  // Asked anew, it tells what still is ready.
  ASSERT_TRUE(reactor->watch(signal.fd(), EPOLLIN | EPOLLET, recorder, 8));
  EXPECT_EQ(reactor->run(kStart), 1U);
  EXPECT_THAT(recorder.io, ElementsAre(7, 8));
}

TEST(Reactor, WatchingAgainReplaces) {
  const auto reactor = make();
  Recorder first, second;
  const Signal signal;
  signal.signal();
  ASSERT_TRUE(reactor->watch(signal.fd(), EPOLLIN, first, 1));
  ASSERT_TRUE(reactor->watch(signal.fd(), EPOLLIN, second, 2));
  EXPECT_EQ(reactor->run(kStart), 1U);
  EXPECT_THAT(first.io, IsEmpty());
  EXPECT_THAT(second.io, ElementsAre(2));
}

TEST(Reactor, UnwatchedIsSilentAndDoesNotKeepTheDescriptorReadable) {
  const auto reactor = make();
  Recorder recorder;
  const Signal signal;
  ASSERT_TRUE(reactor->watch(signal.fd(), EPOLLIN, recorder, 1));
  signal.signal();
  reactor->unwatch(signal.fd());
  EXPECT_EQ(reactor->run(kStart), 0U);
  EXPECT_THAT(recorder.io, IsEmpty());
  pollfd readable{reactor->descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&readable, 1, 0), 0);
  // And it may be watched again.
  ASSERT_TRUE(reactor->watch(signal.fd(), EPOLLIN, recorder, 2));
  EXPECT_EQ(reactor->run(kStart), 1U);
  EXPECT_THAT(recorder.io, ElementsAre(2));
}

// Goal: numbers that the kernel gives again are no one else's. Method: each way a watched descriptor can go, then a new one
// with the same number.
TEST(Reactor, ADescriptorNumberMayComeBack) {
  const auto reactor = make();
  Recorder old, fresh;
  for (const bool tell : {true, false}) {
    Signal gone;
    const int number = gone.fd();
    ASSERT_TRUE(reactor->watch(number, EPOLLIN, old, 1));
    if (tell) reactor->forget(number);
    gone.close();  // When not told, the reactor believes that the kernel knows it.
    const Signal again;
    ASSERT_EQ(again.fd(), number);
    again.signal();
    ASSERT_TRUE(reactor->watch(number, EPOLLIN, fresh, 2));
    EXPECT_EQ(reactor->run(kStart), 1U);
    reactor->forget(number);
  }
  EXPECT_THAT(old.io, IsEmpty());
  EXPECT_THAT(fresh.io, ElementsAre(2, 2));
}

// Goal: an event that was fetched before its descriptor was closed and its number reused does not reach the new owner. Method: two
// are ready in one batch; whichever comes first closes the other and puts a new, silent one in its place.
TEST(Reactor, StaleEventsOfABatchAreDropped) {
  const auto reactor = make();
  std::vector<std::unique_ptr<Signal>> signals;
  Recorder recorder, fresh;
  for (std::uint64_t tag = 0; tag < 2; ++tag) {
    signals.push_back(std::make_unique<Signal>());
    signals.back()->signal();
    ASSERT_TRUE(reactor->watch(signals.back()->fd(), EPOLLIN, recorder, tag));
  }
  std::unique_ptr<Signal> replacement;
  recorder.then = [&](std::uint64_t tag) {
    Signal& other = *signals[1 - tag];
    const int number = other.fd();
    reactor->forget(number);
    other.close();
    replacement = std::make_unique<Signal>();
    ASSERT_EQ(replacement->fd(), number);
    ASSERT_TRUE(reactor->watch(number, EPOLLIN, fresh, 9));
  };
  EXPECT_EQ(reactor->run(kStart), 1U);
  EXPECT_EQ(recorder.io.size(), 1U);
  EXPECT_THAT(fresh.io, IsEmpty());
  replacement->signal();
  recorder.then = nullptr;
  reactor->run(kStart);
  EXPECT_THAT(fresh.io, ElementsAre(9));
}

TEST(Reactor, ForgottenWhileStillOpenDoesNotSpin) {
  const auto reactor = make();
  Recorder recorder;
  const Signal signal;
  ASSERT_TRUE(reactor->watch(signal.fd(), EPOLLIN, recorder, 1));
  signal.signal();
  reactor->forget(signal.fd());
  for (int calls = 0; calls < 2; ++calls) EXPECT_EQ(reactor->run(kStart), 0U);
  pollfd readable{reactor->descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&readable, 1, 0), 0);
}

// Bug: what had been fetched for a closed descriptor took its number out of the epoll set, and the number was another's by then
// (here: registered by hand, as another thread's would be by its own loop).
TEST(Reactor, TheNumberOfAForgottenOneIsNotTouched) {
  const auto reactor = make(8);
  Recorder recorder;
  const Signal first;
  auto second = std::make_unique<Signal>();
  struct Closer : IoHandler {
    Reactor* reactor = nullptr;
    std::unique_ptr<Signal>* other = nullptr;
    std::unique_ptr<Signal> next;
    int number = -1;
    void on_io(int, std::uint32_t, std::uint64_t, core::SteadyTime) noexcept override {
      if (*other == nullptr) return;
      number = (*other)->fd();
      reactor->forget(number);
      other->reset();
      next = std::make_unique<Signal>();
      epoll_event event{};
      event.events = EPOLLIN;
      (void)::epoll_ctl(reactor->descriptor(), EPOLL_CTL_ADD, next->fd(), &event);
    }
  } closer;
  closer.reactor = reactor.get();
  closer.other = &second;
  ASSERT_TRUE(reactor->watch(first.fd(), EPOLLIN | EPOLLET, closer, 1));
  ASSERT_TRUE(reactor->watch(second->fd(), EPOLLIN, recorder, 2));
  first.signal();
  second->signal();
  EXPECT_EQ(reactor->run(kStart), 1U);
  ASSERT_EQ(closer.next->fd(), closer.number);
  EXPECT_EQ(::epoll_ctl(reactor->descriptor(), EPOLL_CTL_DEL, closer.number, nullptr), 0);
  EXPECT_THAT(recorder.io, ElementsAre());
}

TEST(Reactor, HandlesABatchAndLeavesTheRest) {
  const auto reactor = make(3);
  Recorder recorder;
  std::vector<std::unique_ptr<Signal>> signals;
  for (std::uint64_t tag = 0; tag < 8; ++tag) {
    signals.push_back(std::make_unique<Signal>());
    signals.back()->signal();
    ASSERT_TRUE(reactor->watch(signals.back()->fd(), EPOLLIN | EPOLLONESHOT, recorder, tag));
  }
  EXPECT_EQ(reactor->run(kStart), 3U);
  EXPECT_EQ(reactor->run(kStart), 3U);
  EXPECT_EQ(reactor->run(kStart), 2U);
  EXPECT_EQ(std::set<std::uint64_t>(recorder.io.begin(), recorder.io.end()).size(), 8U);
}

TEST(Reactor, WhatCannotBeWatchedIsRefused) {
  const auto reactor = make();
  Recorder recorder;
  Signal signal;
  const int closed = signal.fd();
  signal.close();
  const auto watched = reactor->watch(closed, EPOLLIN, recorder, 1);
  ASSERT_FALSE(watched);
  EXPECT_EQ(watched.error().kind, core::ErrorKind::Unavailable);
}

TEST(ReactorTimers, FireInTheOrderOfTheirTimes) {
  const auto reactor = make();
  Recorder recorder;
  (void)reactor->arm(kStart + 3s, recorder, 3);
  (void)reactor->arm(kStart + 1s, recorder, 1);
  (void)reactor->arm(kStart + 2s, recorder, 2);
  (void)reactor->arm(kStart + 2s, recorder, 22);
  (void)reactor->arm(kStart + 4s, recorder, 4);
  EXPECT_EQ(reactor->next_timer(), kStart + 1s);
  EXPECT_EQ(reactor->run(kStart), 0U);
  EXPECT_EQ(reactor->run(kStart + 3s), 4U);
  EXPECT_THAT(recorder.timers, ElementsAre(1, 2, 22, 3));
  EXPECT_EQ(reactor->next_timer(), kStart + 4s);
  EXPECT_EQ(reactor->run(kStart + 4s), 1U);
  EXPECT_EQ(reactor->next_timer(), std::nullopt);
}

TEST(ReactorTimers, ADisarmedOneDoesNotFireAndItsNameReachesNoOther) {
  const auto reactor = make();
  Recorder recorder;
  const TimerId first = reactor->arm(kStart + 1s, recorder, 1);
  EXPECT_NE(first, 0U);
  reactor->disarm(first);
  const TimerId second = reactor->arm(kStart + 1s, recorder, 2);
  EXPECT_NE(second, first);
  reactor->disarm(first);
  reactor->disarm(0);
  EXPECT_EQ(reactor->run(kStart + 1s), 1U);
  EXPECT_THAT(recorder.timers, ElementsAre(2));
  reactor->disarm(second);
  EXPECT_EQ(reactor->next_timer(), std::nullopt);
}

TEST(ReactorTimers, AHandlerMayDisarmOneThatIsDueInTheSameCall) {
  const auto reactor = make();
  Recorder recorder;
  (void)reactor->arm(kStart, recorder, 1);
  const TimerId second = reactor->arm(kStart, recorder, 2);
  recorder.then = [&](std::uint64_t) { reactor->disarm(second); };
  EXPECT_EQ(reactor->run(kStart), 1U);
  EXPECT_THAT(recorder.timers, ElementsAre(1));
}

TEST(ReactorTimers, OneThatArmsItselfForNowWaitsForTheNextCall) {
  const auto reactor = make();
  Recorder recorder;
  recorder.then = [&](std::uint64_t tag) { (void)reactor->arm(kStart, recorder, tag + 1); };
  (void)reactor->arm(kStart, recorder, 1);
  EXPECT_EQ(reactor->run(kStart), 1U);
  EXPECT_EQ(reactor->run(kStart), 1U);
  EXPECT_THAT(recorder.timers, ElementsAre(1, 2));
}

TEST(ReactorTimers, WhatAnEventArmsForNowFiresInTheSameCall) {
  const auto reactor = make();
  Recorder recorder, timers;
  const Signal signal;
  signal.signal();
  ASSERT_TRUE(reactor->watch(signal.fd(), EPOLLIN | EPOLLET, recorder, 1));
  recorder.then = [&](std::uint64_t) { (void)reactor->arm(kStart, timers, 5); };
  EXPECT_EQ(reactor->run(kStart), 2U);
  EXPECT_THAT(timers.timers, ElementsAre(5));
}

// Goal: an answer that is here when its deadline passes is read first, however many there are; and a descriptor that is always
// ready holds no deadline for ever.
TEST(ReactorTimers, WaitWhileABatchIsFullButNotForEver) {
  const auto reactor = make(2);
  Recorder recorder;
  std::vector<std::unique_ptr<Signal>> signals;
  for (std::uint64_t tag = 0; tag < 5; ++tag) {
    signals.push_back(std::make_unique<Signal>());
    signals.back()->signal();
    ASSERT_TRUE(reactor->watch(signals.back()->fd(), EPOLLIN | EPOLLONESHOT, recorder, tag));
  }
  (void)reactor->arm(kStart, recorder, 7);
  EXPECT_EQ(reactor->run(kStart), 2U);
  EXPECT_EQ(reactor->run(kStart), 2U);
  EXPECT_THAT(recorder.timers, IsEmpty());
  EXPECT_EQ(reactor->run(kStart), 2U);
  EXPECT_EQ(recorder.io.size(), 5U);
  EXPECT_THAT(recorder.timers, ElementsAre(7));

  recorder.timers.clear();
  for (std::uint64_t tag = 0; tag < 2; ++tag)
    ASSERT_TRUE(reactor->watch(signals[tag]->fd(), EPOLLIN, recorder, tag));
  (void)reactor->arm(kStart, recorder, 8);
  for (int call = 0; call < 4; ++call) EXPECT_EQ(reactor->run(kStart), 2U);
  EXPECT_THAT(recorder.timers, IsEmpty());
  // Every descriptor there is can have had its turn by then.
  const int calls_most = signals.back()->fd() / 2 + 2;
  for (int call = 4; call < calls_most && recorder.timers.empty(); ++call)
    (void)reactor->run(kStart);
  EXPECT_THAT(recorder.timers, ElementsAre(8));
}

// Goal: answers that wait in the sockets of a process that was stopped are read before their deadlines are looked at, however
// many batches they fill.
TEST(ReactorTimers, WaitForEveryAnswerThatIsHereAlready) {
  const auto reactor = make(4);
  Recorder recorder;
  std::vector<std::unique_ptr<Signal>> signals;
  for (std::uint64_t tag = 0; tag < 200; ++tag) {
    signals.push_back(std::make_unique<Signal>());
    signals.back()->signal();
    ASSERT_TRUE(reactor->watch(signals.back()->fd(), EPOLLIN | EPOLLONESHOT, recorder, tag));
  }
  (void)reactor->arm(kStart, recorder, 1000);
  for (int call = 0; call < 50; ++call) {
    EXPECT_THAT(recorder.timers, IsEmpty()) << "after " << recorder.io.size() << " of 200 answers";
    (void)reactor->run(kStart);
    EXPECT_TRUE(reactor->more_ready());
  }
  EXPECT_EQ(recorder.io.size(), 200U);
  (void)reactor->run(kStart);
  EXPECT_FALSE(reactor->more_ready());
  EXPECT_THAT(recorder.timers, ElementsAre(1000));
}

// A clock that moves on each time it is read: an event of a handshake that takes 3 ms.
class TickingClock final : public core::Clock {
 public:
  core::SteadyTime steady() const override { return now_ += 3ms; }
  core::WallTime wall() const override { return {}; }
  void sleep_for(core::Duration) const override {}

 private:
  mutable core::SteadyTime now_ = kStart;
};

TEST(Reactor, EndsACallWhoseEventsTakeLongAndForgetsNoneOfThem) {
  const TickingClock clock;
  const auto reactor = std::move(Reactor::make(64, &clock)).value();
  Recorder recorder;
  std::vector<std::unique_ptr<Signal>> signals;
  for (std::uint64_t tag = 0; tag < 40; ++tag) {
    signals.push_back(std::make_unique<Signal>());
    signals.back()->signal();
    ASSERT_TRUE(reactor->watch(signals.back()->fd(), EPOLLIN | EPOLLET, recorder, tag));
  }
  EXPECT_EQ(reactor->run(kStart), 16U);  // The clock is looked at after every fourth.
  EXPECT_TRUE(reactor->more_ready());
  EXPECT_EQ(reactor->run(kStart), 16U);
  EXPECT_EQ(reactor->run(kStart), 8U);
  EXPECT_FALSE(reactor->more_ready());
  EXPECT_EQ(recorder.io.size(), 40U);
}

// Goal: how long an answer waits for its turn is told while it waits and when it is over; and a lane that catches up waits for
// nothing, however often a call was full. Method: a round of 12 answers in calls of 3, 10 ms each; then one call's worth at a time.
TEST(ReactorWaits, AreTheTimeOfAWholeRound) {
  const auto reactor = make(3);
  Recorder recorder;
  std::vector<std::unique_ptr<Signal>> signals;
  core::SteadyTime now = kStart;
  const auto ready = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      signals.push_back(std::make_unique<Signal>());
      signals.back()->signal();
      ASSERT_TRUE(reactor->watch(signals.back()->fd(), EPOLLIN | EPOLLONESHOT, recorder, i));
    }
  };
  ready(12);
  reactor->run(now);
  EXPECT_EQ(reactor->waits().since, kStart);
  ready(6);  // Behind the mark: their wait is another's.
  for (int call = 0; call < 3; ++call) {
    reactor->run(now += 10ms);
    EXPECT_EQ(reactor->waits().since, kStart);
    EXPECT_EQ(reactor->waits().ended, 0ms);
  }
  reactor->run(now += 10ms);
  EXPECT_EQ(recorder.io.size(), 15U) << "all that was ready before the mark, and three more";
  EXPECT_EQ(reactor->waits().ended, 40ms);
  EXPECT_EQ(reactor->waits().since, now) << "there is more: another round";
  for (int call = 0; call < 4; ++call) reactor->run(now += 10ms);
  EXPECT_EQ(recorder.io.size(), 18U);
  EXPECT_FALSE(reactor->more_ready());
  EXPECT_EQ(reactor->waits().since, core::kNoSteadyTime);
  EXPECT_EQ(reactor->waits().ended, 0ms);
  pollfd readable{reactor->descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&readable, 1, 0), 0) << "a mark keeps no loop awake";

  for (int call = 0; call < 50; ++call) {
    ready(3);
    reactor->run(now += 10ms);
    EXPECT_LE(reactor->waits().ended, 10ms);
    if (reactor->waits().since != core::kNoSteadyTime) {
      EXPECT_LE(now - reactor->waits().since, 10ms);
    }
  }
}

TEST(ReactorTimers, ACallFiresABatchAndLeavesTheRest) {
  const auto reactor = make(10);
  Recorder recorder;
  for (std::uint64_t tag = 0; tag < 25; ++tag) (void)reactor->arm(kStart, recorder, tag);
  EXPECT_EQ(reactor->run(kStart), 10U);
  EXPECT_EQ(reactor->next_timer(), kStart);
  EXPECT_EQ(reactor->run(kStart), 10U);
  EXPECT_EQ(reactor->run(kStart), 5U);
}

// Goal: any mix of arming, disarming and firing agrees with a sorted list. Method: random steps; the seed is printed.
TEST(ReactorTimers, AgreeWithASortedList) {
  const unsigned seed = 20'261'121;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto reactor = make(100'000);
  Recorder recorder;
  struct Armed {
    core::SteadyTime at;
    std::uint64_t tag;
    TimerId id;
  };
  std::vector<Armed> model;
  core::SteadyTime now = kStart;
  std::uint64_t tag = 0;
  for (int step = 0; step < 20'000; ++step) {
    const auto dice = random() % 10;
    if (dice < 5) {
      const auto at = now + std::chrono::milliseconds{random() % 1000};
      model.push_back({at, ++tag, reactor->arm(at, recorder, tag)});
    } else if (dice < 8 && !model.empty()) {
      const auto victim = model.begin() + static_cast<std::ptrdiff_t>(random() % model.size());
      reactor->disarm(victim->id);
      model.erase(victim);
    } else {
      now += std::chrono::milliseconds{random() % 50};
      recorder.timers.clear();
      reactor->run(now);
      std::stable_sort(model.begin(), model.end(), [](auto& a, auto& b) { return a.at < b.at; });
      std::vector<std::uint64_t> expected;
      while (!model.empty() && model.front().at <= now) {
        expected.push_back(model.front().tag);
        model.erase(model.begin());
      }
      ASSERT_EQ(recorder.timers, expected);
    }
    std::optional<core::SteadyTime> next;
    for (const Armed& armed : model) next = next ? std::min(*next, armed.at) : armed.at;
    ASSERT_EQ(reactor->next_timer(), next);
  }
}

}  // namespace
}  // namespace watchwheel::checker
