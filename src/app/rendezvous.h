// SPDX-License-Identifier: Apache-2.0
// app/rendezvous.h - which node should own a bucket. Pure: every node that sees the same nodes comes to the same answer.
//
// Each node draws a number for each bucket, from its name and the bucket's number alone, raised by its weight; the highest wins.
// So a node that joins takes its share from all the others and nothing else moves, and of one that leaves only what it had.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/buckets.h"

namespace watchwheel::app {

struct Candidate {
  std::string name;
  std::uint32_t weight = 1;  // Above 0.
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

// Of each bucket the index of the candidate that should own it; empty when there is none. Of equal numbers the first name wins.
[[nodiscard]] std::vector<std::size_t> wanted_owners(const std::vector<Candidate>& candidates,
                                                     std::uint32_t buckets);

}  // namespace watchwheel::app
