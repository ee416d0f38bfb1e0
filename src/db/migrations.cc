// SPDX-License-Identifier: Apache-2.0
#include "db/migrations.h"

#include <string>

#include "core/ensure.h"

namespace watchwheel::db {
namespace {

core::Error newer_schema(const Connection& connection, std::uint32_t found, std::uint32_t known) {
  return core::Error{core::ErrorKind::Invalid,
                     "store " + connection.path() + ": its schema has version " +
                         std::to_string(found) + ", and this program knows up to " +
                         std::to_string(known) + "; run the newer watchwheel that wrote it"};
}

core::Error step_failed(const SchemaStep& step, const core::Error& why, const char* kept) {
  return core::Error{why.kind, "migration " + std::to_string(step.version) + " (" + step.title +
                                   "): " + why.message + "; " + kept};
}

// False: it was noted already.
core::Result<bool> note_step(Connection& connection, const SchemaStep& step) {
  core::Result<std::int64_t> now = connection.now_ms();
  if (!now) return now.error();
  Query note =
      connection.query({"INSERT INTO schema_version (version, title, applied_at) VALUES (?, ?, ?)",
                        "INSERT INTO schema_version (version, title, applied_at) VALUES (?, ?, ?)"
                        " ON DUPLICATE KEY UPDATE version = version"});
  note.bind(static_cast<std::int64_t>(step.version)).bind(std::string_view(step.title)).bind(*now);
  if (core::Result<void> noted = note.run(); !noted) return noted.error();
  return connection.rows_changed() != 0;
}

core::Result<bool> apply_at_once(Connection& connection, const SchemaStep& step) {
  core::Result<Transaction> transaction = Transaction::write(connection);
  if (!transaction) return transaction.error();
  core::Result<std::uint32_t> version = schema_version(connection);
  if (!version) return version.error();
  if (*version >= step.version) return false;

  constexpr const char* kKept = "nothing of this step was kept";
  if (auto built = connection.apply_schema(step.sql); !built)
    return step_failed(step, built.error(), kKept);
  if (auto noted = note_step(connection, step); !noted)
    return step_failed(step, noted.error(), kKept);
  if (auto committed = transaction->commit(); !committed)
    return step_failed(step, committed.error(), kKept);
  return true;
}

core::Result<bool> apply_by_statement(Connection& connection, const SchemaStep& step) {
  constexpr const char* kKept = "run `watchwheel migrate` again, it goes on where it stopped";
  if (auto built = connection.apply_schema(step.sql); !built)
    return step_failed(step, built.error(), kKept);
  core::Result<bool> noted = retried(connection, [&] { return note_step(connection, step); });
  if (!noted) return step_failed(step, noted.error(), kKept);
  return noted;
}

// One step, unless another process was faster. Says whether it was applied.
core::Result<bool> apply(Connection& connection, const SchemaStep& step) {
  return connection.dialect() == Dialect::Sqlite ? apply_at_once(connection, step)
                                                 : apply_by_statement(connection, step);
}

}  // namespace

core::Result<std::uint32_t> schema_version(Connection& connection) {
  auto table = connection.number(
      {"SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'",
       "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name ="
       " 'schema_version'"});
  if (!table) return table.error();
  if (!*table) return std::uint32_t{0};
  auto version = connection.number("SELECT max(version) FROM schema_version");
  if (!version) return version.error();
  return static_cast<std::uint32_t>(version->value_or(0));
}

core::Result<MigrationReport> migrate(Connection& connection, const std::vector<SchemaStep>& steps,
                                      bool dry_run, const MigrationWatch& watch,
                                      const std::function<bool()>& may_go_on) {
  ENSURE(!steps.empty(), "there is no schema to migrate to");
  core::Result<std::uint32_t> found = schema_version(connection);
  if (!found) return found.error();
  if (*found > steps.back().version) return newer_schema(connection, *found, steps.back().version);

  MigrationReport report{.before = *found, .after = *found, .applied = {}};
  for (const SchemaStep& step : steps) {
    if (step.version <= *found) continue;
    ENSURE(step.version == report.after + 1, "migrations are numbered without gaps");
    if (may_go_on && !may_go_on())
      return core::Error{core::ErrorKind::Unavailable,
                         "store " + connection.path() +
                             ": nothing was heard from here for too long, and another process "
                             "migrates now; run `watchwheel migrate` again"};
    if (watch) watch(report.after - report.before, steps.back().version - report.before);
    core::Result<bool> applied = dry_run ? core::Result<bool>(true) : apply(connection, step);
    if (!applied) return applied.error();
    report.after = step.version;
    if (*applied) report.applied.push_back(Migration{step.version, step.title});
  }
  return report;
}

core::Result<void> check_schema(Connection& connection) {
  const std::uint32_t wanted = schema_steps(connection.dialect()).back().version;
  core::Result<std::uint32_t> found = schema_version(connection);
  if (!found) return found.error();
  if (*found > wanted) return newer_schema(connection, *found, wanted);
  if (*found < wanted) {
    return core::Error{core::ErrorKind::Invalid,
                       "store " + connection.path() + ": its schema has version " +
                           std::to_string(*found) + ", and this program needs " +
                           std::to_string(wanted) + "; run `watchwheel migrate`"};
  }
  return {};
}

}  // namespace watchwheel::db
