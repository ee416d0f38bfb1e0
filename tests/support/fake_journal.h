// SPDX-License-Identifier: Apache-2.0
// support/fake_journal.h - an honest Journal in memory, with failures on demand.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sideeffects/detour.h"
#include "sideeffects/journal_api.h"

namespace watchwheel::testing {

class FakeJournal final : public sideeffects::Journal {
 public:
  core::Result<void> append(std::span<const sideeffects::JournalWrite> writes,
                            core::WallTime at) override {
    const std::lock_guard lock(mutex_);
    if (fail_next_) return *std::exchange(fail_next_, std::nullopt);
    if (full_) return core::Error{core::ErrorKind::Unavailable, "the journal is full"};
    for (const auto& write : writes) entries_.push_back({{++seq_, write, ""}, at});
    ++appends_;
    return {};
  }
  core::Result<std::vector<sideeffects::JournalEntry>> read(std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    if (unreadable_) return core::Error{core::ErrorKind::Unavailable, "the journal's disk"};
    std::vector<sideeffects::JournalEntry> page;
    for (const Kept& kept : entries_) {
      if (page.size() == limit) break;
      page.push_back(kept.entry);
    }
    return page;
  }
  core::Result<std::vector<sideeffects::JournalEntry>> read_after(std::uint64_t after,
                                                                  std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    if (on_read_after_) on_read_after_();
    std::vector<sideeffects::JournalEntry> page;
    for (const Kept& kept : entries_) {
      if (page.size() < limit && (kept.entry.seq > after || after > seq_)) page.push_back(kept.entry);
    }
    return page;
  }
  void remove(std::uint64_t seq) override {
    const std::lock_guard lock(mutex_);
    while (!entries_.empty() && entries_.front().entry.seq <= seq) entries_.pop_front();
  }
  core::Result<void> set_aside(std::uint64_t seq, const std::string& reason,
                               core::WallTime at) override {
    const std::lock_guard lock(mutex_);
    if (entries_.empty() || entries_.front().entry.seq != seq)
      return core::Error{core::ErrorKind::Invalid, "not the oldest"};
    const auto* event = std::get_if<sideeffects::EventWrite>(&entries_.front().entry.write);
    aside_.insert(aside_.begin(),
                  {seq, event == nullptr ? core::SiteId{} : event->site, at, reason});
    entries_.pop_front();
    return {};
  }
  core::Result<std::vector<sideeffects::SetAside>> list_set_aside(std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    return std::vector(aside_.begin(), aside_.begin() + static_cast<std::ptrdiff_t>(
                                                            std::min(limit, aside_.size())));
  }
  sideeffects::JournalReading reading() const override {
    const std::lock_guard lock(mutex_);
    return {.entries = entries_.size(),
            .bytes = entries_.size() * 100,
            .bytes_max = 1'000'000,
            .oldest = entries_.empty() ? core::kNoWallTime : entries_.front().at,
            .set_aside = aside_.size()};
  }

  void look_again() override { ++looks_; }

  // A person does.
  void forget_set_aside() { aside_.clear(); }
  [[nodiscard]] std::size_t looks() const { return looks_; }
  void fail_next_append(core::Error error) { fail_next_ = std::move(error); }
  void set_full(bool full) { full_ = full; }
  void on_read_after(std::function<void()> call) { on_read_after_ = std::move(call); }
  void set_unreadable(bool unreadable) { unreadable_ = unreadable; }
  void spoil_oldest(const std::string& problem) { entries_.front().entry.problem = problem; }
  [[nodiscard]] std::size_t appends() const { return appends_; }

 private:
  struct Kept {
    sideeffects::JournalEntry entry;
    core::WallTime at;
  };
  mutable std::mutex mutex_;
  std::deque<Kept> entries_;
  std::vector<sideeffects::SetAside> aside_;
  std::uint64_t seq_ = 0;
  std::size_t appends_ = 0;
  std::size_t looks_ = 0;
  std::optional<core::Error> fail_next_;
  std::function<void()> on_read_after_;
  bool full_ = false;
  bool unreadable_ = false;
};

// What the operator would have been told.
class OutagesTold final : public sideeffects::OutageWatch {
 public:
  void on_store_away(const core::Error& why) override { told.push_back("away: " + why.message); }
  void on_store_back(core::Duration /*away*/, std::uint64_t replayed) override {
    told.push_back("back: " + std::to_string(replayed));
  }
  void on_set_aside(core::SiteId site, const std::string& reason) override {
    told.push_back("aside: " + std::to_string(site.value) + " " + reason);
  }
  void on_journal_refuses(const core::Error& why) override {
    told.push_back("refuses: " + why.message);
  }
  void on_journal_takes_again() override { told.push_back("takes again"); }
  std::vector<std::string> told;
};

}  // namespace watchwheel::testing
