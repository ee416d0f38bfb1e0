// SPDX-License-Identifier: Apache-2.0
#include "app/lane_spread.h"

#include <algorithm>
#include <array>

#include "core/ensure.h"
#include "core/hash.h"

namespace watchwheel::app {
namespace {

// Two rows of so many counts: at 4 million hosts with a site each, the chance that one of them seems to have 256 is none to speak
// of; at 16 million a count is 60 too high in the mean.
constexpr std::size_t kRows = 2;
constexpr std::size_t kCounts = std::size_t{1} << 18U;
// So that a site's lane says nothing about its phase, which comes from the plain hash of its id.
constexpr std::uint64_t kOwnHash = 0x6c616e65;

bool is_address(std::string_view host) {
  if (host.starts_with('[')) return true;
  return std::all_of(host.begin(), host.end(),
                     [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

}  // namespace

std::string host_of(std::string_view url) {
  if (const auto scheme = url.find("://"); scheme != std::string_view::npos)
    url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  if (const auto at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  if (url.starts_with('[')) {
    url = url.substr(0, url.find(']'));
  } else {
    url = url.substr(0, url.find(':'));
    if (url.ends_with('.')) url.remove_suffix(1);
  }
  std::string host(url);
  std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  return host;
}

LaneSpread::LaneSpread(std::size_t lanes) : lanes_(lanes) {
  ENSURE(lanes > 0, "sites are spread over at least one lane");
  if (lanes > 1) counts_.resize(kRows * kCounts);
}

void LaneSpread::begin() {
  begun_ = true;
}

void LaneSpread::count(std::string_view url) {
  if (lanes_ == 1) return;
  const std::string host = host_of(url);
  if (is_address(host)) return;
  const std::uint64_t hash = core::stable_hash(host);
  if (raise(hash) <= kHeavySites || heavy_.size() >= kHeavyHostsMax) return;
  if (heavy_.insert(hash).second && begun_) late_.insert(hash);
}

// Only the smallest of a host's counts are raised (Estan and Varghese 2002): the others are too high already. Returns the new one.
std::uint16_t LaneSpread::raise(std::uint64_t host) {
  std::array<std::uint16_t*, kRows> seats{};
  std::uint16_t least = UINT16_MAX;
  for (std::size_t row = 0; row < kRows; ++row) {
    seats[row] = &counts_[row * kCounts + (host >> (row * 32)) % kCounts];
    least = std::min(least, *seats[row]);
  }
  if (least == UINT16_MAX) return least;
  for (std::uint16_t* seat : seats) {
    if (*seat == least) ++*seat;
  }
  return static_cast<std::uint16_t>(least + 1);
}

std::size_t LaneSpread::lane_of(std::string_view url, core::SiteId site) const {
  if (lanes_ == 1) return 0;
  const std::string host = host_of(url);
  const std::uint64_t hash = core::stable_hash(host);
  const bool by_itself = is_address(host) || heavy_.contains(hash);
  return static_cast<std::size_t>((by_itself ? core::stable_hash(site.value ^ kOwnHash) : hash) %
                                  lanes_);
}

bool LaneSpread::is_late(std::string_view url) const {
  return !late_.empty() && late_.contains(core::stable_hash(host_of(url)));
}

}  // namespace watchwheel::app
