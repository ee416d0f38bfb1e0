// SPDX-License-Identifier: Apache-2.0
#include "db/sqlite_journal.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>

#include "support/temp_dir.h"

namespace watchwheel::db {
namespace {

using sideeffects::EventWrite;
using sideeffects::JournalEntry;
using sideeffects::JournalWrite;

const core::WallTime kAt = core::from_unix_ms(1'700'000'000'000);

class JournalFile : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteJournal> open(std::uint64_t bytes_max = std::uint64_t{1} << 30) {
    return SqliteJournal::open({.directory = dir_.path(), .bytes_max = bytes_max}).value();
  }
  static JournalWrite write(std::uint64_t site) {
    EventWrite event;
    event.site = core::SiteId{site};
    event.started_at = kAt;
    event.transitions_total = 1;
    event.transitions.resize(1);
    event.evidence.detail = std::string(200, 'd');
    return event;
  }
  static std::vector<JournalWrite> writes(std::uint64_t first, std::uint64_t last) {
    std::vector<JournalWrite> all;
    for (std::uint64_t site = first; site <= last; ++site) all.push_back(write(site));
    return all;
  }
  static std::vector<std::uint64_t> sites(SqliteJournal& journal, std::size_t limit = 1000) {
    std::vector<std::uint64_t> all;
    const auto entries = journal.read(limit).value();
    for (const JournalEntry& entry : entries)
      all.push_back(std::get<EventWrite>(entry.write).site.value);
    return all;
  }
  void execute(const std::string& sql) {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(dir_.file(kJournalFile).c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(handle);
    sqlite3_close(handle);
  }

  testing::TempDir dir_;
};

TEST_F(JournalFile, GivesBackInTheOrderOfComing) {
  const auto journal = open();
  EXPECT_EQ(journal->reading().entries, 0U);
  EXPECT_EQ(journal->reading().oldest, core::kNoWallTime);
  ASSERT_TRUE(journal->append(writes(5, 6), kAt));
  ASSERT_TRUE(journal->append(writes(1, 2), kAt + std::chrono::seconds(1)));
  EXPECT_EQ(sites(*journal), (std::vector<std::uint64_t>{5, 6, 1, 2}));
  EXPECT_EQ(sites(*journal, 3), (std::vector<std::uint64_t>{5, 6, 1}));
  EXPECT_EQ(journal->reading().entries, 4U);
  EXPECT_EQ(journal->reading().oldest, kAt);
  EXPECT_GT(journal->reading().bytes, 0U);
}

TEST_F(JournalFile, IsReadBehindAnEntryWithoutBeingUsedUp) {
  const auto journal = open();
  ASSERT_TRUE(journal->append(writes(1, 4), kAt));
  const auto seq = [&](std::uint64_t after, std::size_t limit) {
    std::vector<std::uint64_t> all;
    const auto page = journal->read_after(after, limit).value();
    for (const JournalEntry& entry : page) all.push_back(entry.seq);
    return all;
  };
  EXPECT_EQ(seq(0, 2), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(seq(2, 9), (std::vector<std::uint64_t>{3, 4}));
  EXPECT_EQ(sites(*journal), (std::vector<std::uint64_t>{1, 2, 3, 4}));
  journal->remove(3);
  EXPECT_EQ(seq(0, 9), (std::vector<std::uint64_t>{4}));
  journal->remove(4);
  EXPECT_EQ(seq(4, 9), (std::vector<std::uint64_t>{}));
  ASSERT_TRUE(journal->append(writes(5, 5), kAt));
  EXPECT_EQ(seq(4, 9), (std::vector<std::uint64_t>{5}));
  // Of a file before this one.
  EXPECT_EQ(seq(900, 9), (std::vector<std::uint64_t>{5}));
}

TEST_F(JournalFile, IsThereAfterARestartWithoutWhatWasRemoved) {
  {
    const auto journal = open();
    ASSERT_TRUE(journal->append(writes(1, 4), kAt));
    ASSERT_TRUE(journal->append(writes(5, 5), kAt + std::chrono::seconds(9)));
    journal->remove(journal->read(4).value().back().seq);
    EXPECT_EQ(journal->reading().oldest, kAt + std::chrono::seconds(9));
  }
  const auto journal = open();
  EXPECT_EQ(sites(*journal), std::vector<std::uint64_t>{5});
  EXPECT_EQ(journal->reading().entries, 1U);
  EXPECT_EQ(journal->reading().oldest, kAt + std::chrono::seconds(9));
}

// Goal: an entry that comes after the journal was emptied and the process restarted is not taken for one that was removed.
TEST_F(JournalFile, NeverGivesANumberTwice) {
  std::uint64_t last = 0;
  {
    const auto journal = open();
    ASSERT_TRUE(journal->append(writes(1, 3), kAt));
    last = journal->read(9).value().back().seq;
    journal->remove(last);
    EXPECT_EQ(journal->reading().entries, 0U);
  }
  const auto journal = open();
  ASSERT_TRUE(journal->append(writes(4, 4), kAt));
  EXPECT_GT(journal->read(1).value().front().seq, last);
}

TEST_F(JournalFile, RefusesMoreThanItMayHoldAndTakesItOnceThereIsRoom) {
  const auto journal = open(100'000);
  std::uint64_t taken = 0;
  while (journal->append(writes(taken + 1, taken + 10), kAt)) taken += 10;
  EXPECT_GT(taken, 50U);
  EXPECT_LE(journal->reading().bytes, 110'000U);
  const auto refused = journal->append(writes(1, 10), kAt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::Unavailable);
  EXPECT_NE(refused.error().message.find("store.journal_max"), std::string::npos);
  EXPECT_EQ(sites(*journal).size(), taken) << "a refused batch left something";
  journal->remove(journal->read(taken).value().back().seq);
  EXPECT_TRUE(journal->append(writes(1, 10), kAt));
}

TEST_F(JournalFile, SetsTheOldestAsideAndKeepsItForAPerson) {
  {
    const auto journal = open();
    ASSERT_TRUE(journal->append(writes(1, 3), kAt));
    const std::uint64_t seq = journal->read(1).value().front().seq;
    ASSERT_TRUE(journal->set_aside(seq, "no room \xff for it", kAt));
    EXPECT_EQ(sites(*journal), (std::vector<std::uint64_t>{2, 3}));
    EXPECT_EQ(journal->reading().entries, 2U);
  }
  const auto journal = open();
  EXPECT_EQ(journal->reading().set_aside, 1U);
  const auto aside = journal->list_set_aside(10).value();
  ASSERT_EQ(aside.size(), 1U);
  EXPECT_EQ(aside[0].site, core::SiteId{1});
  EXPECT_EQ(aside[0].reason, "no room \xEF\xBF\xBD for it");
  EXPECT_EQ(aside[0].at, kAt);
}

TEST_F(JournalFile, SaysWhatItCannotReadAndReadsTheRest) {
  const auto journal = open();
  ASSERT_TRUE(journal->append(writes(1, 3), kAt));
  execute("UPDATE entries SET body = 'x' WHERE site_id = 1");
  execute("UPDATE entries SET version = 99 WHERE site_id = 2");
  const auto entries = journal->read(9).value();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_NE(entries[0].problem, "");
  EXPECT_NE(entries[1].problem.find("newer version"), std::string::npos);
  EXPECT_EQ(entries[2].problem, "");
}

TEST_F(JournalFile, BelongsToOneProcess) {
  const auto journal = open();
  const auto second = SqliteJournal::open({.directory = dir_.path()});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, core::ErrorKind::Unavailable);
  EXPECT_NE(second.error().message.find("another process"), std::string::npos);
}

TEST_F(JournalFile, SaysWhichDirectoryCannotBeUsed) {
  const auto none = SqliteJournal::open({.directory = dir_.file("none")});
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("store.state_dir"), std::string::npos);
}

// Goal: an outage finds a journal even when the last file was damaged, and the damaged one is kept.
TEST_F(JournalFile, MovesADamagedFileAside) {
  testing::write_file(dir_.file(kJournalFile), std::string(8192, 'x'));
  std::string kept;
  const auto journal = SqliteJournal::open({.directory = dir_.path(),
                                            .on_damaged = [&](const auto& at) { kept = at; }})
                           .value();
  ASSERT_NE(kept, "");
  EXPECT_EQ(std::filesystem::file_size(kept), 8192U);
  EXPECT_TRUE(journal->append(writes(1, 1), kAt));
}

// Goal: what was kept for one database is never replayed into another one, and is not lost.
TEST_F(JournalFile, MovesEntriesOfAnotherStoreAside) {
  {
    const auto journal = open();
    ASSERT_TRUE(journal->belong_to("store 1"));
    ASSERT_TRUE(journal->append(writes(1, 3), kAt));
  }
  {
    const auto journal = open();
    ASSERT_TRUE(journal->belong_to("store 1"));
    EXPECT_EQ(sites(*journal), (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(journal->foreign(), "");
  }
  {
    const auto journal = open();
    ASSERT_TRUE(journal->belong_to("store 2"));
    EXPECT_EQ(journal->reading().entries, 0U);
    EXPECT_TRUE(sites(*journal).empty());
    ASSERT_NE(journal->foreign(), "");
    ASSERT_TRUE(journal->append(writes(9, 9), kAt));
    std::filesystem::rename(journal->foreign(), dir_.file("first"));
  }
  std::filesystem::remove(dir_.file(kJournalFile));
  std::filesystem::rename(dir_.file("first"), dir_.file(kJournalFile));
  const auto journal = open();
  ASSERT_TRUE(journal->belong_to("store 1"));
  EXPECT_EQ(sites(*journal), (std::vector<std::uint64_t>{1, 2, 3})) << "a person can put it back";
}

// Goal: a journal that is empty goes along to another database.
TEST_F(JournalFile, BelongsToWhoseEntriesItHolds) {
  {
    const auto journal = open();
    ASSERT_TRUE(journal->belong_to("store 1"));
    ASSERT_TRUE(journal->append(writes(1, 1), kAt));
    journal->remove(journal->read(1).value().back().seq);
  }
  {
    const auto journal = open();
    ASSERT_TRUE(journal->belong_to("store 2"));
    EXPECT_EQ(journal->foreign(), "");
    ASSERT_TRUE(journal->append(writes(2, 2), kAt));
  }
  const auto journal = open();
  ASSERT_TRUE(journal->set_aside(journal->read(1).value().front().seq, "refused", kAt));
  ASSERT_TRUE(journal->belong_to("store 1"));
  EXPECT_NE(journal->foreign(), "") << "what was set aside is another store's too";
  EXPECT_EQ(journal->reading().set_aside, 0U);
}

// Goal: one that the store refuses does not hold up the others on a full disk, and is kept once there is room.
TEST_F(JournalFile, SetsAsideOnADiskThatTakesNothing) {
  const auto journal = open();
  ASSERT_TRUE(journal->append(writes(1, 3), kAt));
  execute("CREATE TRIGGER full BEFORE INSERT ON set_aside BEGIN SELECT RAISE(ABORT, 'no'); END");
  ASSERT_TRUE(journal->set_aside(journal->read(1).value().front().seq, "refused", kAt));
  EXPECT_EQ(sites(*journal), (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(journal->reading().entries, 2U);
  EXPECT_EQ(journal->reading().set_aside, 1U);
  execute("DROP TRIGGER full");
  journal->remove(journal->read(1).value().back().seq);
  EXPECT_EQ(sites(*journal), std::vector<std::uint64_t>{3});
  EXPECT_EQ(journal->reading().set_aside, 1U);
  EXPECT_EQ(journal->list_set_aside(9).value().at(0).reason, "refused");
}

TEST_F(JournalFile, SeesThatAPersonRemovedWhatWasSetAside) {
  const auto journal = open();
  ASSERT_TRUE(journal->append(writes(1, 1), kAt));
  ASSERT_TRUE(journal->set_aside(journal->read(1).value().front().seq, "refused", kAt));
  execute("DELETE FROM set_aside");
  EXPECT_EQ(journal->reading().set_aside, 1U) << "reading does not go to the disk";
  journal->look_again();
  EXPECT_EQ(journal->reading().set_aside, 0U);
}

// Goal: an outage finds a journal though its file is damaged while we run, and an old page removes nothing of the new file.
TEST_F(JournalFile, BeginsAnewWhenItIsDamagedWhileInUse) {
  std::vector<std::string> kept;
  const auto journal =
      SqliteJournal::open(
          {.directory = dir_.path(), .on_damaged = [&](const auto& at) { kept.push_back(at); }})
          .value();
  ASSERT_TRUE(journal->append(writes(1, 50), kAt));
  const std::uint64_t page = journal->read(3).value().back().seq;
  execute(
      "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'gone' WHERE name = 'entries';"
      "PRAGMA schema_version = 4711");
  ASSERT_TRUE(journal->append(writes(60, 61), kAt));
  EXPECT_EQ(kept.size(), 1U);
  journal->remove(page);
  EXPECT_EQ(sites(*journal), (std::vector<std::uint64_t>{60, 61}));
  EXPECT_EQ(journal->reading().entries, 2U);
}

// Goal: who only looks (a daemon that waits for its store) does not move away what it cannot read.
TEST_F(JournalFile, LeavesADamagedFileToWhoOnlyLooks) {
  testing::write_file(dir_.file(kJournalFile), std::string(8192, 'x'));
  const auto looked = SqliteJournal::open({.directory = dir_.path(), .may_begin_anew = false});
  ASSERT_FALSE(looked);
  EXPECT_EQ(looked.error().kind, core::ErrorKind::Corrupt);
  EXPECT_EQ(std::filesystem::file_size(dir_.file(kJournalFile)), 8192U);
}

// Goal: what was replayed is not read again though the disk refuses to forget it, and goes once it lets.
TEST_F(JournalFile, DoesNotReadAgainWhatADiskRefusesToForget) {
  {
    const auto journal = open();
    ASSERT_TRUE(journal->append(writes(1, 4), kAt));
    execute("CREATE TRIGGER stuck BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'no'); END");
    journal->remove(journal->read(2).value().back().seq);
    EXPECT_EQ(sites(*journal), (std::vector<std::uint64_t>{3, 4}));
    EXPECT_EQ(journal->reading().entries, 2U);
    execute("DROP TRIGGER stuck");
    journal->remove(journal->read(1).value().back().seq);
  }
  EXPECT_EQ(sites(*open()), std::vector<std::uint64_t>{4});
}

}  // namespace
}  // namespace watchwheel::db
