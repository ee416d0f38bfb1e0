// SPDX-License-Identifier: Apache-2.0
// db/mysql_url.h - from a store's URL to the servers behind it. Values; pure.
//
//   mysql://user@host:3306/database
//   mysql://user@host-1,host-2:3307,host-3/database?tls=verify&tls_ca=/etc/ssl/db.pem
//   mysql://user@/database?socket=/run/mysqld/mysqld.sock
//
// Several hosts are the nodes of one cluster: the first that answers is used, and the next when it goes. "mariadb:" is the same.
// tls: "verify" (encrypted, the server's certificate and name checked), "require" (encrypted, not checked), "off". Without it a
// socket and a loopback address are "off", everything else is "verify": nothing goes over a network in the clear by accident.
// lossy_commit=yes: accepts a server whose commits are not on disk when it tells so (MysqlConnection::open).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace watchwheel::db {

inline constexpr std::size_t kMysqlHostsMax = 16;

enum class MysqlTls : std::uint8_t { Off, Require, Verify };

struct MysqlHost {
  std::string name;  // A name or an address, IPv6 without brackets.
  std::uint16_t port = 3306;
  friend bool operator==(const MysqlHost&, const MysqlHost&) = default;
};

struct MysqlPlace {
  std::vector<MysqlHost> hosts;  // Empty: by the socket.
  std::string socket;
  std::string user;
  std::string database;
  MysqlTls tls = MysqlTls::Verify;
  std::string tls_ca;  // "": the system's.
  std::string tls_cert, tls_key;
  bool lossy_commit =
      false;  // The server may lose the newest commits in a crash of its own, and that is accepted.
  std::string shown;  // For people: hosts and database.
};

[[nodiscard]] bool is_mysql_url(std::string_view url);
// Invalid, saying what would be right. The message never repeats a part that may hold a password.
[[nodiscard]] core::Result<MysqlPlace> parse_mysql_url(std::string_view url);

}  // namespace watchwheel::db
