// SPDX-License-Identifier: Apache-2.0
// incident_record.h - what is said to a simulated process, and what is written down outside of it: results, attempts, testimony, commits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/site.h"
#include "sideeffects/channel_api.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/message.h"
#include "sideeffects/operator_api.h"

namespace watchwheel::sim {

// What one verifier says when it is asked about `url`; Saw::Silent: nothing, ever.
struct VerifierWord {
  core::Saw saw = core::Saw::Silent;
  core::Duration after = std::chrono::milliseconds{200};
};
using Verifier =
    std::function<VerifierWord(std::size_t seat, std::string_view url, core::SteadyTime now)>;

struct ReceiverWord {
  sideeffects::SendResult result{.outcome = sideeffects::SendOutcome::Delivered, .status = 200};
  core::Duration after = std::chrono::milliseconds{20};
};
using Receiver =
    std::function<ReceiverWord(const sideeffects::Attempt& attempt, core::SteadyTime now)>;

// One result, as it was handed to the lane.
struct Checked {
  core::SteadyTime began;
  core::SteadyTime ended;
  core::WallTime wall;  // When it ended.
  core::Cause cause = core::Cause::Ok;
  int run = 0;        // Of which process.
  bool ours = false;  // The vantage was in a fault when it ended, or it began in one.
};
// One attempt, as the receiver saw it.
struct Sent {
  core::SteadyTime at;
  core::WallTime wall;
  core::SteadyTime answered_at;
  std::string target;
  std::string id;
  std::uint32_t number = 0;
  sideeffects::Message message;
  sideeffects::SendOutcome outcome = sideeffects::SendOutcome::NotSent;
  bool heard = false;  // The process lived to hear the answer.
  int run = 0;
};
struct Testified {
  core::SteadyTime at;
  std::string url;
  std::size_t seat = 0;
  core::Saw saw = core::Saw::Silent;
};
struct Committed {
  core::SteadyTime at;
  core::SiteId site;
  core::WallTime started_at;
  sideeffects::TransitionRecord transition;
};

// What a person asked of an event.
struct AskedAct {
  core::SteadyTime at;
  sideeffects::RequestId request;
  core::EventId event;
  sideeffects::Act act = sideeffects::Act::Comment;
  std::string who;  // Of this request alone.
};

// On whom each site depends, from `at` on.
struct Kinship {
  core::SteadyTime at;
  std::map<std::uint64_t, std::set<std::uint64_t>> parents;
};
// The router asked for parents and their outages.
struct AskedForKin {
  core::SteadyTime at;
  bool answered = false;
};

struct IncidentRecord {
  std::map<std::uint64_t, std::vector<Checked>> checked;  // By site.
  std::vector<Sent> sent;
  std::vector<Testified> testified;
  std::vector<Committed> committed;
  std::vector<AskedAct> acts;
  std::vector<Kinship> kinships;  // In order; before the first nobody has parents.
  std::vector<AskedForKin> asked_for_kin;
  std::vector<std::string> warnings;

  // Of `writes`, which are stored, what was not known yet.
  void note(std::span<const sideeffects::EventWrite> writes, core::SteadyTime now);
};

}  // namespace watchwheel::sim
