// SPDX-License-Identifier: Apache-2.0
#include "db/mysql_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace watchwheel::db {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

MysqlPlace parsed(std::string_view url) {
  auto place = parse_mysql_url(url);
  EXPECT_TRUE(place) << url << ": " << (place ? "" : place.error().message);
  return place ? *place : MysqlPlace{};
}

TEST(MysqlUrl, NamesHostsUserAndDatabase) {
  const MysqlPlace one = parsed("mysql://watch@db.example:3307/sites");
  EXPECT_THAT(one.hosts, ElementsAre(MysqlHost{"db.example", 3307}));
  EXPECT_EQ(one.user, "watch");
  EXPECT_EQ(one.database, "sites");
  EXPECT_EQ(one.shown, "db.example:3307/sites");
  const MysqlPlace three = parsed("mariadb://w%40x@a,b:3307,[2001:db8::1]:3308/d");
  EXPECT_THAT(three.hosts, ElementsAre(MysqlHost{"a", 3306}, MysqlHost{"b", 3307},
                                       MysqlHost{"2001:db8::1", 3308}));
  EXPECT_EQ(three.user, "w@x");
  EXPECT_EQ(three.shown, "a,b:3307,2001:db8::1:3308/d");
  const MysqlPlace socket = parsed("mysql://w@/d?socket=/run/mysqld/mysqld.sock");
  EXPECT_TRUE(socket.hosts.empty());
  EXPECT_EQ(socket.socket, "/run/mysqld/mysqld.sock");
  EXPECT_EQ(socket.tls, MysqlTls::Off);
}

TEST(MysqlUrl, NothingGoesOverANetworkInTheClearUnlessAskedTo) {
  EXPECT_EQ(parsed("mysql://w@db.example/d").tls, MysqlTls::Verify);
  EXPECT_EQ(parsed("mysql://w@127.0.0.1,[::1]/d").tls, MysqlTls::Off);
  EXPECT_EQ(parsed("mysql://w@127.0.0.1,db.example/d").tls, MysqlTls::Verify);
  EXPECT_EQ(parsed("mysql://w@127.evil.example/d").tls, MysqlTls::Verify);
  EXPECT_EQ(parsed("mysql://w@db.example/d?tls=off").tls, MysqlTls::Off);
  const MysqlPlace files =
      parsed("mysql://w@h/d?tls=require&tls_ca=/a%20b.pem&tls_cert=/c&tls_key=/k&lossy_commit=yes");
  EXPECT_EQ(files.tls, MysqlTls::Require);
  EXPECT_EQ(files.tls_ca, "/a b.pem");
  EXPECT_EQ(files.tls_key, "/k");
  EXPECT_TRUE(files.lossy_commit);
}

TEST(MysqlUrl, AMistakeIsNamed) {
  const std::vector<std::pair<const char*, const char*>> mistakes{
      {"mysql:db", "is not understood"},
      {"mysql://db.example/d", "names no user"},
      {"mysql://@db.example/d", "names no user"},
      {"mysql://w@db.example", "names no database"},
      {"mysql://w@db.example/", "names no database"},
      {"mysql://w@/d", "must name hosts or a socket"},
      {"mysql://w@h/d?socket=/s", "must name hosts or a socket"},
      {"mysql://w:secret@h/d", "holds a password"},
      {"mysql://w@h:0/d", "has a port"},
      {"mysql://w@h:99999/d", "has a port"},
      {"mysql://w@h:x/d", "has a port"},
      {"mysql://w@h,h/d", "twice"},
      {"mysql://w@h,,i/d", "names no host"},
      {"mysql://w@[::1/d", "without its ']'"},
      {"mysql://w@h/d/e", "has a database name"},
      {"mysql://w@h/d?tls=yes", "has an unknown tls"},
      {"mysql://w@h/d?tls_ca=ca.pem", "no absolute path"},
      {"mysql://w@h/d?tls_cert=/c", "tls_cert and tls_key together"},
      {"mysql://w@h/d?tls=off&tls_ca=/c", "which is off"},
      {"mysql://w@h/d?sslmode=verify", "has an unknown parameter"},
      {"mysql://w@h/d?tls", "without a value"},
      {"mysql://w@h/d?tls_ca=%2", "cannot be read"},
      {"mysql://w%0a@h/d", "has a user name"},
      {"mysql://w@1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/d", "more than 16"}};
  for (const auto& [url, words] : mistakes) {
    const auto place = parse_mysql_url(url);
    ASSERT_FALSE(place) << url;
    EXPECT_THAT(place.error().message, HasSubstr(words)) << url;
    EXPECT_THAT(place.error().message, ::testing::Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace watchwheel::db
