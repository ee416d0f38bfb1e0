// SPDX-License-Identifier: Apache-2.0
// db/mysql.h - a connection to MySQL, MariaDB or a cluster that speaks their protocol (sql.h), on
// MySQL Connector/C++ 1.1.
//
// Owns     the session, and every query prepared on it. When the session is lost it is opened anew by the
//          next call that begins something: on the same host first where the session ended, on the next one where the host
//          fell silent, is read only or out of its cluster; then on the others in their order.
// Thread   one at a time.
// Bounded  connecting: kConnectWait a host. Any one call: MysqlAccess::answer_wait. A transaction, with a clock:
//          kTransactionWait and one call. Waiting for a lock: MysqlAccess::lock_wait.
//          A transaction that we have fallen silent in: silence_in_transaction, by the server.
// Fails    a session that is lost, a server that is away, full, read only, not part of its cluster's majority or without our
//          tables, a lock that does not come: Unavailable. A session lost while it committed: Unknown. Duplicate, too long:
//          Invalid. A damaged table: Corrupt. A trigger of `sites` that the server could not read (unread_trigger.h) is a conflict,
//          and read anew before the transaction is tried again.
//
// What the connector hides, and what is done about it: its commit() swallows every error, so COMMIT is a statement. It sets
// REPEATABLE READ whenever it connects; we set READ COMMITTED after it. Option names it does not know are ignored, so a test
// reads back what each of ours should do. Its own reconnecting may go on in the middle of a transaction and is never used.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "db/mysql_url.h"
#include "db/sql.h"

namespace watchwheel::db {

// Whole seconds: the client library knows no others.
inline constexpr std::chrono::seconds kConnectWait{5};
inline constexpr std::chrono::seconds kAnswerWait{10};
inline constexpr std::chrono::seconds kLeaseAnswerWait{4};
// A step of the schema may copy a large table.
inline constexpr std::chrono::seconds kMigrationWait{3600};
inline constexpr std::chrono::seconds kLockWait{5};
// Of a session that must have an answer within kLeaseAnswerWait, or it is lost along with the answer.
inline constexpr std::chrono::seconds kLeaseLockWait{2};
// A process that is stopped, and a host that has lost its power or its network, end no session, and the server would keep it with all
// its locks for hours: nobody could take the sites of such a node. A transaction of ours that asks for nothing for so long is ended.
inline constexpr std::chrono::seconds kSilenceInTransaction{5};
// A whole transaction of the daemon, where each answer comes in time and all together do not.
inline constexpr std::chrono::seconds kTransactionWait{20};

struct MysqlAccess {
  MysqlPlace place;
  // Asked whenever a session is opened, so that a changed password is taken up. Null: no password.
  std::function<core::Result<std::string>()> password;
  std::chrono::seconds answer_wait = kAnswerWait;
  std::chrono::seconds lock_wait = kLockWait;
  // Zero: what the server is set to. Else it ends a session that is in a writing transaction and silent for longer.
  std::chrono::seconds silence_in_transaction = kSilenceInTransaction;
  // Null: a transaction may take as long as its answers do.
  const core::Clock* clock = nullptr;
  // Told what was done to the server; by any thread that has a connection.
  std::function<void(const std::string&)> notice = nullptr;
};

class MysqlConnection final : public Connection {
 public:
  // Invalid, saying what to change, when the server is too old, is set up in a way that breaks a promise of ours, or does not let us
  // in; of several hosts, when each is unfit. Later such a host is not taken either, and without another one the store is away. What
  // is wrong is told of every host.
  [[nodiscard]] static core::Result<std::unique_ptr<MysqlConnection>> open(
      const MysqlAccess& access);
  ~MysqlConnection() override;

  [[nodiscard]] Query query(const Sql& sql) override;
  [[nodiscard]] core::Result<void> execute(const std::string& sql) override;
  [[nodiscard]] core::Result<void> apply_schema(const std::string& sql) override;
  [[nodiscard]] core::Result<std::int64_t> now_ms() override;
  [[nodiscard]] core::Result<std::int64_t> last_insert_id() override;
  [[nodiscard]] std::uint64_t rows_changed() const override;
  [[nodiscard]] Dialect dialect() const override { return Dialect::Mysql; }
  [[nodiscard]] const std::string& path() const override;
  [[nodiscard]] bool conflicted() const override;
  void pause_before_retry(int tries) override;

 private:
  struct Parts;
  class Slot;
  explicit MysqlConnection(const MysqlAccess& access);
  [[nodiscard]] core::Result<void> begin_write() override;
  [[nodiscard]] core::Result<void> begin_read() override;
  [[nodiscard]] core::Result<void> commit() override;
  void roll_back() override;

  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::db
