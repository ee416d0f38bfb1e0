// SPDX-License-Identifier: Apache-2.0
// db/lease_store.h - the nodes of a cluster and who holds which bucket, as the database keeps it.
//
// Thread   the cluster's, for every call. Calls block.
// Bounded  a row for each bucket (core::kBucketsMax at most) and one for each node that ever joined.
// Time     leases run on the database's clock, asked at the beginning of each call: an answer that was slow makes a lease end early
//          on our side and late on the others', never the other way round.
// Fails    core::Error. Each call is one transaction, whole or not at all; after Unknown look() tells which. Fenced: another process
//          runs under the node's name, and nothing was done; join(), renew() and leave() say that otherwise.
//
// The fence. Every transaction that writes for our sites adds one to a row of node_writers that is its writer's alone, on the
// condition that its `fence` is what we know. Whoever takes a bucket from a node whose lease ran out, and the node itself when it
// gives one up, moves that number in the same transaction. So of two transactions that disagree about who owns a bucket both
// write one row, and that is what a server's row locks and a cluster's certification can tell apart; a mere reading of the lease
// is not: Galera's nodes do not see each other's locks (ADR 0018).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/buckets.h"
#include "core/result.h"

namespace watchwheel::db {

enum class NodeState : std::uint8_t {
  Active,
  Draining,  // It gives its buckets to the others and takes none.
  Gone,      // It has stopped.
};
[[nodiscard]] std::string_view to_string(NodeState state);

// A node's own row; nobody else writes it, but for drain_wanted.
struct NodeRow {
  std::string name;      // At most 64 of A-Z a-z 0-9 . _ -
  std::string instance;  // One run of one process on one machine.
  NodeState state = NodeState::Active;
  std::uint32_t weight = 1;
  std::string version;
  std::int64_t started_ms = 0;
  std::int64_t seen_ms = 0;  // When it last renewed, on the database's clock.
  std::int64_t lease_ms = 0; // How long what it renewed holds.
  bool drain_wanted = false; // Of an operator.
};

struct LeaseRow {
  core::BucketNo bucket;
  std::string owner;  // "": free.
  std::uint64_t epoch = 0;
  std::int64_t expires_ms = 0;
  std::string taker;        // Has its sites at hand and waits for the owner's word. "": nobody.
  std::int64_t cut_ms = 0;  // The owner starts no check that is due from then on: they are the taker's. 0: no word.
  std::int64_t moved_ms = 0;  // When it last changed hands.
};

struct ClusterView {
  std::int64_t now_ms = 0;  // The database's clock.
  std::int64_t fence = -1;  // Ours; -1: we have not joined.
  std::vector<NodeRow> nodes;    // By name.
  std::vector<LeaseRow> leases;  // By bucket, all of them.
};

// A bucket that became ours.
struct Taken {
  core::BucketNo bucket;
  std::uint64_t epoch = 0;
  // Who looked after its sites until when, at the latest: checks due since then are ours to make up for. 0: nobody did.
  std::int64_t since_ms = 0;
  bool expired = false;  // Its owner had not given it up.
};

// A node that was not seen for so long, and did not leave, is taken for gone when the number of buckets is to be another.
inline constexpr std::int64_t kForgottenAfterMs = 3'600'000;

class LeaseStore {
 public:
  virtual ~LeaseStore() = default;

  // Makes the rows of the buckets, if there are none yet. Invalid when there are other than `buckets` and nodes that live by
  // them, or have been seen within kForgottenAfterMs and did not say that they go: all of them may have lost the database for so long.
  // Else their number is changed.
  [[nodiscard]] virtual core::Result<void> set_up(std::uint32_t buckets) = 0;

  [[nodiscard]] virtual core::Result<std::int64_t> now_ms() = 0;  // The database's clock.

  // Writes the node's own row, with a fence that no other run of that name knows. What a run before it held is renewed in its
  // name. `expected`: the instance that is in the row now ("": none); nothing is done, and false, when it is another.
  [[nodiscard]] virtual core::Result<bool> join(const NodeRow& node, std::string_view expected) = 0;

  [[nodiscard]] virtual core::Result<ClusterView> look(const std::string& node) = 0;

  // Renews the node's row and all it holds. False: the row is another run's now, and nothing was done.
  [[nodiscard]] virtual core::Result<bool> renew(const NodeRow& node) = 0;

  // Of these the ones that are free, or whose lease has run out. Ends what was agreed on for them.
  [[nodiscard]] virtual core::Result<std::vector<Taken>> take(
      const NodeRow& node, const std::vector<core::BucketNo>& buckets) = 0;
  // Says that the node has these at hand; only where nobody's word (cut) is given yet.
  [[nodiscard]] virtual core::Result<void> announce(const NodeRow& node,
                                                    const std::vector<core::BucketNo>& buckets) = 0;
  // The owner's word: from `cut_ms` on the checks are the taker's. 0: taken back. Only of what it owns.
  [[nodiscard]] virtual core::Result<void> set_cut(const NodeRow& node,
                                                   const std::vector<core::BucketNo>& buckets,
                                                   std::int64_t cut_ms) = 0;
  // Gives up what it owns of these; the taker and the cut stay, so that the taker takes it. Says the node's fence from now on.
  [[nodiscard]] virtual core::Result<std::int64_t> release(
      const NodeRow& node, const std::vector<core::BucketNo>& buckets) = 0;
  // Gives up all, and is gone. Nothing is done when the row is another run's.
  [[nodiscard]] virtual core::Result<void> leave(const NodeRow& node) = 0;

  // An operator's wish, or its end. NotFound: there is no such node.
  [[nodiscard]] virtual core::Result<void> ask_to_drain(const std::string& node, bool wanted) = 0;
};

// Which writes go under which fence; without a table under none.
struct Fencing {
  core::BucketTable* table = nullptr;
  std::string node;
  std::string writer;  // One of kWriters, each used by one object.
  // How long a write that was refused waits until the table knows why, before it is told that the store is away. None where the
  // table is kept by the writer's own thread.
  core::Duration patience{};
};
inline constexpr std::string_view kShardWriter = "shard";
inline constexpr std::string_view kReplayerWriter = "replayer";
inline constexpr std::string_view kProjectorWriter = "projector";
inline constexpr std::string_view kLegacyWriter = "legacy";
inline constexpr std::string_view kWarningsWriter = "warnings";

// What one node does for all of them, the one that has this bucket does.
inline constexpr core::BucketNo kFirstBucket{0};

[[nodiscard]] bool is_node_name(std::string_view name);

}  // namespace watchwheel::db
