// SPDX-License-Identifier: Apache-2.0
// support/fake_leases.h - the database of a cluster in memory: its clock, its lease rows, its fences; and what was written under them.
//
// Keeps the contract of db/lease_store.h. Each node has a store of its own, which can be away.
// Thread   one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "db/lease_store.h"

namespace watchwheel::testing {

class FakeLeases {
 public:
  FakeLeases(std::uint32_t buckets, std::function<std::int64_t()> now_ms);

  // What a transaction does that writes for a bucket: true when it was committed. Two laws are kept count of.
  bool commit(const std::string& node, std::int64_t fence, core::BucketNo bucket, std::uint64_t epoch);

  // As LeaseStore::set_up() does with another number.
  void part_anew(std::uint32_t buckets);

  [[nodiscard]] const std::vector<db::LeaseRow>& leases() const { return leases_; }
  [[nodiscard]] std::int64_t now_ms() const { return now_ms_(); }
  // Writes under an epoch that another node had written under, and under one below a bucket's newest.
  [[nodiscard]] std::uint64_t unlawful_writes() const { return unlawful_; }
  [[nodiscard]] std::uint64_t commits() const { return commits_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  [[nodiscard]] std::uint64_t taken() const { return taken_; }  // Changes of ownership.

 private:
  friend class FakeLeaseStore;
  [[nodiscard]] bool runs(const db::NodeRow& node) const;
  std::function<std::int64_t()> now_ms_;
  std::map<std::string, db::NodeRow> nodes_;
  std::map<std::string, std::int64_t> fences_;
  std::vector<db::LeaseRow> leases_;
  std::vector<std::map<std::uint64_t, std::string>> writers_;  // By bucket, by epoch.
  std::uint64_t unlawful_ = 0, commits_ = 0, refused_ = 0, taken_ = 0;
};

class FakeLeaseStore final : public db::LeaseStore {
 public:
  explicit FakeLeaseStore(FakeLeases& at) : at_(at) {}

  void set_away(bool away) { away_ = away; }
  // Called on the way there and on the way back of each call, which takes time.
  void on_the_way(std::function<void()> pass) { pass_ = std::move(pass); }
  // The next call is done and its answer lost.
  void lose_next_answer() { lose_ = true; }
  void lose_next_take() { lose_take_ = true; }
  void refuse_cuts(bool refuse) { refuse_cuts_ = refuse; }

  core::Result<void> set_up(std::uint32_t buckets) override;
  core::Result<std::int64_t> now_ms() override;
  core::Result<bool> join(const db::NodeRow& node, std::string_view expected) override;
  core::Result<db::ClusterView> look(const std::string& node) override;
  core::Result<bool> renew(const db::NodeRow& node) override;
  core::Result<std::vector<db::Taken>> take(const db::NodeRow& node,
                                            const std::vector<core::BucketNo>& buckets) override;
  core::Result<void> announce(const db::NodeRow& node,
                              const std::vector<core::BucketNo>& buckets) override;
  core::Result<void> set_cut(const db::NodeRow& node, const std::vector<core::BucketNo>& buckets,
                             std::int64_t cut_ms) override;
  core::Result<std::int64_t> release(const db::NodeRow& node,
                                     const std::vector<core::BucketNo>& buckets) override;
  core::Result<void> leave(const db::NodeRow& node) override;
  core::Result<void> ask_to_drain(const std::string& node, bool wanted) override;

 private:
  [[nodiscard]] static core::Error gone();
  [[nodiscard]] static core::Error another_run();
  [[nodiscard]] bool lost() { return std::exchange(lose_, false); }
  struct Way {
    explicit Way(const std::function<void()>& given) : pass(given) {
      if (pass) pass();
    }
    ~Way() {
      if (pass) pass();
    }
    const std::function<void()>& pass;
  };
  [[nodiscard]] Way way() const { return Way(pass_); }

  FakeLeases& at_;
  std::function<void()> pass_;
  bool away_ = false;
  bool lose_ = false;
  bool lose_take_ = false;
  bool refuse_cuts_ = false;
};

}  // namespace watchwheel::testing
