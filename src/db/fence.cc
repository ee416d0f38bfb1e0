// SPDX-License-Identifier: Apache-2.0
#include "db/fence.h"

namespace watchwheel::db {
namespace {

// It must change the row: what a transaction only looked at is not compared when a cluster certifies it.
constexpr Sql kPass =
    "UPDATE node_writers SET writes = writes + 1 WHERE node = ? AND writer = ? AND fence = ?";

}  // namespace

core::Result<void> Fence::pass(Connection& connection, std::int64_t fence) {
  if (with_.table == nullptr) return {};
  Query query = connection.query(kPass);
  query.bind(std::string_view(with_.node)).bind(std::string_view(with_.writer)).bind(fence);
  if (core::Result<void> done = query.run(); !done) return done;
  if (connection.rows_changed() == 1) return {};
  refused_ = true;
  with_.table->note_fenced();
  return core::Error{
      core::ErrorKind::Unavailable,
      "the write was refused: another node has taken buckets from us, and whose they "
      "are is not known yet"};
}

}  // namespace watchwheel::db
