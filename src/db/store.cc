// SPDX-License-Identifier: Apache-2.0
#include "db/store.h"

#include "db/mysql_store.h"
#include "db/mysql_url.h"
#include "db/sqlite_store.h"
#include "db/store_url.h"

namespace watchwheel::db {

core::Result<std::unique_ptr<LegacyTable>> Store::make_legacy_table(const LegacyMapping&) {
  return core::Error{core::ErrorKind::Invalid,
                     "legacy.table: the store is a file, and the table would have to be on its server; "
                     "set store.url to mysql://…, or remove [legacy]"};
}

core::Result<std::unique_ptr<sideeffects::NoticeMirror>> Store::make_notice_mirror(
    const std::string& /*path*/) {
  return core::Error{core::ErrorKind::Invalid, "only the store on a server has a mirror of notices"};
}

core::Result<std::unique_ptr<Store>> open_store(const StoreAccess& access) {
  if (is_mysql_url(access.url)) {
    auto place = parse_mysql_url(access.url);
    if (!place) return place.error();
    return MysqlStore::open({.place = *std::move(place),
                             .password = access.password,
                             .clock = access.clock,
                             .notice = access.notice});
  }
  core::Result<std::string> path = sqlite_path(access.url);
  if (!path) return path.error();
  return SqliteStore::open(std::move(*path));
}

}  // namespace watchwheel::db
