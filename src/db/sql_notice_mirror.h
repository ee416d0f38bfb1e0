// SPDX-License-Identifier: Apache-2.0
// db/sql_notice_mirror.h - the mirror (sideeffects/notice_mirror_api.h) in an SQLite file of its own, "notices.db": the embedded
// store's schema, so that its outbox and its queue work on it as they are, and some tables more.
//
// Rows of the store keep their ids there; what is made there has ids from kAwayIdFirst on. Of an event only its row is copied: its
// transitions, as far as they were routed, are nobody's business any more.
//
// Owns     its sessions: two with the file, one with the store (none while it is away at the start).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/pinned.h"
#include "db/sql_event_store.h"
#include "db/sqlite.h"
#include "sideeffects/notice_mirror_api.h"

namespace watchwheel::db {

inline constexpr const char* kNoticesFile = "notices.db";

// The file, ready for use; one that is damaged is begun anew. `store`: Store::identity(); a file about another store is emptied. "":
// not known now.
[[nodiscard]] core::Result<void> prepare_notices_file(const std::string& path,
                                                      std::string_view store);

class NoticeHandover;

class SqlNoticeMirror final : public sideeffects::NoticeMirror, core::Pinned {
 public:
  // `store` may be null.
  [[nodiscard]] static core::Result<std::unique_ptr<SqlNoticeMirror>> open(
      const std::string& path, std::unique_ptr<Connection> store);

  [[nodiscard]] core::Result<void> follow(std::span<const sideeffects::Followed> events) override;
  [[nodiscard]] core::Result<void> follow_wakes() override;
  [[nodiscard]] core::Result<void> forget_wakes(
      std::span<const sideeffects::NoticeId> wakes) override;
  [[nodiscard]] core::Result<bool> follow_all() override;
  [[nodiscard]] core::Result<void> note_alone(bool alone) override;
  // Noted within the last hour: others may have come since, or the clock was set.
  [[nodiscard]] core::Result<bool> was_alone() override;
  [[nodiscard]] core::Result<void> begin_away() override;
  [[nodiscard]] core::Result<bool> is_away() override;
  [[nodiscard]] core::Result<void> add(std::span<const sideeffects::EventWrite> writes) override;
  [[nodiscard]] core::Result<std::uint64_t> journal_read() override;
  [[nodiscard]] core::Result<void> set_journal_read(std::uint64_t through) override;
  [[nodiscard]] core::Result<void> describe(std::vector<sideeffects::Notice>& notices) override;
  [[nodiscard]] core::Result<bool> hand_over() override;
  [[nodiscard]] core::Result<void> discard() override;
  [[nodiscard]] std::uint64_t handed_over() const override { return handed_over_; }

 private:
  struct Copied;
  struct Known {
    std::int64_t id = 0;
    std::uint32_t total = 0;
    bool ended = false;
  };
  SqlNoticeMirror(std::unique_ptr<SqliteConnection> here, std::unique_ptr<SqliteConnection> events,
                  std::unique_ptr<Connection> store, std::string path);

  [[nodiscard]] core::Result<Copied> read(std::span<const std::int64_t> events,
                                          std::span<const sideeffects::Followed> asked);
  [[nodiscard]] core::Result<void> write(std::span<const std::int64_t> events,
                                         const Copied& copied);
  [[nodiscard]] core::Result<void> forget_sites();
  [[nodiscard]] core::Result<std::optional<Known>> find(core::SiteId site, core::WallTime started);
  [[nodiscard]] core::Result<void> make_room_for(const sideeffects::EventWrite& write,
                                                 const std::optional<Known>& known,
                                                 std::uint32_t before);
  [[nodiscard]] core::Result<std::int64_t> meta(std::string_view key);
  [[nodiscard]] core::Result<void> set_meta(std::string_view key, std::int64_t value);
  [[nodiscard]] core::Result<void> clean();

  const std::string path_;
  std::unique_ptr<SqliteConnection> here_;
  SqlEventStore events_;  // Of the file.
  std::unique_ptr<Connection> store_;
  std::size_t count_ = 0;                     // Events, about.
  std::int64_t open_after_ = 0;               // How far follow_all() has got: among what is open,
  std::int64_t kept_after_ = -1;              // and then among what is here; -1: not yet.
  std::int64_t names_after_ = 0;              // How far the names were looked through.
  std::unique_ptr<NoticeHandover> handover_;  // While there is one.
  std::uint64_t handed_over_ = 0;

 public:
  ~SqlNoticeMirror() override;
};

// Bounded  kRecentMax writes; beyond, the oldest are left to the store.
class SqlRecentWrites final : public sideeffects::RecentWrites, core::Pinned {
 public:
  static constexpr std::int64_t kRecentMax = 20'000;
  explicit SqlRecentWrites(std::unique_ptr<Connection> here) : here_(std::move(here)) {}
  [[nodiscard]] core::Result<void> note(std::span<const sideeffects::EventWrite> writes) override;
  [[nodiscard]] core::Result<std::vector<sideeffects::EventWrite>> read() override;
  [[nodiscard]] core::Result<std::uint64_t> newest() override;
  [[nodiscard]] core::Result<void> forget(std::uint64_t through) override;

 private:
  std::mutex mutex_;
  const std::unique_ptr<Connection> here_;  // Guarded by mutex_.
};

class SqlMirrorFinish final : public sideeffects::MirrorFinish {
 public:
  explicit SqlMirrorFinish(std::unique_ptr<Connection> here) : here_(std::move(here)) {}
  [[nodiscard]] core::Result<void> finish(std::span<const sideeffects::Finish> finished) override;

 private:
  std::unique_ptr<Connection> here_;
};

// For the test that reads their plans: those that the store answers.
[[nodiscard]] std::vector<Sql> notice_mirror_queries();

}  // namespace watchwheel::db
