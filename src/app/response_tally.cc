// SPDX-License-Identifier: Apache-2.0
#include "app/response_tally.h"

namespace watchwheel::app {

void ResponseTally::keep(bool wanted) {
  if (!wanted) {
    blocks_.clear();
    blocks_.shrink_to_fit();
  }
  wanted_ = wanted;
}

void ResponseTally::add(core::SiteSlot slot, core::Duration took) {
  if (!wanted_) return;
  const std::size_t block = slot.value / kBlock;
  if (block >= blocks_.size()) blocks_.resize(block + 1);
  if (!blocks_[block]) blocks_[block] = std::make_unique<Block>();
  (*blocks_[block])[slot.value % kBlock].add(took);
  all_.at(core::response_step(took)).add();
}

core::ResponseCounts ResponseTally::of(core::SiteSlot slot) const {
  const std::size_t block = slot.value / kBlock;
  if (block >= blocks_.size() || !blocks_[block]) return {};
  return (*blocks_[block])[slot.value % kBlock];
}

void ResponseTally::clear(core::SiteSlot slot) {
  const std::size_t block = slot.value / kBlock;
  if (block < blocks_.size() && blocks_[block]) (*blocks_[block])[slot.value % kBlock] = {};
}

core::ResponseHistogram ResponseTally::all() const {
  core::ResponseHistogram sum;
  for (std::size_t i = 0; i < all_.size(); ++i) sum.counts.at(i) = all_.at(i).value();
  return sum;
}

std::size_t ResponseTally::bytes() const {
  std::size_t sum = blocks_.capacity() * sizeof(blocks_.front());
  for (const auto& block : blocks_) sum += block ? sizeof(Block) : 0;
  return sum;
}

}  // namespace watchwheel::app
