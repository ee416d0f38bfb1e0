// SPDX-License-Identifier: Apache-2.0
#include "app/rendezvous.h"

#include <cmath>

#include "core/hash.h"

namespace watchwheel::app {
namespace {

// From 0 to 1, never either.
double draw(std::uint64_t node, std::uint32_t bucket) {
  const std::uint64_t mixed = core::stable_hash(node ^ core::stable_hash(std::uint64_t{bucket}));
  return (static_cast<double>(mixed >> 11U) + 0.5) / 9007199254740992.0;  // 2^53.
}

}  // namespace

std::vector<std::size_t> wanted_owners(const std::vector<Candidate>& candidates,
                                       std::uint32_t buckets) {
  if (candidates.empty()) return {};
  std::vector<std::uint64_t> seeds;
  for (const Candidate& one : candidates) seeds.push_back(core::stable_hash(one.name));
  std::vector<std::size_t> wanted(buckets, 0);
  for (std::uint32_t bucket = 0; bucket < buckets; ++bucket) {
    double best = -1;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      // -weight / ln(u): of nodes with weights 1 and 2 the second wins twice as often.
      const double score = -static_cast<double>(candidates[i].weight) / std::log(draw(seeds[i], bucket));
      const bool wins = score > best || (score == best && candidates[i].name < candidates[wanted[bucket]].name);
      if (!wins) continue;
      best = score;
      wanted[bucket] = i;
    }
  }
  return wanted;
}

}  // namespace watchwheel::app
