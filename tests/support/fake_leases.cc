// SPDX-License-Identifier: Apache-2.0
#include "support/fake_leases.h"

#include <algorithm>
#include <utility>

namespace watchwheel::testing {

using core::BucketNo;

FakeLeases::FakeLeases(std::uint32_t buckets, std::function<std::int64_t()> now_ms)
    : now_ms_(std::move(now_ms)), leases_(buckets), writers_(buckets) {
  for (std::uint32_t i = 0; i < buckets; ++i) leases_[i].bucket = BucketNo{i};
}

bool FakeLeases::commit(const std::string& node, std::int64_t fence, BucketNo bucket,
                        std::uint64_t epoch) {
  if (fences_[node] != fence) {
    ++refused_;
    return false;
  }
  ++commits_;
  auto& writers = writers_[bucket.value];
  const auto [known, first] = writers.try_emplace(epoch, node);
  if (known->second != node || writers.rbegin()->first != epoch) ++unlawful_;
  return true;
}

void FakeLeases::part_anew(std::uint32_t buckets) {
  leases_.assign(buckets, {});
  for (std::uint32_t i = 0; i < buckets; ++i) leases_[i].bucket = BucketNo{i};
  for (auto& [name, fence] : fences_) ++fence;
}

core::Error FakeLeaseStore::gone() {
  return {core::ErrorKind::Unavailable, "the fake database is away"};
}

core::Error FakeLeaseStore::another_run() {
  return {core::ErrorKind::Fenced, "another process runs under the node's name"};
}

bool FakeLeases::runs(const db::NodeRow& node) const {
  const auto found = nodes_.find(node.name);
  return found != nodes_.end() && found->second.instance == node.instance;
}

core::Result<void> FakeLeaseStore::set_up(std::uint32_t) {
  const Way there_and_back = way();
  if (away_) return gone();
  return {};
}

core::Result<std::int64_t> FakeLeaseStore::now_ms() {
  const Way there_and_back = way();
  if (away_) return gone();
  return at_.now_ms();
}

core::Result<bool> FakeLeaseStore::join(const db::NodeRow& node, std::string_view expected) {
  const Way there_and_back = way();
  if (away_) return gone();
  const auto found = at_.nodes_.find(node.name);
  if ((found == at_.nodes_.end() ? "" : found->second.instance) != expected) return false;
  db::NodeRow row = node;
  row.started_ms = row.seen_ms = at_.now_ms();
  row.drain_wanted = false;
  at_.nodes_[node.name] = row;
  ++at_.fences_[node.name];
  for (db::LeaseRow& lease : at_.leases_) {
    if (lease.owner == node.name) lease.expires_ms = at_.now_ms() + node.lease_ms;
  }
  return true;
}

core::Result<db::ClusterView> FakeLeaseStore::look(const std::string& node) {
  const Way there_and_back = way();
  if (away_) return gone();
  db::ClusterView view;
  view.now_ms = at_.now_ms();
  const auto fence = at_.fences_.find(node);
  view.fence = fence == at_.fences_.end() ? -1 : fence->second;
  for (const auto& [name, row] : at_.nodes_) view.nodes.push_back(row);
  view.leases = at_.leases_;
  return view;
}

core::Result<bool> FakeLeaseStore::renew(const db::NodeRow& node) {
  const Way there_and_back = way();
  if (away_) return gone();
  db::NodeRow& row = at_.nodes_[node.name];
  if (row.instance != node.instance) return false;
  row.seen_ms = at_.now_ms();
  row.state = node.state;
  row.weight = node.weight;
  for (db::LeaseRow& lease : at_.leases_) {
    if (lease.owner == node.name) lease.expires_ms = at_.now_ms() + node.lease_ms;
  }
  if (lost()) return gone();
  return true;
}

core::Result<std::vector<db::Taken>> FakeLeaseStore::take(const db::NodeRow& node,
                                                          const std::vector<BucketNo>& buckets) {
  const Way there_and_back = way();
  if (away_) return gone();
  if (!at_.runs(node)) return another_run();
  std::vector<db::Taken> taken;
  std::set<std::string> former;
  for (const BucketNo bucket : buckets) {
    db::LeaseRow& lease = at_.leases_[bucket.value];
    const bool expired = !lease.owner.empty();
    if (expired && lease.expires_ms >= at_.now_ms()) continue;
    if (expired) former.insert(lease.owner);
    std::int64_t since =
        expired ? lease.expires_ms - at_.nodes_[lease.owner].lease_ms : lease.cut_ms;
    if (expired && lease.cut_ms != 0) since = std::min(since, lease.cut_ms);
    lease = {.bucket = bucket,
             .owner = node.name,
             .epoch = lease.epoch + 1,
             .expires_ms = at_.now_ms() + node.lease_ms,
             .taker = "",
             .cut_ms = 0,
             .moved_ms = at_.now_ms()};
    ++at_.taken_;
    taken.push_back({bucket, lease.epoch, since, expired});
  }
  for (const std::string& owner : former) ++at_.fences_[owner];
  if (std::exchange(lose_take_, false) || lost()) return gone();
  return taken;
}

core::Result<void> FakeLeaseStore::announce(const db::NodeRow& node,
                                            const std::vector<BucketNo>& buckets) {
  const Way there_and_back = way();
  if (away_) return gone();
  if (!at_.runs(node)) return another_run();
  for (const BucketNo bucket : buckets) {
    if (at_.leases_[bucket.value].cut_ms == 0) at_.leases_[bucket.value].taker = node.name;
  }
  if (lost()) return gone();
  return {};
}

core::Result<void> FakeLeaseStore::set_cut(const db::NodeRow& node,
                                           const std::vector<BucketNo>& buckets,
                                           std::int64_t cut_ms) {
  const Way there_and_back = way();
  if (away_ || refuse_cuts_) return gone();
  if (!at_.runs(node)) return another_run();
  for (const BucketNo bucket : buckets) {
    db::LeaseRow& lease = at_.leases_[bucket.value];
    if (lease.owner != node.name) continue;
    lease.cut_ms = cut_ms;
    if (cut_ms == 0) lease.taker.clear();
  }
  if (lost()) return gone();
  return {};
}

core::Result<std::int64_t> FakeLeaseStore::release(const db::NodeRow& node,
                                                   const std::vector<BucketNo>& buckets) {
  const Way there_and_back = way();
  if (away_) return gone();
  if (!at_.runs(node)) return another_run();
  for (const BucketNo bucket : buckets) {
    db::LeaseRow& lease = at_.leases_[bucket.value];
    if (lease.owner != node.name) continue;
    lease.owner.clear();
    lease.expires_ms = 0;
    lease.moved_ms = at_.now_ms();
  }
  ++at_.fences_[node.name];
  if (lost()) return gone();
  return at_.fences_[node.name];
}

core::Result<void> FakeLeaseStore::leave(const db::NodeRow& node) {
  const Way there_and_back = way();
  if (away_) return gone();
  db::NodeRow& row = at_.nodes_[node.name];
  if (row.instance != node.instance) return {};
  row.state = db::NodeState::Gone;
  ++at_.fences_[node.name];
  for (db::LeaseRow& lease : at_.leases_) {
    if (lease.owner != node.name) continue;
    lease.owner.clear();
    lease.expires_ms = 0;
  }
  return {};
}

core::Result<void> FakeLeaseStore::ask_to_drain(const std::string& node, bool wanted) {
  const Way there_and_back = way();
  if (away_) return gone();
  const auto found = at_.nodes_.find(node);
  if (found == at_.nodes_.end()) return core::Error{core::ErrorKind::NotFound, "no such node"};
  found->second.drain_wanted = wanted;
  return {};
}

}  // namespace watchwheel::testing
