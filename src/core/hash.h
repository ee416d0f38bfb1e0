// SPDX-License-Identifier: Apache-2.0
// core/hash.h - hashes that are part of our promises: the same on every host, build and version.
//
// Phase, lane, shard and bucket come from these, so they must never change; a golden test holds
// their values. std::hash is free to differ between builds and is not used for any of them.
#pragma once

#include <cstdint>
#include <string_view>

namespace watchwheel::core {

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014; constants of Stafford's variant 13).
constexpr std::uint64_t stable_hash(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

// FNV-1a (Fowler, Noll, Vo), 64 bit, finished by the mixer above because FNV's low bits are weak
// for short texts.
constexpr std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    h ^= static_cast<unsigned char>(c);
    h *= 0x100000001b3ULL;
  }
  return stable_hash(h);
}

}  // namespace watchwheel::core
