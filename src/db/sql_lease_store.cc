// SPDX-License-Identifier: Apache-2.0
#include "db/sql_lease_store.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>

#include "core/ensure.h"

namespace watchwheel::db {
namespace {

using core::BucketNo;

constexpr std::array kWriters{kShardWriter, kReplayerWriter, kProjectorWriter, kLegacyWriter,
                             kWarningsWriter};

constexpr Sql kInstance = "SELECT instance FROM nodes WHERE name = ? FOR UPDATE";
constexpr Sql kPutNode =
    "INSERT INTO nodes (name, instance, state, weight, version, started_at, seen_at, lease_ms,"
    " drain_wanted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, 0) ON DUPLICATE KEY UPDATE"
    " instance = ?2, state = ?3, weight = ?4, version = ?5, started_at = ?6, seen_at = ?6,"
    " lease_ms = ?7, drain_wanted = 0";
constexpr Sql kPutWriter =
    "INSERT INTO node_writers (node, writer, fence, writes) VALUES (?1, ?2, ?3, 0)"
    " ON DUPLICATE KEY UPDATE fence = ?3";
constexpr Sql kRenewNode =
    "UPDATE nodes SET seen_at = ?1, state = ?2, weight = ?3, lease_ms = ?4 WHERE name = ?5";
constexpr Sql kRenewLeases = "UPDATE bucket_leases SET expires_at = ? WHERE owner = ?";
constexpr Sql kMoveFence = "UPDATE node_writers SET fence = fence + 1 WHERE node = ?";
constexpr Sql kMoveAllFences = "UPDATE node_writers SET fence = fence + 1";
constexpr Sql kFence = "SELECT max(fence) FROM node_writers WHERE node = ?";
constexpr Sql kNodes =
    "SELECT name, instance, state, weight, version, started_at, seen_at, lease_ms, drain_wanted"
    " FROM nodes ORDER BY name";
constexpr Sql kNodeLeases = "SELECT name, lease_ms FROM nodes";
constexpr Sql kLeases =
    "SELECT bucket, owner, epoch, expires_at, taker, cut_at, moved_at FROM bucket_leases"
    " ORDER BY bucket";
constexpr Sql kFree =
    "SELECT bucket, owner, epoch, expires_at, cut_at FROM bucket_leases"
    " WHERE owner = '' OR expires_at < ? ORDER BY bucket FOR UPDATE";
constexpr Sql kLeave =
    "UPDATE bucket_leases SET owner = '', expires_at = 0 WHERE owner = ?";
constexpr Sql kDrain = "UPDATE nodes SET drain_wanted = ? WHERE name = ?";
constexpr Sql kNodeThere = "SELECT count(*) FROM nodes WHERE name = ?";
constexpr Sql kBuckets = "SELECT count(*) FROM bucket_leases";
constexpr Sql kEpochMax = "SELECT max(epoch) FROM bucket_leases";
constexpr Sql kHeld = "SELECT count(*) FROM bucket_leases WHERE owner <> '' AND expires_at >= ?";
constexpr Sql kLately =
    "SELECT name FROM nodes WHERE state <> 'gone' AND seen_at >= ? ORDER BY seen_at DESC LIMIT 1";
constexpr Sql kDropBuckets = "DELETE FROM bucket_leases WHERE bucket >= ?";
constexpr Sql kUnmarkBuckets =
    "UPDATE bucket_leases SET owner = '', expires_at = 0, taker = '', cut_at = 0";

// Numbers and names of ours alone: nothing that could be more than a word of SQL.
std::string listed(const std::vector<BucketNo>& buckets) {
  std::string list;
  for (const BucketNo bucket : buckets)
    list += (list.empty() ? "(" : ",") + std::to_string(bucket.value);
  return list + ")";
}
std::string quoted(const std::string& node) {
  ENSURE(is_node_name(node), "a node's name was not checked");
  return "'" + node + "'";
}

NodeState state_from(std::string_view word) {
  if (word == to_string(NodeState::Draining)) return NodeState::Draining;
  return word == to_string(NodeState::Active) ? NodeState::Active : NodeState::Gone;
}

}  // namespace

std::string_view to_string(NodeState state) {
  switch (state) {
    case NodeState::Active: return "active";
    case NodeState::Draining: return "draining";
    case NodeState::Gone: return "gone";
  }
  ENSURE(false, "a node state outside its list");
}

bool is_node_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
         });
}

template <typename Work>
core::Result<void> SqlLeaseStore::in_transaction(Work work) {
  return retried(*connection_, [&]() -> core::Result<void> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    const core::Result<std::int64_t> now = connection_->now_ms();
    if (!now) return now.error();
    core::Result<bool> worth = work(*now);
    if (!worth) return worth.error();
    return *worth ? transaction->commit() : core::Result<void>{};
  });
}

core::Result<void> SqlLeaseStore::set_up(std::uint32_t buckets) {
  const auto there = connection_->number(kBuckets);
  if (!there) return there.error();
  if (there->value_or(0) == buckets) return {};
  return in_transaction([&](std::int64_t now) -> core::Result<bool> {
    // Locks out whoever does the same.
    const auto counted = connection_->number("SELECT count(*) FROM bucket_leases FOR UPDATE");
    if (!counted) return counted.error();
    if (counted->value_or(0) == buckets) return false;
    const auto refused = [&](const std::string& who) {
      return core::Error{core::ErrorKind::Invalid,
                         "store " + connection_->path() + ": its sites are parted into " +
                             std::to_string(counted->value_or(0)) + " buckets and " + who +
                             "; set cluster.buckets to it, or stop every node to change it"};
    };
    {
      Query held = connection_->query(kHeld);
      const auto row = held.bind(now).step();
      if (!row) return row.error();
      if (*row && held.integer(0) != 0) return refused("nodes live by that");
    }
    {
      Query lately = connection_->query(kLately);
      const auto row = lately.bind(now - kForgottenAfterMs).step();
      if (!row) return row.error();
      if (*row)
        return refused("node " + std::string(lately.text(0)) +
                       " lived by that within the last hour and has not said that it goes");
    }
    const auto epoch = connection_->number(kEpochMax);
    if (!epoch) return epoch.error();
    if (auto done = connection_->query(kDropBuckets).bind(std::int64_t{buckets}).run(); !done)
      return done.error();
    if (auto done = connection_->query(kUnmarkBuckets).run(); !done) return done.error();
    // Whoever stands still in the middle of a write, and is taken for stopped, must not go on with it: the buckets have no former
    // owner any more by which their next one could stop it.
    if (auto done = connection_->query(kMoveAllFences).run(); !done) return done.error();
    // An epoch never comes again, whatever the bucket stood for before.
    std::string rows;
    for (std::uint32_t bucket = 0; bucket < buckets; ++bucket)
      rows += (rows.empty() ? "(" : ",(") + std::to_string(bucket) + "," +
              std::to_string(epoch->value_or(0)) + ")";
    auto made = connection_->execute(
        "INSERT INTO bucket_leases (bucket, epoch) VALUES " + rows +
        " ON DUPLICATE KEY UPDATE epoch = VALUES(epoch)");
    if (!made) return made.error();
    return true;
  });
}

core::Result<std::optional<std::string>> SqlLeaseStore::instance_of(const std::string& node) {
  Query query = connection_->query(kInstance);
  const core::Result<bool> row = query.bind(std::string_view(node)).step();
  if (!row) return row.error();
  if (!*row) return std::optional<std::string>{};
  return std::optional{std::string(query.text(0))};
}

core::Result<void> SqlLeaseStore::check_run(const NodeRow& node) {
  const auto instance = instance_of(node.name);
  if (!instance) return instance.error();
  if (instance->value_or("") == node.instance) return {};
  return core::Error{core::ErrorKind::Fenced,
                     "another process runs as node " + node.name + ": " + instance->value_or("none")};
}

core::Result<void> SqlLeaseStore::move_fence(const std::string& node) {
  return connection_->query(kMoveFence).bind(std::string_view(node)).run();
}

core::Result<std::optional<std::int64_t>> SqlLeaseStore::fence_of(const std::string& node) {
  Query query = connection_->query(kFence);
  const core::Result<bool> row = query.bind(std::string_view(node)).step();
  if (!row) return row.error();
  if (!*row || query.is_null(0)) return std::optional<std::int64_t>{};
  return std::optional{query.integer(0)};
}

core::Result<std::int64_t> SqlLeaseStore::now_ms() {
  return connection_->now_ms();
}

core::Result<bool> SqlLeaseStore::join(const NodeRow& node, std::string_view expected) {
  bool joined = false;
  const auto done = in_transaction([&](std::int64_t now) -> core::Result<bool> {
    const auto instance = instance_of(node.name);
    if (!instance) return instance.error();
    joined = instance->value_or("") == expected;
    if (!joined) return false;
    {
      Query put = connection_->query(kPutNode);
      put.bind(std::string_view(node.name)).bind(std::string_view(node.instance));
      put.bind(to_string(node.state)).bind(std::int64_t{node.weight});
      put.bind(std::string_view(node.version)).bind(now).bind(node.lease_ms);
      if (auto written = put.run(); !written) return written.error();
    }
    const auto fence = fence_of(node.name);  // One for all its writers, those that an older version did not have among them.
    if (!fence) return fence.error();
    for (const std::string_view writer : kWriters) {
      Query put = connection_->query(kPutWriter);
      put.bind(std::string_view(node.name)).bind(writer).bind(fence->value_or(0) + 1);
      if (auto written = put.run(); !written) return written.error();
    }
    auto renewed = connection_->query(kRenewLeases)
                       .bind(now + node.lease_ms)
                       .bind(std::string_view(node.name))
                       .run();
    if (!renewed) return renewed.error();
    return true;
  });
  if (!done) return done.error();
  return joined;
}

core::Result<void> SqlLeaseStore::read_nodes(ClusterView& view) {
  Query query = connection_->query(kNodes);
  while (true) {
    const core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return {};
    view.nodes.push_back({.name = std::string(query.text(0)),
                          .instance = std::string(query.text(1)),
                          .state = state_from(query.text(2)),
                          .weight = static_cast<std::uint32_t>(query.integer(3)),
                          .version = std::string(query.text(4)),
                          .started_ms = query.integer(5),
                          .seen_ms = query.integer(6),
                          .lease_ms = query.integer(7),
                          .drain_wanted = query.integer(8) != 0});
  }
}

core::Result<void> SqlLeaseStore::read_leases(ClusterView& view) {
  Query query = connection_->query(kLeases);
  while (true) {
    const core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return {};
    view.leases.push_back({.bucket = BucketNo{static_cast<std::uint32_t>(query.integer(0))},
                           .owner = std::string(query.text(1)),
                           .epoch = static_cast<std::uint64_t>(query.integer(2)),
                           .expires_ms = query.integer(3),
                           .taker = std::string(query.text(4)),
                           .cut_ms = query.integer(5),
                           .moved_ms = query.integer(6)});
  }
}

// The clock first: it is not later than what is read after it. The fence and the leases as of one moment, or a fence could be known
// without the loss that moved it.
core::Result<ClusterView> SqlLeaseStore::look(const std::string& node) {
  ClusterView view;
  core::Result<Transaction> transaction = Transaction::read(*connection_);
  if (!transaction) return transaction.error();
  const core::Result<std::int64_t> now = connection_->now_ms();
  if (!now) return now.error();
  view.now_ms = *now;
  const auto fence = fence_of(node);
  if (!fence) return fence.error();
  view.fence = fence->value_or(-1);
  if (auto read = read_nodes(view); !read) return read.error();
  if (auto read = read_leases(view); !read) return read.error();
  if (auto ended = transaction->commit(); !ended) return ended.error();
  return view;
}

core::Result<bool> SqlLeaseStore::renew(const NodeRow& node) {
  bool ours = false;
  const auto done = in_transaction([&](std::int64_t now) -> core::Result<bool> {
    const auto instance = instance_of(node.name);
    if (!instance) return instance.error();
    ours = instance->value_or("") == node.instance;
    if (!ours) return false;
    {
      Query query = connection_->query(kRenewNode);
      query.bind(now).bind(to_string(node.state)).bind(std::int64_t{node.weight});
      query.bind(node.lease_ms).bind(std::string_view(node.name));
      if (auto written = query.run(); !written) return written.error();
    }
    auto renewed = connection_->query(kRenewLeases)
                       .bind(now + node.lease_ms)
                       .bind(std::string_view(node.name))
                       .run();
    if (!renewed) return renewed.error();
    return true;
  });
  if (!done) return done.error();
  return ours;
}

core::Result<std::vector<Taken>> SqlLeaseStore::take(const NodeRow& node,
                                                       const std::vector<BucketNo>& buckets) {
  std::vector<Taken> taken;
  const std::set<BucketNo> wanted(buckets.begin(), buckets.end());
  const auto done = in_transaction([&](std::int64_t now) -> core::Result<bool> {
    taken.clear();
    if (auto ours = check_run(node); !ours) return ours.error();
    std::set<std::string> former;
    std::vector<BucketNo> ours;
    // Each lease runs for as long as its owner has set: while that is changed, host by host, they differ.
    std::map<std::string, std::int64_t> lease_ms;
    {
      Query query = connection_->query(kNodeLeases);
      while (true) {
        const core::Result<bool> row = query.step();
        if (!row) return row.error();
        if (!*row) break;
        lease_ms.emplace(query.text(0), query.integer(1));
      }
    }
    {
      Query query = connection_->query(kFree);
      query.bind(now);
      while (true) {
        const core::Result<bool> row = query.step();
        if (!row) return row.error();
        if (!*row) break;
        const BucketNo bucket{static_cast<std::uint32_t>(query.integer(0))};
        if (!wanted.contains(bucket)) continue;
        const std::string owner(query.text(1));
        const bool expired = !owner.empty();
        if (expired) former.insert(owner);
        const auto known = lease_ms.find(owner);
        const std::int64_t of_owner = known == lease_ms.end() ? node.lease_ms : known->second;
        taken.push_back({.bucket = bucket,
                         .epoch = static_cast<std::uint64_t>(query.integer(2)) + 1,
                         .since_ms = expired ? query.integer(3) - of_owner : query.integer(4),
                         .expired = expired});
        if (expired && query.integer(4) != 0)
          taken.back().since_ms = std::min(taken.back().since_ms, query.integer(4));
        ours.push_back(bucket);
      }
    }
    if (ours.empty()) return false;
    for (const std::string& owner : former) {
      if (auto moved = move_fence(owner); !moved) return moved.error();
    }
    auto written = connection_->execute(
        "UPDATE bucket_leases SET owner = " + quoted(node.name) +
        ", epoch = epoch + 1, expires_at = " + std::to_string(now + node.lease_ms) +
        ", taker = '', cut_at = 0, moved_at = " + std::to_string(now) + " WHERE bucket IN " +
        listed(ours));
    if (!written) return written.error();
    return true;
  });
  if (!done) return done.error();
  return taken;
}

core::Result<void> SqlLeaseStore::announce(const NodeRow& node,
                                             const std::vector<BucketNo>& buckets) {
  if (buckets.empty()) return {};
  return in_transaction([&](std::int64_t) -> core::Result<bool> {
    if (auto ours = check_run(node); !ours) return ours.error();
    auto done = connection_->execute("UPDATE bucket_leases SET taker = " + quoted(node.name) +
                                     " WHERE cut_at = 0 AND bucket IN " + listed(buckets));
    if (!done) return done.error();
    return true;
  });
}

core::Result<void> SqlLeaseStore::set_cut(const NodeRow& node,
                                            const std::vector<BucketNo>& buckets,
                                            std::int64_t cut_ms) {
  if (buckets.empty()) return {};
  return in_transaction([&](std::int64_t) -> core::Result<bool> {
    if (auto ours = check_run(node); !ours) return ours.error();
    auto done = connection_->execute(
        "UPDATE bucket_leases SET cut_at = " + std::to_string(cut_ms) +
        (cut_ms == 0 ? ", taker = ''" : "") + " WHERE owner = " + quoted(node.name) +
        " AND bucket IN " + listed(buckets));
    if (!done) return done.error();
    return true;
  });
}

core::Result<std::int64_t> SqlLeaseStore::release(const NodeRow& node,
                                                    const std::vector<BucketNo>& buckets) {
  std::int64_t fence = -1;
  const auto released = in_transaction([&](std::int64_t now) -> core::Result<bool> {
    if (auto ours = check_run(node); !ours) return ours.error();
    auto done = connection_->execute(
        "UPDATE bucket_leases SET owner = '', expires_at = 0, moved_at = " + std::to_string(now) +
        " WHERE owner = " + quoted(node.name) + " AND bucket IN " + listed(buckets));
    if (!done) return done.error();
    if (auto moved = move_fence(node.name); !moved) return moved.error();
    const auto moved_to = fence_of(node.name);
    if (!moved_to) return moved_to.error();
    fence = moved_to->value_or(-1);
    return true;
  });
  if (!released) return released.error();
  return fence;
}

core::Result<void> SqlLeaseStore::leave(const NodeRow& node) {
  return in_transaction([&](std::int64_t now) -> core::Result<bool> {
    const auto instance = instance_of(node.name);
    if (!instance) return instance.error();
    if (instance->value_or("") != node.instance) return false;
    {
      Query query = connection_->query(kRenewNode);
      query.bind(now).bind(to_string(NodeState::Gone)).bind(std::int64_t{node.weight});
      query.bind(node.lease_ms).bind(std::string_view(node.name));
      if (auto written = query.run(); !written) return written.error();
    }
    auto given = connection_->query(kLeave).bind(std::string_view(node.name)).run();
    if (!given) return given.error();
    if (auto moved = move_fence(node.name); !moved) return moved.error();
    return true;
  });
}

core::Result<void> SqlLeaseStore::ask_to_drain(const std::string& node, bool wanted) {
  return in_transaction([&](std::int64_t) -> core::Result<bool> {
    {
      Query query = connection_->query(kNodeThere);
      const auto row = query.bind(std::string_view(node)).step();
      if (!row) return row.error();
      if (!*row || query.integer(0) == 0)
        return core::Error{core::ErrorKind::NotFound, "there is no node " + node};
    }
    auto done = connection_->query(kDrain)
                    .bind(std::int64_t{wanted ? 1 : 0})
                    .bind(std::string_view(node))
                    .run();
    if (!done) return done.error();
    return true;
  });
}

}  // namespace watchwheel::db
