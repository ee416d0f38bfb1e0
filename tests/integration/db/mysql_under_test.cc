// SPDX-License-Identifier: Apache-2.0
#include <cppconn/driver.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>

#include <atomic>
#include <functional>

#include "contract.h"
#include "support/galera.h"
#include "support/mariadb.h"

namespace watchwheel::db::contract {
namespace {

// One for all tests of this program; each gets a database of its own.
testing::MariaDb& server() {
  static testing::MariaDb one;
  return one;
}
testing::Galera& cluster() {
  static testing::Galera one;
  return one;
}

// Where a store is, and where others speak to it.
struct Place {
  std::function<std::string(const std::string& database)> url;
  std::vector<std::string> hosts;  // All that it is on.
  std::string
      other_host;  // Where the other programs are: not where the store is connected to, if there is a choice.
  std::function<std::string(const std::string& database)> other_url{};  // Beginning there.
};

// Goes around db's own hold on the connector on purpose, as sqlite_under_test.cc does.
class MysqlUnderTest final : public StoreUnderTest {
 public:
  explicit MysqlUnderTest(Place place)
      : place_(std::move(place)), database_("t" + std::to_string(++made)) {
    run("", "CREATE DATABASE " + database_ + " CHARACTER SET utf8mb4");
  }
  ~MysqlUnderTest() override {
    try {
      run("", "DROP DATABASE " + database_);
    } catch (const sql::SQLException&) {  // Left behind: no other test takes its name.
    }
  }

  std::string url() const override { return place_.url(database_); }
  std::string other_url() const override {
    return place_.other_url ? place_.other_url(database_) : url();
  }

  void execute(const std::string& sql) override { run(database_, sql); }

  std::int64_t number(const std::string& sql) override {
    const Session session = open(database_, place_.other_host);
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
    auto sessions = std::make_shared<std::vector<Session>>();
    for (const std::string& host : place_.hosts) {
      sessions->push_back(open(database_, host));
      const std::unique_ptr<sql::Statement> statement(sessions->back()->createStatement());
      statement->execute("FLUSH TABLES WITH READ LOCK");
    }
    return sessions;
  }

 private:
  using Session = std::shared_ptr<sql::Connection>;

  static Session open(const std::string& database, const std::string& host) {
    sql::ConnectOptionsMap options;
    options["hostName"] = sql::SQLString("tcp://" + host);
    options["userName"] = sql::SQLString("root");
    options["password"] = sql::SQLString("");
    if (!database.empty()) options["schema"] = sql::SQLString(database);
    Session session(get_driver_instance()->connect(options));
    // Of a node: with all that was written at another one. A single server does not mind.
    const std::unique_ptr<sql::Statement> statement(session->createStatement());
    statement->execute("SET SESSION wsrep_sync_wait = 15");
    return session;
  }

  void run(const std::string& database, const std::string& sql) const {
    const Session session = open(database, place_.other_host);
    const std::unique_ptr<sql::Statement> statement(session->createStatement());
    statement->execute(sql);
  }

  const Place place_;
  static std::atomic<int> made;
  const std::string database_;
};
std::atomic<int> MysqlUnderTest::made{0};

std::unique_ptr<StoreUnderTest> make_mysql() {
  const std::string host = "127.0.0.1:" + std::to_string(server().port());
  return std::make_unique<MysqlUnderTest>(
      Place{[](const std::string& database) { return server().url(database); }, {host}, host});
}

// What the suite does around the interfaces it does at another node.
std::unique_ptr<StoreUnderTest> make_galera() {
  return std::make_unique<MysqlUnderTest>(
      Place{[](const std::string& database) { return cluster().url(database); },
            {cluster().address(0), cluster().address(1), cluster().address(2)},
            cluster().address(1),
            [](const std::string& database) { return cluster().url(database, 1); }});
}

}  // namespace

std::vector<Implementation> servers() {
  return {{"mariadb", make_mysql}, {"galera", make_galera}};
}

INSTANTIATE_TEST_SUITE_P(MariaDb, StoreContract,
                         ::testing::Values(Implementation{"mariadb", make_mysql}),
                         [](const auto& chosen) { return std::string(chosen.param.name); });
INSTANTIATE_TEST_SUITE_P(MariaDb, DeliveryContract,
                         ::testing::Values(Implementation{"mariadb", make_mysql}),
                         [](const auto& chosen) { return std::string(chosen.param.name); });
INSTANTIATE_TEST_SUITE_P(Galera, StoreContract,
                         ::testing::Values(Implementation{"galera", make_galera}),
                         [](const auto& chosen) { return std::string(chosen.param.name); });

}  // namespace watchwheel::db::contract
