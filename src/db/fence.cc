// SPDX-License-Identifier: Apache-2.0
#include "db/fence.h"

#include <chrono>
#include <thread>

namespace watchwheel::db {
namespace {

// It must change the row: what a transaction only looked at is not compared when a cluster certifies it.
constexpr Sql kPass =
    "UPDATE node_writers SET writes = writes + 1 WHERE node = ? AND writer = ? AND fence = ?";

// The cluster's thread was woken and reads a thousand rows.
constexpr int kLooksMax = 100;
constexpr std::chrono::milliseconds kBetweenLooks{5};

}  // namespace

bool Fence::has_moved(std::int64_t fence) const {
  for (int i = 0; i < kLooksMax; ++i) {
    const core::Result<std::int64_t> newest = now();
    if (!newest || *newest != fence) return newest.has_value();
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return false;
}

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
