// SPDX-License-Identifier: Apache-2.0
// app/lane_spread.h - which lane a site belongs to.
//
// The sites of a host belong to one lane, the one of the host's hash, so that its name is resolved
// and cached once. That alone would let one host with a hundred thousand URLs fill one lane while
// the others idle. So the sites of a heavy host (more than kHeavySites) go each to the lane of its
// own id: its name is then resolved in every lane, which beside so many checks is nothing. A URL
// with an address has no name to cache and goes by its id at once.
//
// Which hosts are heavy is counted over the whole list before the first site is sent, so that the
// answer for a site is the same for the whole load, and needs no memory of where each site went. A
// host that becomes heavy later has up to kHeavySites sites that were placed before: is_late() tells
// that, and whoever sends one of them then tells the other lanes to leave it. Nobody moves them for
// the sake of balance: they are too few to matter, and a move could cost a result.
//
// Owns     the counts (1 MiB; none with one lane) and the hosts found heavy.
// Thread   the feeder's.
// Bounded  counts are a count-min sketch, which never counts too few: at 16 million sites a few light
//          hosts may pass for heavy, which does no harm. kHeavyHostsMax hosts; those beyond stay in
//          the lane of their host.
// Cost     O(length of the URL).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/ids.h"

namespace watchwheel::app {

// The part of a URL that names the host, lower case, without the dot that may end it; for spreading
// only: what is no URL gives some text, always the same.
[[nodiscard]] std::string host_of(std::string_view url);

class LaneSpread {
 public:
  static constexpr std::size_t kHeavySites = 256;
  static constexpr std::size_t kHeavyHostsMax = 65'536;

  explicit LaneSpread(std::size_t lanes);

  // One more site of the list. Each is counted once.
  void count(std::string_view url);
  // The list has been counted, and sites are sent from now on: a host that becomes heavy now is late.
  void begin();

  [[nodiscard]] std::size_t lane_of(std::string_view url, core::SiteId site) const;
  // The host became heavy after some of its sites may have been sent elsewhere.
  [[nodiscard]] bool is_late(std::string_view url) const;

  [[nodiscard]] std::size_t lanes() const { return lanes_; }
  [[nodiscard]] std::size_t heavy_hosts() const { return heavy_.size(); }

 private:
  [[nodiscard]] std::uint16_t raise(std::uint64_t host);

  const std::size_t lanes_;
  std::vector<std::uint16_t> counts_;        // kRows of them, one after the other.
  std::unordered_set<std::uint64_t> heavy_;  // Hashes of hosts; the late ones among them.
  std::unordered_set<std::uint64_t> late_;
  bool begun_ = false;
};

}  // namespace watchwheel::app
