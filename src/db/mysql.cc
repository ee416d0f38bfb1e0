// SPDX-License-Identifier: Apache-2.0
#include "db/mysql.h"

#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "core/ensure.h"
#include "db/unread_trigger.h"

namespace watchwheel::db {
namespace {

using core::ErrorKind;

// The server's and the client's error numbers that mean something to us; both documentations list them.
enum Code : int {
  kTableCrashed = 1194,
  kDuplicateColumn = 1060,
  kDuplicateIndex = 1061,
  kTableExists = 1050,
  kTriggerExists = 1359,
  kTriggersNotTrusted = 1419,
  kNothingToDrop = 1091,
  kNoCheckMySql = 3821,
  kNoConstraintMySql = 3940,
  kNoTable = 1146,
  kNoColumn = 1054,
  kDuplicate = 1062,
  kCannotBeNull = 1048,
  kTooLong = 1406,
  kOutOfRange = 1264,
  kBadValue = 1366,
  kTruncated = 1265,
  kBadTime = 1292,
  kReferredTo = 1451,
  kRefersToNone = 1452,
  kSignalled = 1644,  // By a trigger.
  kGeneratedMariaDb = 1906,
  kGeneratedMySql = 3105,
  kSyntax = 1064,
  kCheckMariaDb = 4025,
  kCheckMySql = 3819,
  kAccessDenied = 1045,
  kDatabaseDenied = 1044,
  kTableDenied = 1142,
  kUnknownDatabase = 1049,
  kLockWaitOver = 1205,
  kDeadlock = 1213,
  kRecordChanged = 1020,
  kReadOnly = 1290,
  kReadOnlyServer = 1836,
  kTableFull = 1114,
  kDiskFull = 1021,
  kTooManyConnections = 1040,
  kTooManyOfUser = 1203,
  kUserLimit = 1226,
  kCommitFailed = 1180,
  kNotInCluster = 1047,
  kServerGone = 2006,
  kServerLost = 2013,
  kOutOfSync = 2014,
  kTlsFailed = 2026,
  kNotPrepared = 2030,
};

// A table or a column that is not there says nothing of what was to be stored: a server of another schema is as good as none. Nor
// does a syntax error: values are bound, and the texts are ours (see unread_trigger.h).
ErrorKind kind_of(int code) {
  switch (code) {
    case kTableCrashed:
      return ErrorKind::Corrupt;
    case kDuplicate:
    case kCannotBeNull:
    case kTooLong:
    case kOutOfRange:
    case kBadValue:
    case kTruncated:
    case kBadTime:
    case kReferredTo:
    case kRefersToNone:
    case kSignalled:
    case kGeneratedMariaDb:
    case kGeneratedMySql:
    case kCheckMariaDb:
    case kCheckMySql:
      return ErrorKind::Invalid;
    default:
      return ErrorKind::Unavailable;
  }
}

// Who asks is not let in, or not to this database: nothing that waiting changes.
bool refuses_us(int code) {
  return code == kAccessDenied || code == kDatabaseDenied || code == kUnknownDatabase;
}

// The session is of no use any more.
bool loses_session(int code) {
  return code == kServerGone || code == kServerLost || code == kOutOfSync || code == kNotPrepared ||
         code == kNotInCluster;
}

std::string_view remedy(int code) {
  switch (code) {
    case kNoTable:
    case kNoColumn:
      return "the schema may not be this version's: run `watchwheel migrate`";
    case kSyntax:
      return "where it speaks of a trigger, FLUSH TABLES lets the server read it anew";
    case kLockWaitOver:
      return "another process held it for too long; try again, or see SHOW PROCESSLIST";
    case kAccessDenied:
      return "check the user in store.url and the password in store.password_file";
    case kDatabaseDenied:
    case kTableDenied:
      return "grant the user all rights on this database";
    case kUnknownDatabase:
      return "create it: CREATE DATABASE … CHARACTER SET utf8mb4";
    case kReadOnly:
    case kReadOnlyServer:
      return "the server is read only; name the primary in store.url";
    case kTriggersNotTrusted:
      return "set the server's log_bin_trust_function_creators to 1, or migrate once as a user "
             "with SUPER";
    case kTableFull:
    case kDiskFull:
      return "make room on the server's disk";
    case kTooManyConnections:
      return "raise the server's max_connections";
    case kTooManyOfUser:
    case kUserLimit:
      return "raise the user's limits (max_user_connections, GRANT … WITH MAX_…)";
    case kNotInCluster:
      return "the node is not part of its cluster's majority";
    case kTlsFailed:
      return "check tls and tls_ca in store.url";
    default:
      return "";
  }
}

// The largest statement is a list of a hundred marks, 20 kB; the largest row a site whose options are as long as we take them.
constexpr std::int64_t kPacketBytesMin = std::int64_t{4} * 1024 * 1024;
// A process keeps about fifteen with its shard, three more with a legacy table, one while it is asked over HTTP; a command that people run needs two.
constexpr std::int64_t kConnectionsMin = 40;

// How often triggers are read anew before it is told that it does not help.
constexpr int kMendsMax = 3;

struct Version {
  int major = 0;
  int minor = 0;
  bool mariadb = false;
};

// "10.11.19-MariaDB-0+deb12u1", "8.0.36"; old MariaDB says "5.5.5-" first, for the sake of old clients.
Version version_of(std::string_view text) {
  Version version;
  version.mariadb = text.find("MariaDB") != std::string_view::npos;
  if (version.mariadb && text.starts_with("5.5.5-")) text.remove_prefix(6);
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.major);
  if (major.ec == std::errc{} && major.ptr != end)
    (void)std::from_chars(major.ptr + 1, end, version.minor);
  return version;
}

bool is_old(const Version& version) {
  return version.mariadb ? std::pair(version.major, version.minor) < std::pair(10, 6)
                         : version.major < 8;
}

// A text as the server takes it, and where each of its parameters stands: "?2" may stand several times.
struct Prepared {
  std::string text;
  std::vector<std::vector<unsigned>> places;  // By parameter, from 0; positions from 1.
};

Prepared prepared(std::string_view sql) {
  Prepared out;
  unsigned position = 0;
  std::size_t plain = 0;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    out.text += sql[i];
    if (sql[i] != '?') continue;
    std::size_t number = 0;
    const auto [end, failed] = std::from_chars(sql.data() + i + 1, sql.data() + sql.size(), number);
    if (failed == std::errc{}) {
      i = static_cast<std::size_t>(end - sql.data()) - 1;
    } else {
      number = ++plain;
    }
    if (out.places.size() < number) out.places.resize(number);
    out.places[number - 1].push_back(++position);
  }
  return out;
}

// Statements of one text: they are parted at ';' before a line end.
std::vector<std::string> statements(std::string_view text) {
  std::vector<std::string> all;
  while (!text.empty()) {
    const auto end = text.find(";\n");
    const std::string_view one = text.substr(0, end);
    if (one.find_first_not_of(" \n;") != std::string_view::npos) all.emplace_back(one);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
  }
  return all;
}

}  // namespace

// ---- The session ----

struct MysqlConnection::Parts {
  explicit Parts(const MysqlAccess& given) : access(given), random(std::random_device{}()) {}

  const MysqlAccess access;
  std::minstd_rand random;  // Only spreads retries.
  std::size_t current = 0;  // The one in use; tried first.
  std::unique_ptr<sql::Connection> session;
  std::vector<std::unique_ptr<Slot>> slots;  // Die before the session: declared after it.
  bool lost = false;
  bool in_cluster = false;  // The server is a Galera node.
  bool knows_silence = false;  // The server can end a transaction that is silent: MariaDB. MySQL knows only of silent sessions.
  bool hurried = false;        // It was told so, for this transaction.
  bool in_transaction = false;
  core::SteadyTime began = core::kNoSteadyTime;  // The transaction, where there is a clock.
  bool conflicted = false;
  // What went wrong inside the transaction: its rest is refused, and so is its commit.
  std::optional<core::Error> spoiled;
  std::uint64_t rows_changed = 0;
  bool trigger_unread = false;  // To be mended before the next transaction.
  int mends = 0;                // Without anything committed since.

  [[nodiscard]] core::Error error(int code, const std::string& what, const std::string& where = {});
  // `prepared`: the server had read the text before.
  [[nodiscard]] core::Error failed(const sql::SQLException& why, bool prepared = false);
  [[nodiscard]] core::Result<void> check_serving(sql::Statement& statement,
                                                 const std::string& where);
  [[nodiscard]] core::Result<void> check_fit(sql::Statement& statement,
                                             const std::string& where);
  [[nodiscard]] core::Result<void> connect();
  [[nodiscard]] core::Result<void> connect_to(const MysqlHost* host, const std::string& password);
  [[nodiscard]] core::Result<void> ready();
  [[nodiscard]] core::Result<void> run(const std::string& statement);
  [[nodiscard]] core::Result<void> change_schema(const std::string& statement);
  [[nodiscard]] core::Result<void> begin(const std::string& statement);
  [[nodiscard]] core::Result<void> check_in_transaction();
  [[nodiscard]] core::Result<void> heed_silence();
  void forget_silence();
  void mend_triggers();
};

core::Error MysqlConnection::Parts::error(int code, const std::string& what,
                                          const std::string& where) {
  std::string message = "store " + (where.empty() ? access.place.shown : where) + ": " + what;
  if (code != 0) message += " (" + std::to_string(code) + ")";
  if (const std::string_view help = remedy(code); !help.empty()) message.append("; ").append(help);
  return core::Error{kind_of(code), std::move(message)};
}

core::Error MysqlConnection::Parts::failed(const sql::SQLException& why, bool prepared) {
  const int code = why.getErrorCode();
  lost = lost || loses_session(code);
  conflicted = code == kDeadlock || code == kRecordChanged;
  if (is_unread_trigger(code, why.what(), prepared)) {
    trigger_unread = mends < kMendsMax;
    conflicted = trigger_unread;
    if (!trigger_unread) mends = 0;  // Told; whoever comes next tries as often.
  }
  // A node that answers and does not serve, and one that does not answer any more: the next one is asked.
  const bool does_not_serve =
      code == kNotInCluster || code == kReadOnly || code == kReadOnlyServer;
  lost = lost || does_not_serve;
  if ((does_not_serve || code == kServerLost) && !access.place.hosts.empty())
    current = (current + 1) % access.place.hosts.size();
  core::Error told = error(code, why.what());
  if (in_transaction && !spoiled) spoiled = told;
  return told;
}

// Whether the session is encrypted where it must be. A node of a cluster without its majority takes connections, and a server that is read only takes reads: neither is of use, and
// another host may be.
core::Result<void> MysqlConnection::Parts::check_serving(sql::Statement& statement,
                                                         const std::string& where) {
  const auto value = [&](const char* sql) {
    const std::unique_ptr<sql::ResultSet> rows(statement.executeQuery(sql));
    return rows->next() ? rows->getString(2).asStdString() : std::string();
  };
  // The client goes on in the clear with a server that has no TLS, unless it verifies.
  if (access.place.tls != MysqlTls::Off && value("SHOW STATUS LIKE 'Ssl_cipher'").empty())
    return error(kTlsFailed, "the server offers no TLS", where);
  in_cluster = value("SHOW VARIABLES LIKE 'wsrep_on'") == "ON";
  if (in_cluster && value("SHOW STATUS LIKE 'wsrep_ready'") == "OFF")
    return error(kNotInCluster, "it does not serve", where);
  if (const std::string only = value("SHOW VARIABLES LIKE 'read_only'"); only == "ON")
    return error(kReadOnly, "it is read only", where);
  // A node may lag behind what another one has told. Before we read, and before we write by what is there ("unless somebody else
  // holds it"), it catches up. A change of the schema is made on all nodes, whatever else is usual there.
  if (in_cluster)
    statement.execute("SET SESSION wsrep_sync_wait = 7, wsrep_OSU_method = 'TOI'");
  return {};
}

// Every host of a list must keep what we promise, not only the one that was asked at the start.
core::Result<void> MysqlConnection::Parts::check_fit(sql::Statement& statement,
                                                     const std::string& where) {
  const auto refused = [&](const std::string& what) {
    return core::Error{ErrorKind::Invalid, "store " + where + ": " + what};
  };
  const std::unique_ptr<sql::ResultSet> found(statement.executeQuery(
      "SELECT VERSION(), @@max_allowed_packet, @@innodb_flush_log_at_trx_commit,"
      " @@log_bin = 1 AND @@binlog_format = 'STATEMENT', @@max_connections"));
  if (!found->next()) return refused("it does not tell its version");
  const std::string version = found->getString(1).asStdString();
  if (is_old(version_of(version)))
    return refused("the server is " + version + "; MariaDB 10.6 or MySQL 8.0 is needed");
  knows_silence = version_of(version).mariadb;
  const std::int64_t packet = found->getInt64(2);
  if (packet < kPacketBytesMin)
    return refused("its max_allowed_packet is " + std::to_string(packet) + " bytes; at least " +
                   std::to_string(kPacketBytesMin) + " are needed");
  // READ COMMITTED cannot be written to a log of statements; the server would refuse each write.
  if (found->getInt64(4) != 0) return refused("its binlog_format is STATEMENT; set it to ROW");
  const std::int64_t connections = found->getInt64(5);
  if (connections < kConnectionsMin)
    return refused("its max_connections is " + std::to_string(connections) + "; at least " +
                   std::to_string(kConnectionsMin) + " are needed");
  const std::int64_t flush = found->getInt64(3);
  // A cluster's nodes have each other's commits.
  if (flush == 1 || in_cluster || access.place.lossy_commit) return {};
  return refused("its innodb_flush_log_at_trx_commit is " + std::to_string(flush) +
                 ", so a commit that was told may be lost; set it to 1, or add lossy_commit=yes to "
                 "store.url");
}

core::Result<void> MysqlConnection::Parts::connect_to(const MysqlHost* host,
                                                      const std::string& password) {
  const MysqlPlace& place = access.place;
  sql::ConnectOptionsMap options;
  const std::string address =
      host == nullptr
          ? "unix://" + place.socket
          : "tcp://" +
                (host->name.find(':') == std::string::npos ? host->name : "[" + host->name + "]") +
                ":" + std::to_string(host->port);
  options["hostName"] = sql::SQLString(address);
  options["userName"] = sql::SQLString(place.user);
  options["password"] = sql::SQLString(password);
  options["schema"] = sql::SQLString(place.database);
  options["OPT_CONNECT_TIMEOUT"] = static_cast<int>(kConnectWait.count());
  options["OPT_READ_TIMEOUT"] = static_cast<int>(access.answer_wait.count());
  options["OPT_WRITE_TIMEOUT"] = static_cast<int>(access.answer_wait.count());
  options["OPT_CHARSET_NAME"] = sql::SQLString("utf8mb4");
  if (place.tls != MysqlTls::Off) {
    options["sslEnforce"] = true;
    options["sslVerify"] = place.tls == MysqlTls::Verify;
    if (!place.tls_ca.empty()) options["sslCA"] = sql::SQLString(place.tls_ca);
    if (!place.tls_cert.empty()) {
      options["sslCert"] = sql::SQLString(place.tls_cert);
      options["sslKey"] = sql::SQLString(place.tls_key);
    }
  }
  const std::string where = host == nullptr ? place.shown : address + "/" + place.database;
  try {
    session.reset(get_driver_instance()->connect(options));
    const std::unique_ptr<sql::Statement> statement(session->createStatement());
    // The connector has just asked for REPEATABLE READ, which deadlocks where this does not.
    statement->execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    statement->execute(
        "SET SESSION time_zone = '+00:00', sql_mode = "
        "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', "
        "innodb_lock_wait_timeout = " +
        std::to_string(access.lock_wait.count()) +
        ", lock_wait_timeout = " + std::to_string(access.lock_wait.count()));
    auto able = check_serving(*statement, where);
    if (able) able = check_fit(*statement, where);
    if (able && knows_silence && access.silence_in_transaction.count() > 0)
      statement->execute("SET SESSION idle_write_transaction_timeout = " +
                         std::to_string(access.silence_in_transaction.count()));
    if (!able) {
      session.reset();
      return able;
    }
  } catch (const sql::SQLException& why) {
    session.reset();
    core::Error told = error(why.getErrorCode(), why.what(), where);
    if (refuses_us(why.getErrorCode())) told.kind = ErrorKind::Invalid;
    return told;
  }
  return {};
}

core::Result<void> MysqlConnection::Parts::connect() {
  slots.clear();
  session.reset();
  in_transaction = false;
  spoiled.reset();
  std::string password;
  if (access.password) {
    auto read = access.password();
    if (!read) return read.error();
    password = *std::move(read);
  }
  const auto& hosts = access.place.hosts;
  if (hosts.empty()) {
    auto done = connect_to(nullptr, password);
    lost = !done;
    return done;
  }
  // Each host has its own reason. As long as one of them is only away, waiting may help.
  core::Error all{ErrorKind::Invalid, ""};
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const std::size_t tried = (current + i) % hosts.size();
    auto done = connect_to(&hosts[tried], password);
    if (done) {
      current = tried;
      lost = false;
      return done;
    }
    if (done.error().kind != ErrorKind::Invalid) all.kind = done.error().kind;
    all.message += (i == 0 ? "" : "; ") + done.error().message;
  }
  lost = true;
  return all;
}

// A session for what begins now. In the middle of a transaction a lost one stays lost: the rest must not
// go on by itself.
core::Result<void> MysqlConnection::Parts::ready() {
  if (spoiled) return *spoiled;
  conflicted = false;
  if (in_transaction && access.clock != nullptr &&
      access.clock->steady() - began > kTransactionWait) {
    spoiled = error(0, "it is so slow that a transaction took more than " +
                           std::to_string(kTransactionWait.count()) + " s");
    return *spoiled;
  }
  if (!lost) return {};
  const bool in_use =
      std::any_of(slots.begin(), slots.end(), [](const auto& slot) { return slot->in_use; });
  if (in_transaction || in_use) return error(kServerLost, "the session was lost");
  auto connected = connect();
  // A host that will not do is like one that is away: it says nothing against what was to be stored.
  if (!connected && connected.error().kind == ErrorKind::Invalid)
    return core::Error{ErrorKind::Unavailable, connected.error().message};
  return connected;
}

core::Result<void> MysqlConnection::Parts::run(const std::string& statement) {
  if (auto able = ready(); !able) return able;
  try {
    const std::unique_ptr<sql::Statement> made(session->createStatement());
    if (made->execute(statement)) {
      const std::unique_ptr<sql::ResultSet> rows(
          made->getResultSet());  // Unread rows block the session.
    } else {
      rows_changed = made->getUpdateCount();
    }
  } catch (const sql::SQLException& why) {
    return failed(why);
  }
  return {};
}

core::Result<void> MysqlConnection::Parts::change_schema(const std::string& statement) {
  constexpr std::array kDone{kTableExists, kTriggerExists, kDuplicateColumn, kDuplicateIndex,
                             kNothingToDrop, kNoCheckMySql, kNoConstraintMySql};
  if (auto able = ready(); !able) return able;
  try {
    const std::unique_ptr<sql::Statement> made(session->createStatement());
    (void)made->execute(statement);
  } catch (const sql::SQLException& why) {
    if (std::find(kDone.begin(), kDone.end(), why.getErrorCode()) == kDone.end()) {
      core::Error refused = failed(why);
      // A server that does not know our words learns none by waiting.
      if (why.getErrorCode() == kSyntax) refused.kind = ErrorKind::Invalid;
      return refused;
    }
  }
  return {};
}

// A session that was idle may have been ended by the server or by a firewall; nothing has been done in this one yet, so
// it may be tried in another.
core::Result<void> MysqlConnection::Parts::begin(const std::string& statement) {
  if (trigger_unread) mend_triggers();
  auto begun = run(statement);
  if (!begun && lost) begun = run(statement);
  in_transaction = begun.has_value();
  if (access.clock != nullptr) began = access.clock->steady();
  return begun;
}

// Where the server knows of silent sessions alone, ours counts as one for as long as a transaction writes. Outside of it a session
// may be silent for hours, and is not to be lost for that.
core::Result<void> MysqlConnection::Parts::heed_silence() {
  if (!session || knows_silence || access.silence_in_transaction.count() == 0) return {};
  auto set = run("SET SESSION wait_timeout = " + std::to_string(access.silence_in_transaction.count()));
  if (!set && lost) set = run("SET SESSION wait_timeout = " +
                              std::to_string(access.silence_in_transaction.count()));
  hurried = set.has_value();
  return set;
}

void MysqlConnection::Parts::forget_silence() {
  if (!std::exchange(hurried, false) || lost) return;
  const bool was_conflict = conflicted;
  (void)run("SET SESSION wait_timeout = DEFAULT");
  conflicted = was_conflict;  // Asked after this.
}

// A node of a cluster that ends a transaction in favour of another node's tells it by failing the next command; but not when that
// command prepares a query (MariaDB 10.11): the transaction is gone, what follows is committed one by one, and COMMIT succeeds.
core::Result<void> MysqlConnection::Parts::check_in_transaction() {
  if (!in_transaction || !in_cluster) return {};
  const std::unique_ptr<sql::Statement> asked(session->createStatement());
  const std::unique_ptr<sql::ResultSet> rows(asked->executeQuery("SELECT @@in_transaction"));
  if (rows->next() && rows->getInt(1) != 0) return {};
  conflicted = true;
  spoiled = error(kDeadlock, "the cluster ended the transaction in favour of another one");
  return *spoiled;
}

// Outside of a transaction, which it would end.
void MysqlConnection::Parts::mend_triggers() {
  trigger_unread = false;
  ++mends;
  const auto done = std::find_if(kReadTriggersAnew.begin(), kReadTriggersAnew.end(),
                                 [this](const char* way) { return run(way).has_value(); });
  if (!access.notice) return;
  const bool mended = done != kReadTriggersAnew.end();
  access.notice("store " + access.place.shown +
                ": the server was interrupted when it read the triggers of sites, and refused to "
                "change a row; " +
                (mended ? "they were read anew by " + std::string(*done)
                        : "it let nobody read them anew: run FLUSH TABLES sites there"));
}

// ---- A query ----

class MysqlConnection::Slot final : public QuerySlot {
 public:
  explicit Slot(Parts& parts) : parts_(parts) {}
  ~Slot() override { ENSURE(!in_use, "a query outlives its connection"); }

  [[nodiscard]] bool prepare(const char* text) {
    if (auto able = parts_.ready(); !able) {
      failure_ = able.error();
      return false;
    }
    // The connector wants to be told; its prepared statements cannot say it.
    gives_rows_ = std::string_view(text).starts_with("SELECT");
    Prepared wanted = prepared(text);
    places_ = std::move(wanted.places);
    try {
      statement_.reset(parts_.session->prepareStatement(wanted.text));
      if (auto still = parts_.check_in_transaction(); !still) {
        failure_ = still.error();
        return false;
      }
    } catch (const sql::SQLException& why) {
      failure_ = parts_.failed(why);
      return false;
    }
    return true;
  }
  void refuse(core::Error why) { failure_ = std::move(why); }

  void bind(int parameter, std::int64_t value) override {
    set(parameter, [&](unsigned at) { statement_->setInt64(at, value); });
  }
  void bind(int parameter, std::string_view value) override {
    const sql::SQLString text(value.data() == nullptr ? "" : value.data(), value.size());
    set(parameter, [&](unsigned at) { statement_->setString(at, text); });
  }
  void bind_null(int parameter) override {
    set(parameter, [&](unsigned at) { statement_->setNull(at, 0); });
  }

  core::Result<bool> step() override {
    if (failure_) return *failure_;
    try {
      if (!running_) {
        running_ = true;
        if (gives_rows_) {
          rows_.reset(statement_->executeQuery());
        } else {
          parts_.rows_changed =
              static_cast<std::uint64_t>(std::max(0, statement_->executeUpdate()));
        }
      }
      if (rows_ == nullptr || !rows_->next()) return false;
      texts_.clear();
      return true;
    } catch (const sql::SQLException& why) {
      failure_ = parts_.failed(why, true);
      return *failure_;
    }
  }

  void rewind() override {
    rows_.reset();
    texts_.clear();
    running_ = false;
    if (statement_ != nullptr) failure_.reset();
  }

  bool is_null(int column) const override { return rows_->isNull(index(column)); }
  std::int64_t integer(int column) const override { return rows_->getInt64(index(column)); }
  std::string_view text(int column) const override {
    auto [known, added] = texts_.try_emplace(column);
    if (added) known->second = rows_->getString(index(column)).asStdString();
    return known->second;
  }

  const char* sql = nullptr;

 private:
  static unsigned index(int column) { return static_cast<unsigned>(column) + 1; }

  template <typename Set>
  void set(int parameter, Set set_at) {
    if (failure_) return;
    const auto known = static_cast<std::size_t>(parameter) - 1;
    ENSURE(known < places_.size(), "a query was given more parameters than it has");
    try {
      for (const unsigned at : places_[known]) set_at(at);
    } catch (const sql::SQLException& why) {
      failure_ = parts_.failed(why);
    }
  }

  Parts& parts_;
  std::unique_ptr<sql::PreparedStatement> statement_;
  std::unique_ptr<sql::ResultSet> rows_;
  std::vector<std::vector<unsigned>> places_;
  mutable std::map<int, std::string> texts_;  // Of the current row, by column.
  std::optional<core::Error> failure_;
  bool gives_rows_ = false;
  bool running_ = false;
};

// ---- The connection ----

MysqlConnection::MysqlConnection(const MysqlAccess& access)
    : parts_(std::make_unique<Parts>(access)) {}

MysqlConnection::~MysqlConnection() {
  parts_->slots.clear();
}

core::Result<std::unique_ptr<MysqlConnection>> MysqlConnection::open(const MysqlAccess& access) {
  std::unique_ptr<MysqlConnection> connection(new MysqlConnection(access));
  if (auto connected = connection->parts_->connect(); !connected) return connected.error();
  return connection;
}

const std::string& MysqlConnection::path() const {
  return parts_->access.place.shown;
}
std::uint64_t MysqlConnection::rows_changed() const {
  return parts_->rows_changed;
}
bool MysqlConnection::conflicted() const {
  return parts_->conflicted;
}

Query MysqlConnection::query(const Sql& sql) {
  const char* text = sql.mysql;
  auto& slots = parts_->slots;
  auto able = parts_->ready();  // May end every slot, where the session is new.
  const auto known =
      std::find_if(slots.begin(), slots.end(), [text](const auto& s) { return s->sql == text; });
  if (able && known != slots.end()) return Query(**known);
  std::erase_if(slots, [](const auto& s) { return s->sql == nullptr && !s->in_use; });
  ENSURE(slots.size() < kQueriesMax + 1, "more queries on one connection than foreseen");
  auto slot = std::make_unique<Slot>(*parts_);
  // One that could not be prepared is not kept under its name: later it may.
  if (!able) {
    slot->refuse(able.error());
  } else if (slot->prepare(text)) {
    slot->sql = text;
  }
  slots.push_back(std::move(slot));
  return Query(*slots.back());
}

core::Result<void> MysqlConnection::execute(const std::string& sql) {
  for (const std::string& statement : statements(sql)) {
    if (auto done = parts_->run(statement); !done) return done;
  }
  return {};
}

core::Result<void> MysqlConnection::apply_schema(const std::string& sql) {
  for (const std::string& statement : statements(sql)) {
    // In a cluster a change of the schema ends what others have under way at that moment.
    auto done = retried(*this, [&] { return parts_->change_schema(statement); });
    if (!done) return done;
  }
  return {};
}

core::Result<std::int64_t> MysqlConnection::now_ms() {
  auto now = number("SELECT CAST(ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS SIGNED)");
  if (!now) return now.error();
  return now->value_or(0);
}

core::Result<std::int64_t> MysqlConnection::last_insert_id() {
  const auto id = number("SELECT LAST_INSERT_ID()");
  if (!id) return id.error();
  return id->value_or(0);
}

void MysqlConnection::pause_before_retry(int tries) {
  // The server waits for us: this room has no clock of its own.
  std::uniform_int_distribution<int> up_to(1, 5 << std::min(tries, 6));
  (void)parts_->run("DO SLEEP(" + std::to_string(up_to(parts_->random)) + " / 1000)");
}

core::Result<void> MysqlConnection::begin_write() {
  if (auto set = parts_->heed_silence(); !set) return set;
  return parts_->begin("START TRANSACTION");
}

core::Result<void> MysqlConnection::begin_read() {
  // Only under this level do several statements see one moment. It holds for the next transaction alone.
  // Only where nothing is lost yet by losing the session: a second try is as good as the first.
  if (auto set = parts_->run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"); !set) {
    if (!parts_->lost) return set;
    if (set = parts_->run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"); !set) return set;
  }
  return parts_->begin("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
}

core::Result<void> MysqlConnection::commit() {
  auto done =
      parts_->spoiled ? core::Result<void>(*parts_->spoiled) : [this]() -> core::Result<void> {
    try {
      const std::unique_ptr<sql::Statement> made(parts_->session->createStatement());
      made->execute("COMMIT");  // Never sql::Connection::commit(): it tells of no error.
      return {};
    } catch (const sql::SQLException& why) {
      core::Error failure = parts_->failed(why);
      const int code = why.getErrorCode();
      if (loses_session(code) || code == kCommitFailed) failure.kind = ErrorKind::Unknown;
      return failure;
    }
  }();
  parts_->spoiled.reset();
  if (done) {
    parts_->in_transaction = false;
    parts_->mends = 0;
    parts_->forget_silence();
    return done;
  }
  roll_back();
  return done;
}

void MysqlConnection::roll_back() {
  parts_->in_transaction = false;
  parts_->spoiled.reset();
  if (parts_->lost) return;  // The server has done it, or will.
  const bool conflicted = parts_->conflicted;
  (void)parts_->run("ROLLBACK");
  parts_->forget_silence();
  parts_->conflicted = conflicted;  // Asked after this.
}

}  // namespace watchwheel::db
