// SPDX-License-Identifier: Apache-2.0
// What can be wrong with the file itself: place, permission, disk. Each error names the file and
// what would help.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include "contract.h"
#include "db/sqlite.h"
#include "support/temp_dir.h"

namespace watchwheel::db {
namespace {

using contract::is_error;
using contract::take;
using core::ErrorKind;

// Runs `check` in a process of its own that may be without root's rights; it says what was wrong by
// a text, "" when nothing.
std::string in_child(const std::function<std::string()>& check) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    const std::string said = check();
    const auto written = ::write(ends[1], said.data(), said.size());
    ::_exit(written == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? said : "the child died: " + said;
}

// Root may write everywhere, so permissions are tried as nobody.
void become_nobody() {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0 &&
      (::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0))
    ::_exit(2);
}

class SqliteFile : public ::testing::Test {
 protected:
  std::string url(const std::string& name) const { return "sqlite://" + dir_.file(name); }
  testing::TempDir dir_;
};

TEST_F(SqliteFile, AMissingDirectoryIsNamed) {
  const auto opened = open_store(url("not/there/x.db"));
  ASSERT_FALSE(opened);
  EXPECT_TRUE(is_error(opened.error(), ErrorKind::Unavailable, dir_.file("not/there")));
  EXPECT_TRUE(is_error(opened.error(), ErrorKind::Unavailable, "create it"));
}

TEST_F(SqliteFile, ADirectoryIsNoStore) {
  std::filesystem::create_directory(dir_.file("x.db"));
  const auto opened = open_store(url("x.db"));
  ASSERT_FALSE(opened);
  EXPECT_TRUE(is_error(opened.error(), ErrorKind::Invalid, "it is a directory"));
}

TEST_F(SqliteFile, AFileUnderAFileIsRefused) {
  std::ofstream(dir_.file("plain")) << "x";
  const auto opened = open_store(url("plain/x.db"));
  ASSERT_FALSE(opened);
  EXPECT_TRUE(is_error(opened.error(), ErrorKind::Unavailable, "create it or change store.url"));
}

TEST_F(SqliteFile, AnotherFileIsNoStore) {
  std::ofstream(dir_.file("x.db")) << "url,interval\nhttps://shop.example/,5m\n"
                                   << std::string(2000, '#');
  const auto opened = open_store(url("x.db"));
  ASSERT_FALSE(opened);
  EXPECT_TRUE(is_error(opened.error(), ErrorKind::Corrupt, "it is not an SQLite database"));
}

TEST_F(SqliteFile, AnotherProgramsDatabaseIsLeftAlone) {
  {
    const auto first = take(SqliteConnection::open({.path = dir_.file("x.db")}));
    ASSERT_TRUE(first->execute("CREATE TABLE sites (theirs)"));
  }
  const auto store = take(open_store(url("x.db")));
  const auto migrated = store->migrate(false);
  ASSERT_FALSE(migrated);
  EXPECT_TRUE(is_error(migrated.error(), ErrorKind::Invalid, "table sites already exists"));
  EXPECT_EQ(take(SqliteConnection::open({.path = dir_.file("x.db")}))
                ->number("SELECT count(*) FROM sqlite_schema")
                .value(),
            1);
}

TEST_F(SqliteFile, ADirectoryWithoutPermissionIsNamed) {
  std::filesystem::create_directory(dir_.file("locked"));
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(dir_.file("locked").c_str(), 0555), 0);
  EXPECT_EQ(in_child([&]() -> std::string {
              become_nobody();
              const auto opened = open_store(url("locked/x.db"));
              if (opened) return "it was opened";
              const auto right =
                  is_error(opened.error(), ErrorKind::Unavailable, "must be writable by the user");
              return right ? "" : right.message();
            }),
            "");
}

TEST_F(SqliteFile, AFileThatMayOnlyBeReadIsNamed) {
  (void)take(take(open_store(url("x.db")))->migrate(false));
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(dir_.file("x.db").c_str(), 0444), 0);
  EXPECT_EQ(in_child([&]() -> std::string {
              become_nobody();
              const auto opened = open_store(url("x.db"));
              if (opened) return "it was opened";
              const auto right =
                  is_error(opened.error(), ErrorKind::Unavailable, "must be writable by the user");
              return right ? "" : right.message();
            }),
            "");
}

// Goal: when the disk fails in the middle of a commit we do not claim to know its outcome, and a
// replay settles it. Method: a limit on the size of files that the commit runs into; lifted, the
// same writes are committed again.
TEST_F(SqliteFile, ACommitThatTheDiskFailedIsUnknownAndMayBeRepeated) {
  (void)take(take(open_store(url("x.db")))->migrate(false));
  EXPECT_EQ(in_child([&]() -> std::string {
              const auto store = take(open_store(url("x.db")));
              const auto events = take(store->make_event_store());
              std::vector<sideeffects::EventWrite> writes;
              for (std::uint64_t i = 1; i <= 500; ++i)
                writes.push_back(contract::whole_story(core::SiteId{i}, 0));

              std::signal(SIGXFSZ, SIG_IGN);
              rlimit whole{};
              ::getrlimit(RLIMIT_FSIZE, &whole);
              const auto wal_bytes = std::filesystem::file_size(dir_.file("x.db-wal"));
              const rlimit small{.rlim_cur = wal_bytes + 8192, .rlim_max = whole.rlim_max};
              ::setrlimit(RLIMIT_FSIZE, &small);
              const auto failed = events->commit(writes);
              ::setrlimit(RLIMIT_FSIZE, &whole);
              if (failed) return "the commit succeeded";
              if (failed.error().kind != ErrorKind::Unknown) return failed.error().message;

              if (const auto again = events->commit(writes); !again) return again.error().message;
              const auto log = take(store->make_incident_log());
              const auto found = take(log->list({}, 0, 1000));
              if (found.size() != 500) return std::to_string(found.size()) + " events";
              for (const Incident& one : found) {
                if (one.transitions.size() != 3)
                  return "an event with " + std::to_string(one.transitions.size());
              }
              return "";
            }),
            "");
}

TEST_F(SqliteFile, TheNameMayHoldAnyCharacter) {
  const auto store = take(open_store(url("with %20 and ? and \xC3\xBC.db")));
  (void)take(store->migrate(false));
  EXPECT_TRUE(std::filesystem::exists(dir_.file("with %20 and ? and \xC3\xBC.db")));
}

}  // namespace
}  // namespace watchwheel::db
