// SPDX-License-Identifier: Apache-2.0
// app/lane_ports.h - what goes into a lane and out of it: the rings and mailboxes that app owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/buckets.h"
#include "core/check_options.h"
#include "core/mailbox.h"
#include "core/ring.h"
#include "core/site.h"
#include "core/site_facts.h"
#include "core/vantage.h"

namespace watchwheel::app {

// What may change while a lane runs. Immutable once sent.
struct LaneTuning {
  core::ConfirmPolicy confirm;
  core::Duration projection_interval = std::chrono::minutes{15};
  bool rollups = false;  // Response times are counted and projected.
  // A lane of no more sites projects them by the hour too. Hours of a million sites are 24 million rows a day.
  std::size_t hourly_sites_max = 0;
  std::vector<std::string> resolvers{};  // Of all sites that have none of their own.
};

// feeder -> lane. A value.
struct LaneMessage {
  enum class Kind : std::uint8_t {
    Nothing,
    Put,     // Watch this site from now on, or as it is from now on (paused included).
    Remove,  // It is gone from the site list: stop, and end what is open.
    Leave,   // It belongs to another lane now: stop, and say nothing.
    Tune,    // New tuning.
    Loaded,  // All sites known at start have been sent.
  };
  Kind kind = Kind::Nothing;
  core::SiteId id;
  std::string url;
  core::Duration interval{};
  bool active = true;
  std::string problem;  // Why it cannot be asked at all; "": it can.
  std::shared_ptr<const core::CheckOptions>
      options;  // Interned by the feeder: one object for each distinct set.
  std::optional<core::OpenEvent> open_event;
  core::WallTime last_checked_at = core::kNoWallTime;
  // Its bucket has just become ours, and this was read after that: an open event that the lane does not know is another host's.
  bool taken = false;
  // Until when somebody else looked after it: what is due from then on is ours. kNoSteadyTime: nobody did.
  core::SteadyTime from = core::kNoSteadyTime;
  std::shared_ptr<const LaneTuning> tuning;
};

using ShardMailbox = core::Mailbox<core::FactsKey, core::SiteFacts>;

// One side-effect shard, as a lane sees it.
struct ShardPort {
  ShardMailbox* mailbox = nullptr;  // Never full: one seat for each site of a lane, the newest facts in it.
  std::function<void()> wake;       // After a post that found the mailbox empty.
};

struct LanePorts {
  // Full: the feeder waits, it has nothing else to do.
  core::SpscRing<LaneMessage>* inbox = nullptr;
  // One for each shard. Full: the shard keeps the note and offers it again before it takes more
  // facts.
  std::vector<core::SpscRing<core::SiteNote>*> notes;
  std::vector<ShardPort> shards;
  // Full: refuse; the lane keeps the mark's due time in the site's row and offers it at the site's
  // next check. Late, not lost.
  core::SpscRing<core::FreshnessMark>* marks = nullptr;
  // Whether failures are ours, as the vantage's thread judges. Null: they never are.
  const core::VantageGate* vantage = nullptr;
  // Which sites are ours, where several hosts share them. Null: all are.
  core::BucketTable* buckets = nullptr;
};

}  // namespace watchwheel::app
