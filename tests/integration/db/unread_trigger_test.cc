// SPDX-License-Identifier: Apache-2.0
// A server that was interrupted while it read the triggers of `sites` refuses every change of the table until it reads them anew:
// what a KILL, a statement's deadline or a cluster's conflict leaves behind (db/unread_trigger.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "contract.h"
#include "db/mysql.h"
#include "support/mariadb.h"

namespace watchwheel::db {
namespace {

using contract::site;
using contract::take;
using core::ErrorKind;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class UnreadTrigger : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = take(MysqlConnection::open({take(parse_mysql_url(server().url("mysql"))), nullptr}));
    run("DROP DATABASE IF EXISTS w;\nCREATE DATABASE w CHARACTER SET utf8mb4;\n"
        "CREATE OR REPLACE USER 'daemon'@'127.%';\n"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON w.* TO 'daemon'@'127.%';\n");
    const auto store = take(open_store(server().url("w")));
    (void)take(store->migrate(false));
    (void)take(
        take(store->make_site_catalog())->upsert(std::vector{site("https://a.example/")}, &ids_));
    ASSERT_EQ(ids_.size(), 1U);
  }
  void TearDown() override { run("DROP DATABASE w"); }

  void run(const std::string& sql) {
    const auto done = root_->execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  }
  bool refuses_changes() {
    const auto done = root_->execute("UPDATE w.sites SET name = CONCAT(name, '')");
    return !done && done.error().message.find("trigger") != std::string::npos;
  }
  // Deadlines from 20 us to 5 ms, until one of them ends while a trigger is read: every third does.
  bool leave_triggers_unread() {
    double deadline_s = 20e-6;
    for (int i = 0; i < 3000; ++i) {
      deadline_s = deadline_s > 5e-3 ? 20e-6 : deadline_s * 1.15;
      std::ostringstream interrupted;
      interrupted << std::fixed << "SET STATEMENT max_statement_time = " << deadline_s
                  << " FOR SELECT count(*) FROM w.sites";
      run("FLUSH TABLES w.sites");
      (void)root_->execute(interrupted.str());
      if (refuses_changes()) return true;
    }
    return false;
  }

  std::unique_ptr<SiteCatalog> catalog_of(const std::string& user) {
    std::string url = server().url("w");
    url.replace(url.find("root@"), 4, user);
    StoreAccess access{url, nullptr, nullptr};
    access.notice = [this](const std::string& what) { notices_.push_back(what); };
    return take(take(open_store(access))->make_site_catalog());
  }

  static testing::MariaDb& server() {
    static testing::MariaDb one([](const testing::TempDir& dir) {
      data() = dir.file("data");
      return std::vector<std::string>{};
    });
    return one;
  }
  static std::string& data() {
    static std::string path;
    return path;
  }

  std::unique_ptr<MysqlConnection> root_;
  std::vector<core::SiteId> ids_;
  std::vector<std::string> notices_;
};

// Goal: an edit goes through all the same, by a user without any right on the server and by one who may do everything, and it is
// told what was done.
TEST_F(UnreadTrigger, IsReadAnewAndTheEditIsStored) {
  bool active = false;
  for (const auto& [user, way] : {std::pair{"daemon", "REPAIR"}, std::pair{"root", "FLUSH"}}) {
    const auto catalog = catalog_of(user);
    if (!leave_triggers_unread()) GTEST_SKIP() << "this server is not hurt by an interruption";
    const auto done = catalog->set_active(ids_, active);
    ASSERT_TRUE(done) << user << ": " << done.error().message;
    EXPECT_EQ(*done, 1U);
    EXPECT_FALSE(refuses_changes()) << "other programs are still refused";
    EXPECT_THAT(notices_, SizeIs(1));
    EXPECT_THAT(notices_, Each(HasSubstr(way)));
    notices_.clear();
    active = !active;
  }
}

// Goal: where reading anew does not help, for the trigger is broken on the server's disk, it is tried a few times and told as
// trouble of the server's, not as a fault of what was to be written; and tried again by who comes next.
TEST_F(UnreadTrigger, ThatStaysSoIsTheServersTrouble) {
  const std::string file = data() + "/w/sites.TRG";
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  std::string broken = text.str();
  const auto at = broken.find("BEGIN IF NEW.change_seq = OLD.change_seq");
  ASSERT_NE(at, std::string::npos);
  broken.replace(at, 8, "BEGIN FI");
  std::ofstream(file, std::ios::in | std::ios::out) << broken;  // Its owner stays.
  run("FLUSH TABLES w.sites");
  ASSERT_TRUE(refuses_changes());

  const auto catalog = catalog_of("daemon");
  for (const std::size_t tried : {3U, 6U}) {
    const auto refused = catalog->set_active(ids_, false);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(contract::is_error(refused.error(), ErrorKind::Unavailable, "FLUSH TABLES"));
    EXPECT_THAT(notices_, SizeIs(tried));
  }
  std::ofstream(file, std::ios::in | std::ios::out) << text.str();
  EXPECT_TRUE(catalog->set_active(ids_, false));
}

}  // namespace
}  // namespace watchwheel::db
