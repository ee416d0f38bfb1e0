// SPDX-License-Identifier: Apache-2.0
#include <cppconn/driver.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>

#include <atomic>

#include "contract.h"
#include "support/mariadb.h"

namespace watchwheel::db::contract {
namespace {

// One for all tests of this program; each gets a database of its own.
testing::MariaDb& server() {
  static testing::MariaDb one;
  return one;
}

// Goes around db's own hold on the connector on purpose, as sqlite_under_test.cc does.
class MysqlUnderTest final : public StoreUnderTest {
 public:
  MysqlUnderTest() : database_("t" + std::to_string(++made)) {
    run("", "CREATE DATABASE " + database_ + " CHARACTER SET utf8mb4");
  }
  ~MysqlUnderTest() override { run("", "DROP DATABASE " + database_); }

  std::string url() const override { return server().url(database_); }

  void execute(const std::string& sql) override { run(database_, sql); }

  std::int64_t number(const std::string& sql) override {
    const Session session = open(database_);
    const std::unique_ptr<sql::Statement> statement(session->createStatement());
    const std::unique_ptr<sql::ResultSet> rows(statement->executeQuery(sql));
    return rows->next() ? rows->getInt64(1) : 0;
  }

  void foreign_insert(const std::string& url) override {
    execute("INSERT INTO sites (url) VALUES ('" + url + "')");
  }
  void foreign_remove(const std::string& condition) override {
    EXPECT_THROW(execute("DELETE FROM sites WHERE " + condition), sql::SQLException);
    execute("UPDATE sites SET deleted_at = 1000 * UNIX_TIMESTAMP() WHERE " + condition);
  }
  void foreign_remove_marks() override {
    EXPECT_THROW(execute("DELETE FROM sites WHERE deleted_at IS NOT NULL"), sql::SQLException);
  }

  std::shared_ptr<void> lock() override {
    Session session = open(database_);
    const std::unique_ptr<sql::Statement> statement(session->createStatement());
    statement->execute("FLUSH TABLES WITH READ LOCK");
    return session;
  }

 private:
  using Session = std::shared_ptr<sql::Connection>;

  static Session open(const std::string& database) {
    sql::ConnectOptionsMap options;
    options["hostName"] = sql::SQLString("tcp://127.0.0.1:" + std::to_string(server().port()));
    options["userName"] = sql::SQLString("root");
    options["password"] = sql::SQLString("");
    if (!database.empty()) options["schema"] = sql::SQLString(database);
    return Session(get_driver_instance()->connect(options));
  }

  static void run(const std::string& database, const std::string& sql) {
    const Session session = open(database);
    const std::unique_ptr<sql::Statement> statement(session->createStatement());
    statement->execute(sql);
  }

  static std::atomic<int> made;
  const std::string database_;
};
std::atomic<int> MysqlUnderTest::made{0};

std::unique_ptr<StoreUnderTest> make_mysql() {
  return std::make_unique<MysqlUnderTest>();
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(MariaDb, StoreContract,
                         ::testing::Values(Implementation{"mariadb", make_mysql}),
                         [](const auto& chosen) { return std::string(chosen.param.name); });

}  // namespace watchwheel::db::contract
