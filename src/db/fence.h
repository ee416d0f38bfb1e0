// SPDX-License-Identifier: Apache-2.0
// db/fence.h - the row that every transaction for our sites writes, so that it cannot be committed after another node has taken
// over (lease_store.h says why a row, and why not a reading).
#pragma once

#include <cstdint>
#include <optional>

#include "core/result.h"
#include "db/lease_store.h"
#include "db/sql.h"

namespace watchwheel::db {

class Fence {
 public:
  explicit Fence(const Fencing& with) : with_(with) {}

  [[nodiscard]] const core::BucketTable* table() const { return with_.table; }
  // Asked before the epochs that the transaction relies on are looked at. Without a table: nothing to name.
  [[nodiscard]] core::Result<std::int64_t> now() const {
    return with_.table == nullptr ? core::Result<std::int64_t>(0) : with_.table->fence();
  }
  // Inside the transaction. Unavailable: our fence was moved, so something of ours is another node's now, and the table has been
  // told; once it knows, what is still ours goes through, and the rest is Fenced.
  [[nodiscard]] core::Result<void> pass(Connection& connection, std::int64_t fence) const;

 private:
  const Fencing with_;
};

}  // namespace watchwheel::db
