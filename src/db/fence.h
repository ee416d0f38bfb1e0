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
  [[nodiscard]] core::Result<void> pass(Connection& connection, std::int64_t fence);
  // Runs `work(fence)`, a transaction that passes; once more when it was refused and the table knows better within Fencing::patience. So a
  // bucket that goes while we write is not mistaken for a store that is away.
  template <typename Work>
  [[nodiscard]] core::Result<void> under(Work work) {
    const core::Result<std::int64_t> fence = now();
    if (!fence) return fence.error();
    refused_ = false;
    core::Result<void> done = work(*fence);
    if (done || !refused_) return done;
    const core::Result<std::int64_t> newer = with_.table->fence_after(*fence, with_.patience);
    return newer && *newer != *fence ? work(*newer) : done;
  }

 private:
  const Fencing with_;
  bool refused_ = false;
};

}  // namespace watchwheel::db
