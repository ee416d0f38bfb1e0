// SPDX-License-Identifier: Apache-2.0
#include "db/store_url.h"

#include <gtest/gtest.h>

namespace watchwheel::db {
namespace {

TEST(StoreUrl, NamesAPath) {
  EXPECT_EQ(sqlite_path("sqlite:///var/lib/x.db").value(), "/var/lib/x.db");
  EXPECT_EQ(sqlite_path("sqlite:here.db").value(), "./here.db");
  EXPECT_EQ(sqlite_path("sqlite:sub/here.db").value(), "./sub/here.db");
  EXPECT_EQ(sqlite_path("sqlite:///with%20percent?and=question").value(),
            "/with%20percent?and=question");
  EXPECT_EQ(sqlite_path("sqlite:file:x.db").value(), "./file:x.db");
}

TEST(StoreUrl, RefusesWhatItCannotMean) {
  for (const char* url :
       {"", "sqlite:", "sqlite://", "sqlite:///", "sqlite:dir/", "sqlite://host/x.db",
        "sqlite::memory:", "sqlite:///a\nb", "postgres://h/x", "/var/lib/x.db", "SQLITE:///x.db"}) {
    const core::Result<void> checked = check_store_url(url);
    ASSERT_FALSE(checked) << url;
    EXPECT_EQ(checked.error().kind, core::ErrorKind::Invalid) << url;
    EXPECT_NE(checked.error().message.find("sqlite:///absolute/path.db"), std::string::npos)
        << checked.error().message;
  }
}

TEST(StoreUrl, AMistakeNeverRepeatsAPassword) {
  for (const char* url : {"mysql://me:hunter2@host:3306/db", "mariadb://me:hunter2@host/db",
                          "other://me:hunter2@host/db"}) {
    const core::Result<void> checked = check_store_url(url);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().message.find("hunter2"), std::string::npos)
        << checked.error().message;
  }
  EXPECT_TRUE(check_store_url("mysql://me@host/db"));
}

}  // namespace
}  // namespace watchwheel::db
