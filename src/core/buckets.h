// SPDX-License-Identifier: Apache-2.0
// core/buckets.h - which bucket a site is in, and what this process may do with each bucket now.
//
// Owns     BucketTable: for each bucket until when its checks are ours to start, the epoch under which we may write for its
//          sites, and how many of its sites the lanes hold; and the fence that every write names.
// Thread   the setters: the cluster's thread. row_added(), row_dropped(): the lanes'. The questions: any. No lock, but for who waits
//          for another fence.
// Bounded  a few words a bucket, taken in the constructor.
// Time     due times are steady; the lease runs on Clock::boot(), which counts a machine's sleep too.
//
// Two rights, not one. *To check*: a bucket's checks are ours from the moment it is handed over to the moment it is handed on,
// and go on when we cannot reach the database: to look twice harms nobody. *To write*: only while a lease holds, and it is the
// database that has the last word (the fence): what is asked here only spares it questions whose answer is known.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "core/result.h"
#include "core/stats.h"

namespace watchwheel::core {

using BucketNo = Id<struct BucketNoTag, std::uint32_t>;

inline constexpr std::uint32_t kBucketHashes = 65536;
inline constexpr std::uint32_t kBucketsMax = 4096;

// The database computes it too (db/mysql_schema.cc), so it is made of what every dialect has. Neighbouring ids fall far apart, as
// evenly as numbers can (40503 is 2^16 divided by the golden ratio). Never to be changed: who owns a site hangs on it.
constexpr std::uint32_t bucket_hash(SiteId site) {
  const std::uint64_t id = site.value;
  return static_cast<std::uint32_t>((((id ^ (id >> 16U) ^ (id >> 32U)) & 65535U) * 40503U) & 65535U);
}
constexpr BucketNo bucket_of(SiteId site, std::uint32_t buckets) {
  return BucketNo{static_cast<std::uint32_t>(std::uint64_t{bucket_hash(site)} * buckets / kBucketHashes)};
}

// The hashes of a bucket's sites: from `first`, below `end`.
struct BucketHashes {
  std::uint32_t first = 0;
  std::uint32_t end = 0;
  friend bool operator==(BucketHashes, BucketHashes) = default;
};
constexpr BucketHashes hashes_of(BucketNo bucket, std::uint32_t buckets) {
  const auto begin = [buckets](std::uint64_t number) {
    return static_cast<std::uint32_t>((number * kBucketHashes + buckets - 1) / buckets);
  };
  return {begin(bucket.value), begin(std::uint64_t{bucket.value} + 1)};
}

// May we write for a site?
enum class Standing : std::uint8_t {
  Ours,    // Under the epoch given with it.
  Coming,  // We check it already; the lease is on its way.
  Away,    // Somebody else's.
};

class BucketTable : Pinned {
 public:
  // `standstill`: a time without a turn of any lane from which on we may have slept past our lease. Long enough that a machine
  // that is only busy never has it: a third of the lease, which is renewed as often and believed in for longer than two.
  BucketTable(std::uint32_t buckets, const Clock& clock,
              Duration standstill = std::chrono::seconds{5});

  [[nodiscard]] std::uint32_t buckets() const { return buckets_; }
  [[nodiscard]] BucketNo of(SiteId site) const { return bucket_of(site, buckets_); }

  // --- Checks.

  // Its sites belong into the lanes: it is ours to check now, or will be in a moment.
  [[nodiscard]] bool watched(BucketNo bucket) const {
    return at(bucket).checks_until.load(std::memory_order_relaxed) == kNoEnd;
  }
  // The check of `site` that is due then is ours to start.
  [[nodiscard]] bool starts(SiteId site, SteadyTime due) const {
    return due.time_since_epoch().count() <
           at(of(site)).checks_until.load(std::memory_order_relaxed);
  }
  // Nothing is to be started: we stood still past the end of our lease, and have not asked since whose the sites are. That we did
  // is noticed by this being asked in every turn of a lane. Where the database is slow, or cannot be asked, the checks go on.
  [[nodiscard]] bool unsure();

  // Of the lanes: a site came into one or left it.
  void row_added(SiteId site) { at(of(site)).rows.fetch_add(1, std::memory_order_relaxed); }
  void row_dropped(SiteId site) { at(of(site)).rows.fetch_sub(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t rows(BucketNo bucket) const {
    return at(bucket).rows.load(std::memory_order_relaxed);
  }

  // --- Writes.

  [[nodiscard]] Standing standing(SiteId site) const;
  // 0: no lease.
  [[nodiscard]] std::uint64_t epoch(BucketNo bucket) const {
    return at(bucket).epoch.load(std::memory_order_acquire);
  }
  // What a write has to name, asked *before* the epochs that it relies on are read. Unavailable: the lease may have run out.
  [[nodiscard]] Result<std::int64_t> fence() const;
  // For who was refused under `fence`: the one that is in force as soon as it is another, or that one still after `patience`.
  [[nodiscard]] Result<std::int64_t> fence_after(std::int64_t fence, Duration patience) const;
  // For Result of a write whose epoch is not the bucket's any more, or whose fence the database did not know.
  [[nodiscard]] static Error fenced(const char* what);
  // The database refused what named our fence: somebody has taken buckets from us. Counted, and the cluster's thread looks.
  void note_fenced();
  [[nodiscard]] std::uint64_t fenced_total() const { return fenced_.load(std::memory_order_relaxed); }

  // --- Of the cluster's thread.

  void watch(BucketNo bucket);                       // Its checks are ours, with no end.
  void watch_until(BucketNo bucket, SteadyTime end);  // kNoSteadyTime: none any more.
  // 0: none. Before set_fence() of the same look at the database, when it takes something away.
  void set_epoch(BucketNo bucket, std::uint64_t epoch) {
    at(bucket).epoch.store(epoch, std::memory_order_release);
  }
  void set_fence(std::int64_t fence);
  // By Clock::boot().
  void set_valid_until(SteadyTime boot) {
    valid_until_.store(boot.time_since_epoch().count(), std::memory_order_release);
  }
  // The database was asked whose the buckets are, from then on (by Clock::boot()): it has answered, or it cannot be asked.
  void set_asked(SteadyTime from) {
    asked_.store(from.time_since_epoch().count(), std::memory_order_relaxed);
  }
  // We run. Whoever calls this after a standstill in which nobody did knows of it.
  void note_running();
  [[nodiscard]] bool valid() const;
  void on_fenced(std::function<void()> call) { on_fenced_ = std::move(call); }  // Before the threads.

 private:
  static constexpr std::int64_t kNoEnd = INT64_MAX;
  struct Bucket {
    std::atomic<std::int64_t> checks_until{0};
    std::atomic<std::uint64_t> epoch{0};
    std::atomic<std::uint32_t> rows{0};
  };
  [[nodiscard]] Bucket& at(BucketNo bucket) const;

  const std::uint32_t buckets_;
  const Clock& clock_;
  const Duration standstill_;
  std::unique_ptr<Bucket[]> all_;
  std::atomic<std::int64_t> fence_{-1};
  mutable std::mutex fence_mutex_;  // Held for nothing but that a change is not missed between a look and a wait.
  mutable std::condition_variable fence_changed_;
  std::atomic<std::int64_t> valid_until_{0};
  std::atomic<std::int64_t> running_{0};  // These three by Clock::boot(). 0: nobody has said so yet.
  std::atomic<std::int64_t> stood_still_{0};  // Until then.
  std::atomic<std::int64_t> asked_{0};
  std::atomic<std::uint64_t> fenced_{0};
  std::function<void()> on_fenced_;
};

}  // namespace watchwheel::core
