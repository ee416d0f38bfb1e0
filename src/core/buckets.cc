// SPDX-License-Identifier: Apache-2.0
#include "core/buckets.h"

#include <string>

#include "core/ensure.h"

namespace watchwheel::core {

BucketTable::BucketTable(std::uint32_t buckets, const Clock& clock, Duration standstill)
    : buckets_(buckets),
      clock_(clock),
      standstill_(standstill),
      all_(std::make_unique<Bucket[]>(buckets)) {
  ENSURE(buckets > 0 && buckets <= kBucketsMax, "the number of buckets is out of its range");
}

BucketTable::Bucket& BucketTable::at(BucketNo bucket) const {
  ENSURE(bucket.value < buckets_, "a bucket beyond their number");
  return all_[bucket.value];
}

bool BucketTable::valid() const {
  return clock_.boot().time_since_epoch().count() < valid_until_.load(std::memory_order_acquire);
}

bool BucketTable::unsure() {
  note_running();
  return !valid() &&
         stood_still_.load(std::memory_order_relaxed) > asked_.load(std::memory_order_relaxed);
}

// What is told last is looked at first: of two threads none misses what the other has noticed.
void BucketTable::note_running() {
  const std::int64_t now = clock_.boot().time_since_epoch().count();
  const std::int64_t before = running_.load(std::memory_order_acquire);
  if (before != 0 && now - before > standstill_.count())
    stood_still_.store(now, std::memory_order_relaxed);
  running_.store(now, std::memory_order_release);
}

Standing BucketTable::standing(SiteId site) const {
  const Bucket& bucket = at(of(site));
  if (bucket.epoch.load(std::memory_order_acquire) != 0) return Standing::Ours;
  return bucket.checks_until.load(std::memory_order_relaxed) == kNoEnd ? Standing::Coming
                                                                       : Standing::Away;
}

Result<std::int64_t> BucketTable::fence() const {
  const std::int64_t fence = fence_.load(std::memory_order_acquire);
  if (fence < 0 || !valid()) {
    return Error{ErrorKind::Unavailable,
                 "the lease may have run out: it was not renewed in time"};
  }
  return fence;
}

Result<std::int64_t> BucketTable::fence_after(std::int64_t fence, Duration patience) const {
  std::unique_lock lock(fence_mutex_);
  fence_changed_.wait_for(lock, patience, [&] {
    return fence_.load(std::memory_order_acquire) != fence;
  });
  return this->fence();
}

void BucketTable::set_fence(std::int64_t fence) {
  {
    const std::lock_guard lock(fence_mutex_);
    fence_.store(fence, std::memory_order_release);
  }
  fence_changed_.notify_all();
}

Error BucketTable::fenced(const char* what) {
  return Error{ErrorKind::Fenced, std::string(what) + ": another node has taken over"};
}

void BucketTable::note_fenced() {
  fenced_.fetch_add(1, std::memory_order_relaxed);
  if (on_fenced_) on_fenced_();
}

void BucketTable::watch(BucketNo bucket) {
  at(bucket).checks_until.store(kNoEnd, std::memory_order_relaxed);
}

void BucketTable::watch_until(BucketNo bucket, SteadyTime end) {
  at(bucket).checks_until.store(end.time_since_epoch().count(), std::memory_order_relaxed);
}

}  // namespace watchwheel::core
