// SPDX-License-Identifier: Apache-2.0
// app/cluster_thread.h - runs the member of a cluster on a thread of its own, "cluster".
//
// Owns     the thread. The member given outlives it and is touched by nobody else between start() and stop().
// Thread   start(), begin_leaving(), stop(): the engine's. wake(): any.
// Blocks   in the member's calls of the lease store: a server's answer, at most 4 s for each statement.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "app/cluster_member.h"

namespace watchwheel::app {

class ClusterThread : core::Pinned {
 public:
  ClusterThread(ClusterMember& member, const core::Clock& clock) : member_(member), clock_(clock) {}
  ~ClusterThread() { stop(); }

  void start();
  // There is something to be seen in the database.
  void wake();
  // Our checks are the others' from now on, at the latest after `patience`, when this returns whether they have been told or not. Returns
  // until when some are ours nevertheless (ClusterMember::begin_leaving).
  core::SteadyTime begin_leaving(core::Duration patience);
  // Gives up all leases and joins.
  void stop();

 private:
  void run() noexcept;

  ClusterMember& member_;
  const core::Clock& clock_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable condition_;
  bool woken_ = false;     // The rest: guarded by mutex_.
  bool leaving_ = false;   // Asked for.
  bool told_ = false;      // Done.
  core::SteadyTime leaving_at_ = core::kNoSteadyTime;  // At the latest.
  core::SteadyTime ours_until_ = core::kNoSteadyTime;
  bool stopping_ = false;
};

}  // namespace watchwheel::app
