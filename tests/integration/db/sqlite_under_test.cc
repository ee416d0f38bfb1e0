// SPDX-License-Identifier: Apache-2.0
#include <sqlite3.h>

#include <stdexcept>

#include "contract.h"
#include "support/temp_dir.h"

namespace watchwheel::db::contract {
namespace {

// Goes around db's own hold on SQLite on purpose: what it writes and reads is not seen through the
// code under test.
class SqliteUnderTest final : public StoreUnderTest {
 public:
  std::string url() const override { return "sqlite://" + dir_.file("store.db"); }

  void execute(const std::string& sql) override { run(open().get(), sql); }

  std::int64_t number(const std::string& sql) override {
    const Handle handle = open();
    std::int64_t value = 0;
    const auto keep = [](void* into, int, char** columns, char**) {
      *static_cast<std::int64_t*>(into) = columns[0] == nullptr ? 0 : std::stoll(columns[0]);
      return 0;
    };
    if (sqlite3_exec(handle.get(), sql.c_str(), keep, &value, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sqlite3_errmsg(handle.get()));
    }
    return value;
  }

  void foreign_insert(const std::string& url) override {
    execute(
        "INSERT INTO sites (url, url_hash, created_at, updated_at, change_seq) SELECT '" + url +
        "', 0, 1, 1, (SELECT max(newest_seq, coalesce((SELECT max(change_seq) FROM sites), 0)) + 1"
        " FROM site_changes)");
  }
  void foreign_remove(const std::string& condition) override {
    execute("DELETE FROM sites WHERE " + condition);
  }
  void foreign_remove_marks() override {
    execute("DELETE FROM sites WHERE deleted_at IS NOT NULL");
  }

  std::shared_ptr<void> lock() override {
    Handle handle = open();
    run(handle.get(), "BEGIN IMMEDIATE");
    return handle;
  }

 private:
  using Handle = std::shared_ptr<sqlite3>;

  Handle open() const {
    sqlite3* handle = nullptr;
    const int code = sqlite3_open(dir_.file("store.db").c_str(), &handle);
    Handle opened(handle, [](sqlite3* h) { sqlite3_close(h); });
    if (code != SQLITE_OK) throw std::runtime_error("cannot open the store under test");
    sqlite3_busy_timeout(handle, 10'000);
    return opened;
  }

  static void run(sqlite3* handle, const std::string& sql) {
    if (sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sqlite3_errmsg(handle));
    }
  }

  testing::TempDir dir_;
};

std::unique_ptr<StoreUnderTest> make_sqlite() {
  return std::make_unique<SqliteUnderTest>();
}

}  // namespace

Implementation sqlite_file() {
  return {"sqlite", make_sqlite};
}

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract,
                         ::testing::Values(Implementation{"sqlite", make_sqlite}),
                         [](const auto& chosen) { return std::string(chosen.param.name); });
INSTANTIATE_TEST_SUITE_P(Sqlite, DeliveryContract,
                         ::testing::Values(Implementation{"sqlite", make_sqlite}),
                         [](const auto& chosen) { return std::string(chosen.param.name); });

}  // namespace watchwheel::db::contract
