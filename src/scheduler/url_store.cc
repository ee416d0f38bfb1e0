// SPDX-License-Identifier: Apache-2.0
#include "scheduler/url_store.h"

#include <cstring>

#include "core/ensure.h"

namespace watchwheel::scheduler {
namespace {

std::size_t units_of(std::size_t text_bytes, std::size_t length_bytes, std::size_t unit) {
  return (text_bytes + length_bytes + unit - 1) / unit;
}

}  // namespace

UrlStore::Ref UrlStore::put(std::string_view text) {
  ENSURE(text.size() <= core::kUrlBytesMax, "a URL longer than was allowed in");
  const std::size_t units = units_of(text.size(), kLengthBytes, kUnit);
  const Ref ref = take_room(units);
  const auto length = static_cast<std::uint16_t>(text.size());
  std::memcpy(at(ref), &length, kLengthBytes);
  std::memcpy(at(ref) + kLengthBytes, text.data(), text.size());
  used_ += units * kUnit;
  return ref;
}

void UrlStore::drop(Ref ref) {
  const std::size_t units = units_of(get(ref).size(), kLengthBytes, kUnit);
  std::memcpy(at(ref), &free_[units], sizeof(Ref));
  free_[units] = ref;
  used_ -= units * kUnit;
  wasted_ += units * kUnit;
}

std::string_view UrlStore::get(Ref ref) const {
  std::uint16_t length = 0;
  std::memcpy(&length, at(ref), kLengthBytes);
  return {at(ref) + kLengthBytes, length};
}

std::size_t UrlStore::bytes() const {
  return chunks_.size() * kChunkUnits * kUnit + chunks_.capacity() * sizeof(chunks_[0]) +
         sizeof *this;
}

bool UrlStore::release_chunk() {
  if (!chunks_.empty()) chunks_.pop_back();
  return chunks_.empty();
}

UrlStore::Ref UrlStore::take_room(std::size_t units) {
  if (free_[units] != kNone) {
    const Ref ref = free_[units];
    std::memcpy(&free_[units], at(ref), sizeof(Ref));
    wasted_ -= units * kUnit;
    return ref;
  }
  // A text does not straddle two chunks; the end of the chunk is left, at most 2 KiB of 256.
  if (next_unit_ % kChunkUnits + units > kChunkUnits) {
    const std::size_t left = kChunkUnits - next_unit_ % kChunkUnits;
    wasted_ += left * kUnit;
    next_unit_ += left;
  }
  if (next_unit_ / kChunkUnits >= chunks_.size()) {
    ENSURE(next_unit_ + kChunkUnits < kNone, "more URLs than references can tell apart");
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(kChunkUnits * kUnit));
  }
  const auto ref = static_cast<Ref>(next_unit_);
  next_unit_ += units;
  return ref;
}

}  // namespace watchwheel::scheduler
