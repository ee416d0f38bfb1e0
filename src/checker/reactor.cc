// SPDX-License-Identifier: Apache-2.0
//
// Stale events. epoll_wait fetches a batch; a handler may close a descriptor whose event is still in that batch, and the kernel
// may give its number to the next socket at once. So every registration carries a generation in its epoll data, and an event of
// an older generation is dropped.
//
// Timers stand in a binary heap that knows where each one is, so disarming really removes it: most deadlines of a healthy fleet
// are disarmed, and a heap with lazy cancellation would hold mostly dead ones.
//
// The mark. The kernel keeps what is ready in the order in which it became so, and appends what is still ready after it was
// fetched. So when a call leaves something, an eventfd is written: it comes back when all that was ready by then has had its
// turn, and what it waited is what an answer waits. How long there has always been something left would not tell: a busy lane
// may never be empty, and no answer wait longer than a turn.
#include "checker/reactor.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

// While batches come full, timers wait for so many of them, or until every descriptor can have had its turn.
constexpr std::size_t kTimersWaitBatches = 4;
// A handshake's event can take a hundred times as long as another, so a count of events alone bounds no turn.
constexpr core::Duration kCallMost = std::chrono::milliseconds{10};
constexpr std::size_t kEventsBetweenLooks = 4;  // At the clock.
constexpr std::uint64_t kMark = ~std::uint64_t{0};  // As epoll data: no descriptor has this number.

// Armed timers, by time and then by order of arming. An id is a slot and how often the slot has been used.
class TimerHeap {
 public:
  struct Due {
    core::SteadyTime at;
    std::uint64_t order;
    TimerHandler* handler;
    std::uint64_t tag;
  };

  TimerId arm(core::SteadyTime at, TimerHandler& handler, std::uint64_t tag) {
    const std::uint32_t index = take_slot();
    Slot& slot = slots_[index];
    slot.handler = &handler;
    slot.tag = tag;
    heap_.push_back({at, next_order_++, index});
    rise(heap_.size() - 1);
    return (slot.uses << kSlotBits) | index;
  }

  void disarm(TimerId id) {
    const auto index = static_cast<std::uint32_t>(id & kSlotMask);
    if (index >= slots_.size()) return;
    const Slot& slot = slots_[index];
    if (slot.handler == nullptr || slot.uses != id >> kSlotBits) return;
    remove_at(slot.position);
  }

  [[nodiscard]] std::optional<core::SteadyTime> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().at;
  }
  [[nodiscard]] std::uint64_t next_order() const { return next_order_; }

  // Takes the first timer if it is due and was armed before `order_end`.
  std::optional<Due> take_due(core::SteadyTime now, std::uint64_t order_end) {
    if (heap_.empty() || heap_.front().at > now || heap_.front().order >= order_end) {
      return std::nullopt;
    }
    const Node node = heap_.front();
    const Slot& slot = slots_[node.slot];
    const Due due{node.at, node.order, slot.handler, slot.tag};
    remove_at(0);
    return due;
  }

 private:
  static constexpr unsigned kSlotBits = 24;
  static constexpr TimerId kSlotMask = (TimerId{1} << kSlotBits) - 1;

  struct Node {
    core::SteadyTime at;
    std::uint64_t order;
    std::uint32_t slot;
  };
  struct Slot {
    TimerHandler* handler = nullptr;  // Null: free.
    std::uint64_t tag = 0;
    std::uint64_t uses = 0;
    std::size_t position = 0;
  };

  std::uint32_t take_slot() {
    if (free_.empty()) {
      ENSURE(slots_.size() <= kSlotMask, "more than 16 million timers armed");
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    ++slots_[index].uses;  // From 1, so that no id is 0.
    return index;
  }

  static bool before(const Node& a, const Node& b) {
    return a.at != b.at ? a.at < b.at : a.order < b.order;
  }

  void put(std::size_t position, const Node& node) {
    heap_[position] = node;
    slots_[node.slot].position = position;
  }

  void rise(std::size_t position) {
    const Node node = heap_[position];
    while (position > 0) {
      const std::size_t parent = (position - 1) / 2;
      if (!before(node, heap_[parent])) break;
      put(position, heap_[parent]);
      position = parent;
    }
    put(position, node);
  }

  void sink(std::size_t position) {
    const Node node = heap_[position];
    for (;;) {
      std::size_t child = 2 * position + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
      if (!before(heap_[child], node)) break;
      put(position, heap_[child]);
      position = child;
    }
    put(position, node);
  }

  void remove_at(std::size_t position) {
    const std::uint32_t slot = heap_[position].slot;
    slots_[slot].handler = nullptr;
    free_.push_back(slot);
    const Node last = heap_.back();
    heap_.pop_back();
    if (position == heap_.size()) return;
    put(position, last);
    rise(position);
    sink(slots_[last.slot].position);
  }

  std::vector<Node> heap_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::uint64_t next_order_ = 0;
};

class EpollReactor final : public Reactor {
 public:
  EpollReactor(int epoll_fd, int mark_fd, std::size_t events_max, const core::Clock* clock)
      : epoll_(epoll_fd), mark_(mark_fd), clock_(clock), events_max_(events_max), fetched_(events_max + 1) {}
  ~EpollReactor() override {
    ::close(mark_);
    ::close(epoll_);
  }

  [[nodiscard]] int descriptor() const override { return epoll_; }

  core::Result<void> watch(int fd, std::uint32_t events, IoHandler& handler,
                           std::uint64_t tag) override {
    ENSURE(fd >= 0, "watching no descriptor");
    if (static_cast<std::size_t>(fd) >= watches_.size()) {
      watches_.resize(static_cast<std::size_t>(fd) + 1);
    }
    Watch& watch = watches_[static_cast<std::size_t>(fd)];
    ++watch.generation;
    if (!register_with_kernel(fd, events, watch)) {
      const int error = errno;
      watch.handler = nullptr;
      watch.in_kernel = false;
      return core::Error{core::ErrorKind::Unavailable,
                         std::string("epoll_ctl: ") + std::strerror(error)};
    }
    watch.handler = &handler;
    watch.tag = tag;
    watch.in_kernel = true;
    return {};
  }

  // The kernel is not told: the number mostly is closed soon, or watched by its next owner with one call instead of two. What
  // the kernel still says about it is dropped, and ends with the first word.
  void unwatch(int fd) override {
    if (Watch* watch = find(fd)) {
      watch->handler = nullptr;
      ++watch->generation;
    }
  }

  void forget(int fd) override {
    if (Watch* watch = find(fd)) {
      watch->handler = nullptr;
      watch->in_kernel = false;
      watch->spoke_after = false;
      ++watch->generation;
    }
  }

  TimerId arm(core::SteadyTime at, TimerHandler& handler, std::uint64_t tag) override {
    return timers_.arm(at, handler, tag);
  }
  void disarm(TimerId timer) override { timers_.disarm(timer); }
  [[nodiscard]] std::optional<core::SteadyTime> next_timer() const override {
    return timers_.next();
  }

  // Events come before timers: an answer that is here when its deadline passes is an answer. So timers wait while there may be
  // more events than one call handles, but not for ever. What was fetched and not handled keeps its place: of an edge-triggered
  // event the kernel would not tell again.
  std::size_t run(core::SteadyTime now) override {
    waits_.ended = {};
    std::size_t handled = run_events(now);
    // Behind a mark alone nothing waits.
    if (more_ && handled > 0 && waits_.since == core::kNoSteadyTime) send_mark(now);
    const std::size_t wait_most = std::max(kTimersWaitBatches * events_max_, watches_.size());
    if (more_ && seen_since_timers_ <= wait_most) return handled;
    seen_since_timers_ = 0;
    // What a handler arms for now or earlier waits for the next call, so a timer that arms itself cannot hold the loop.
    const std::uint64_t order_end = timers_.next_order();
    for (std::size_t i = 0; i < events_max_; ++i) {
      const auto due = timers_.take_due(now, order_end);
      if (!due) break;
      due->handler->on_timer(due->tag, now);
      ++handled;
    }
    return handled;
  }

  [[nodiscard]] bool more_ready() const override { return more_; }
  [[nodiscard]] ReactorWaits waits() const override { return waits_; }

 private:
  struct Watch {
    IoHandler* handler = nullptr;
    std::uint64_t tag = 0;
    std::uint32_t generation = 0;
    bool in_kernel =
        false;  // As far as we know: the kernel forgets a descriptor when it is closed.
    bool spoke_after = false;  // An event came after it was forgotten: one may have been fetched before.
  };

  std::size_t run_events(core::SteadyTime now) {
    if (next_ == count_) {
      next_ = 0;
      count_ = 0;
      full_ = fetch(events_max_) == events_max_;
    }
    const core::SteadyTime until = clock_ != nullptr ? clock_->steady() + kCallMost : now;
    std::size_t handled = 0;
    while (next_ < count_) {
      const epoll_event& event = fetched_[next_++];
      if (event.data.u64 == kMark) {
        take_mark(now);
        continue;
      }
      handled += dispatch(event, now);
      ++seen_since_timers_;
      const bool looks = clock_ != nullptr && next_ % kEventsBetweenLooks == 0;
      if (looks && clock_->steady() >= until) break;
    }
    more_ = next_ < count_ || full_;
    return handled;
  }

  // Appends what is ready to what was fetched.
  std::size_t fetch(std::size_t most) {
    const int count = ::epoll_wait(epoll_, &fetched_[count_], static_cast<int>(most), 0);
    const auto fetched = static_cast<std::size_t>(std::max(count, 0));
    count_ += fetched;
    return fetched;
  }

  [[nodiscard]] core::SteadyTime time(core::SteadyTime now) const {
    return clock_ != nullptr ? clock_->steady() : now;
  }
  void send_mark(core::SteadyTime now) {
    const std::uint64_t one = 1;
    if (::write(mark_, &one, sizeof one) == sizeof one) waits_.since = time(now);
  }
  void take_mark(core::SteadyTime now) {
    if (full_) full_ = fetch(1) == 1;  // It is no event: another takes its place.
    waits_.ended = time(now) - waits_.since;
    waits_.since = core::kNoSteadyTime;
  }

  Watch* find(int fd) {
    if (fd < 0 || static_cast<std::size_t>(fd) >= watches_.size()) return nullptr;
    return &watches_[static_cast<std::size_t>(fd)];
  }

  bool register_with_kernel(int fd, std::uint32_t events, const Watch& watch) const {
    epoll_event event{};
    event.events = events;
    event.data.u64 = (std::uint64_t{watch.generation} << 32U) | static_cast<std::uint32_t>(fd);
    const int guess = watch.in_kernel ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (::epoll_ctl(epoll_, guess, fd, &event) == 0) return true;
    if (guess == EPOLL_CTL_MOD && errno == ENOENT) {
      return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
    }
    if (guess == EPOLL_CTL_ADD && errno == EEXIST) {
      return ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0;
    }
    return false;
  }

  std::size_t dispatch(const epoll_event& event, core::SteadyTime now) {
    const int fd = static_cast<int>(event.data.u64 & 0xffff'ffffU);
    const auto generation = static_cast<std::uint32_t>(event.data.u64 >> 32U);
    Watch& watch = watches_[static_cast<std::size_t>(fd)];
    if (watch.generation != generation) {
      // Nobody waits for it, and level-triggered it would come for ever. But a forgotten one is closed, its number perhaps
      // another thread's by now: it is touched only if the kernel goes on about it.
      if (watch.handler == nullptr) {
        if (watch.in_kernel || watch.spoke_after) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
        watch.spoke_after = !watch.in_kernel;
        watch.in_kernel = false;
      }
      return 0;
    }
    // Copied: the handler may watch others, and the table may move.
    IoHandler* handler = watch.handler;
    const std::uint64_t tag = watch.tag;
    handler->on_io(fd, event.events, tag, now);
    return 1;
  }

  int epoll_;
  int mark_;  // Edge-triggered and never read: each write is one event.
  ReactorWaits waits_;
  const core::Clock* clock_;  // Null: a call takes as long as its events take.
  std::size_t seen_since_timers_ = 0;  // Events.
  bool more_ = false;
  bool full_ = false;  // There may be more than was fetched.
  std::size_t events_max_;
  std::vector<epoll_event> fetched_;  // From next_ to count_ not handled yet. Room for a mark beyond events_max_.
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  std::vector<Watch> watches_;  // By descriptor.
  TimerHeap timers_;
};

}  // namespace

core::Result<std::unique_ptr<Reactor>> Reactor::make(std::size_t events_max,
                                                     const core::Clock* clock) {
  ENSURE(events_max > 0 && events_max <= 1'000'000, "a reactor must handle events");
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) {
    return core::Error{core::ErrorKind::Unavailable,
                       std::string("epoll_create1: ") + std::strerror(errno)};
  }
  const int mark = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kMark;
  if (mark < 0 || ::epoll_ctl(fd, EPOLL_CTL_ADD, mark, &event) != 0) {
    const int error = errno;
    if (mark >= 0) ::close(mark);
    ::close(fd);
    return core::Error{core::ErrorKind::Unavailable,
                       std::string("eventfd: ") + std::strerror(error)};
  }
  return std::unique_ptr<Reactor>(std::make_unique<EpollReactor>(fd, mark, events_max, clock));
}

}  // namespace watchwheel::checker
