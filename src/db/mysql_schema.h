// SPDX-License-Identifier: Apache-2.0
// db/mysql_schema.h - the steps of the schema for MySQL and MariaDB; see migrations.h.
#pragma once

#include <vector>

#include "db/migrations.h"

namespace watchwheel::db {

[[nodiscard]] const std::vector<SchemaStep>& mysql_steps();

}  // namespace watchwheel::db
