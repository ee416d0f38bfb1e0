// SPDX-License-Identifier: Apache-2.0
// app/waiting_notices.h - while a daemon waits for its store at the start: what an earlier process left in the journal, and had not
// told yet, is told from this host's own file (local_notices.h).
//
// Owns     the journal, so that no other process takes it, and a notifier without a store.
// Thread   the main thread's; reading(): any.
// Fails    begin(): there is none, and notices wait for the store: another process has the journal, other hosts shared the store when
//          it was last seen, or that was more than an hour ago, or a file cannot be used (logged).
#pragma once

#include <cstdint>
#include <memory>

#include "app/config.h"
#include "app/log.h"
#include "app/notifier.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "db/sqlite_journal.h"

namespace watchwheel::app {

class WaitingNotices : core::Pinned {
 public:
  [[nodiscard]] static std::unique_ptr<WaitingNotices> begin(const Config& config,
                                                             const core::Clock& clock, Log& log);
  // Gives up what is under way after a moment, and the journal.
  ~WaitingNotices();

  [[nodiscard]] std::uint64_t journal_entries() const { return journal_->reading().entries; }

 private:
  WaitingNotices(std::unique_ptr<db::SqliteJournal> journal, std::unique_ptr<Notifier> notifier,
                 const core::Clock& clock)
      : journal_(std::move(journal)), notifier_(std::move(notifier)), clock_(clock) {}

  const std::unique_ptr<db::SqliteJournal> journal_;
  const std::unique_ptr<Notifier> notifier_;
  const core::Clock& clock_;
};

}  // namespace watchwheel::app
