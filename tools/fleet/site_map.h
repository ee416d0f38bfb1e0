// SPDX-License-Identifier: Apache-2.0
// fleet/site_map.h - which site is which: number, name, address and URL, there and back.
//
// A value, computed and not stored: a million sites cost nothing here. Site i is named
// `s<i>.<domain>` and lives on address base + i mod addresses, or, spread, on base + i * kStride mod
// a prime: neighbours then live in different networks, and what breaks a run of sites breaks no
// network. Sites below `https` are HTTPS.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include "fleet/config.h"
#include "fleet/units.h"

namespace watchwheel::fleet {

class SiteMap {
 public:
  explicit SiteMap(const Config& config);

  [[nodiscard]] std::uint32_t sites() const noexcept { return sites_; }
  [[nodiscard]] std::uint32_t https() const noexcept { return https_; }
  [[nodiscard]] const std::string& domain() const noexcept { return domain_; }
  [[nodiscard]] bool is_https(std::uint32_t site) const noexcept { return site < https_; }
  [[nodiscard]] std::uint32_t address(std::uint32_t site) const noexcept {
    if (prime_ != 0) return base_ + static_cast<std::uint32_t>(site * kStride % prime_);
    return base_ + site % addresses_;
  }
  [[nodiscard]] bool is_site_address(std::uint32_t address) const noexcept {
    return address >= base_ && address - base_ < (prime_ != 0 ? prime_ : addresses_);
  }

  // The site named `host`: any case, with or without `:port` and a final dot. Leading zeros are
  // refused, so that a site has one name.
  [[nodiscard]] std::optional<std::uint32_t> by_name(std::string_view host) const noexcept;

  // The site that alone lives on `address`; nothing when sites share addresses.
  [[nodiscard]] std::optional<std::uint32_t> by_address(std::uint32_t address) const noexcept;

  // True for the domain itself and every name below it.
  [[nodiscard]] bool is_below_domain(std::string_view name) const noexcept;

  [[nodiscard]] std::string name(std::uint32_t site) const;
  [[nodiscard]] std::string url(std::uint32_t site) const;

  // The ports that URLs carry, once the listeners know theirs.
  void set_ports(std::uint16_t http_port, std::uint16_t https_port) noexcept;

 private:
  static constexpr std::uint64_t kStride = 7'778'743;  // About 0.618 of all there are.

  std::uint32_t sites_;
  std::uint32_t https_;
  std::uint32_t addresses_;
  std::uint32_t base_;
  std::uint32_t prime_ = 0;  // The most addresses above base whose number is prime; 0: not spread.
  std::uint64_t inverse_ = 0;  // Of kStride, modulo prime_.
  std::string domain_;
  std::uint16_t http_port_;
  std::uint16_t https_port_;
};

enum class ListFormat { Csv, Jsonl };

struct SiteList {
  Duration interval{0};    // Of every site; 0 leaves it to the engine's default.
  std::uint32_t from = 0;  // The first site listed.
  ListFormat format = ListFormat::Csv;
};

// Writes the site list for import: url, interval, name. One line a site, a header line for CSV.
void write_site_list(const SiteMap& map, const SiteList& list, std::ostream& out);

}  // namespace watchwheel::fleet
