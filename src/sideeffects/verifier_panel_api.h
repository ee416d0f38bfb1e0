// SPDX-License-Identifier: Apache-2.0
// sideeffects/verifier_panel_api.h - what a shard needs of the verifiers. Implemented in verify, joined by app; each shard has one
// of its own.
//
// Thread   the shard's, for every call. None of them blocks.
// Bounded  ask() refuses when too much waits already.
// Fails    never: whatever happens to a question that was taken, each seat answers it once, or the time for it runs out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/testimony.h"

namespace watchwheel::sideeffects {

struct Seat {
  std::string name;
  std::string region;
  // Those with the same vote as one.
  [[nodiscard]] std::string vantage() const { return region.empty() ? "name " + name : "region " + region; }
};

struct Question {
  std::uint64_t id = 0;  // The asker's own; never given twice.
  core::Subject subject;
  core::SteadyTime deadline = core::kNoSteadyTime;
};

struct SeatAnswer {
  std::uint64_t id = 0;
  std::size_t seat = 0;
  core::Witness witness;
};

class VerifierPanel {
 public:
  enum class Asked : std::uint8_t {
    Taken,
    Full,   // Too much waits: ask again later.
    Bound,  // Nobody else can make this check (core::Basis::Bound).
  };

  virtual ~VerifierPanel() = default;

  [[nodiscard]] virtual const std::vector<Seat>& seats() const = 0;
  // Asks all of them.
  [[nodiscard]] virtual Asked ask(Question question) = 0;
  // The answer is not needed any more.
  virtual void drop(std::uint64_t id) = 0;
  // Appends what has come.
  virtual void take(std::vector<SeatAnswer>& into) = 0;
};

}  // namespace watchwheel::sideeffects
