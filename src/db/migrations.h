// SPDX-License-Identifier: Apache-2.0
// db/migrations.h - the schema, as the numbered steps that build it. Forward only: a step that was
// released is never edited.
//
// SQLite: each step is one transaction that also notes its number in schema_version, so a crash
// leaves a whole number of steps. Two processes that migrate at once take turns: the version is read
// again under the write lock of every step.
// MySQL cannot undo a change of its schema: there every statement of a step may be done already, by a
// step that was cut off, and is written so that doing it twice is doing it once. Who migrates has the
// turn (migration_turn.h), on whichever node of a cluster.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/result.h"
#include "db/sql.h"
#include "db/store.h"

namespace watchwheel::db {

struct SchemaStep {
  std::uint32_t version = 0;  // 1, 2, 3 … without gaps.
  const char* title = "";
  const char* sql = "";
};

// All steps of this version, in order. Each kind of store counts its own.
[[nodiscard]] const std::vector<SchemaStep>& schema_steps(Dialect dialect = Dialect::Sqlite);

// 0: no schema yet.
[[nodiscard]] core::Result<std::uint32_t> schema_version(Connection& connection);

// Brings the schema to the last of `steps`. Invalid when it is newer already. `may_go_on` is asked before each step; false is
// Unavailable.
[[nodiscard]] core::Result<MigrationReport> migrate(Connection& connection,
                                                    const std::vector<SchemaStep>& steps,
                                                    bool dry_run, const MigrationWatch& watch = {},
                                                    const std::function<bool()>& may_go_on = {});

// Invalid, naming the remedy, unless the schema is that of the last of schema_steps().
[[nodiscard]] core::Result<void> check_schema(Connection& connection);

}  // namespace watchwheel::db
