// SPDX-License-Identifier: Apache-2.0
#include "db/store_url.h"

#include <algorithm>

#include "db/mysql_url.h"

namespace watchwheel::db {
namespace {

constexpr std::string_view kScheme = "sqlite:";
constexpr std::string_view kUnderstood =
    "\"sqlite:///absolute/path.db\", \"sqlite:relative.db\" or \"mysql://user@host/database\"";

core::Error invalid(std::string message) {
  return core::Error{core::ErrorKind::Invalid, std::move(message)};
}

}  // namespace

core::Result<std::string> sqlite_path(std::string_view url) {
  const std::string understood(kUnderstood);
  if (!url.starts_with(kScheme)) return invalid("store.url is not understood; use " + understood);

  std::string_view path = url.substr(kScheme.size());
  if (path.starts_with("//")) {
    path.remove_prefix(2);
    if (!path.starts_with('/'))
      return invalid("store.url names a host, and SQLite has none; three slashes begin a path: " +
                     understood);
  }
  if (path.empty() || path.ends_with('/'))
    return invalid("store.url names no file; use " + understood);
  if (path == ":memory:") {
    return invalid("store.url asks for a store in memory, which would forget every incident; use " +
                   understood);
  }
  if (std::any_of(path.begin(), path.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
    return invalid("store.url holds a control character; use " + understood);
  }
  // SQLite gives a meaning to names that begin with "file:" or ':'; a path with a directory has
  // none but its own.
  return path.starts_with('/') ? std::string(path) : "./" + std::string(path);
}

bool is_server_url(std::string_view url) {
  return is_mysql_url(url);
}

core::Result<void> check_store_url(std::string_view url) {
  if (is_mysql_url(url)) {
    if (auto place = parse_mysql_url(url); !place) return place.error();
    return {};
  }
  if (auto path = sqlite_path(url); !path) return path.error();
  return {};
}

}  // namespace watchwheel::db
