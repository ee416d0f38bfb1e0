// SPDX-License-Identifier: Apache-2.0
// checker/reactor.h - one epoll descriptor for all the sockets of a lane's checker, and its
// deadlines.
//
// Owns     the epoll descriptor, an eventfd for its mark, and the table of who waits for which
//          descriptor; not the descriptors themselves.
// Thread   the lane's, for every call.
// Bounded  by the process's descriptors; run() handles at most `events_max` events a call, or 10 ms
//          of them, the rest at the next.
// Fails    watch() may be refused by the kernel (Unavailable). Asio waits on the one epoll
//          descriptor: an Asio descriptor for each socket was measured 10-20 % dearer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"

namespace watchwheel::checker {

class IoHandler {
 public:
  virtual ~IoHandler() = default;
  // `events`: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP bits. `tag`: as given to watch().
  virtual void on_io(int fd, std::uint32_t events, std::uint64_t tag, core::SteadyTime now) noexcept = 0;
};

class TimerHandler {
 public:
  virtual ~TimerHandler() = default;
  virtual void on_timer(std::uint64_t tag, core::SteadyTime now) noexcept = 0;
};

// Names an armed timer. Never reused; 0 is none.
using TimerId = std::uint64_t;

// How long what is ready waits for its turn while there is more than one call handles: a mark queues up behind it in the kernel,
// and is timed.
struct ReactorWaits {
  core::Duration ended{};                          // Of the mark that came back in the last run(); 0: none did.
  core::SteadyTime since = core::kNoSteadyTime;  // Since when a mark waits; kNoSteadyTime: none does.
};

class Reactor : core::Pinned {
 public:
  // With a clock, a call of run() also ends after 10 ms of events.
  [[nodiscard]] static core::Result<std::unique_ptr<Reactor>> make(
      std::size_t events_max, const core::Clock* clock = nullptr);
  virtual ~Reactor() = default;

  [[nodiscard]] virtual int descriptor() const = 0;

  // Level-triggered unless EPOLLET is among `events`. Watching a descriptor again replaces what was asked (also when the kernel
  // reused its number): the caller need not know.
  [[nodiscard]] virtual core::Result<void> watch(int fd, std::uint32_t events, IoHandler& handler, std::uint64_t tag) = 0;
  // Before the descriptor is closed or handed to somebody else. Events already fetched for it are dropped.
  virtual void unwatch(int fd) = 0;
  // The same, where the descriptor is closed right afterwards and the kernel forgets it by itself: saves a system call, and the
  // number, which may be another thread's at once, is not touched.
  virtual void forget(int fd) = 0;

  // One shot. Handlers run from run(), in the order of their times.
  [[nodiscard]] virtual TimerId arm(core::SteadyTime at, TimerHandler& handler, std::uint64_t tag) = 0;
  virtual void disarm(TimerId timer) = 0;  // Does nothing when it has fired or is 0.
  [[nodiscard]] virtual std::optional<core::SteadyTime> next_timer() const = 0;

  // Handles what is ready and what is due at `now`, without waiting. Returns how many events there were. While there may be
  // more events than a call handles, timers wait: until each descriptor can have had its turn, or for four full calls.
  virtual std::size_t run(core::SteadyTime now) = 0;
  // The last run() left events, or may have: it is called again without waiting.
  [[nodiscard]] virtual bool more_ready() const = 0;
  [[nodiscard]] virtual ReactorWaits waits() const = 0;
};

}  // namespace watchwheel::checker
