// SPDX-License-Identifier: Apache-2.0
// fleet/site_map.h - which site is which: number, name, address and URL, there and back.
//
// A value, computed and not stored: a million sites cost nothing here. Site i is named
// `s<i>.<domain>` and lives on address base + i mod addresses; sites below `https` are HTTPS.
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
    return base_ + site % addresses_;
  }
  [[nodiscard]] bool is_site_address(std::uint32_t address) const noexcept {
    return address >= base_ && address - base_ < addresses_;
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
  std::uint32_t sites_;
  std::uint32_t https_;
  std::uint32_t addresses_;
  std::uint32_t base_;
  std::string domain_;
  std::uint16_t http_port_;
  std::uint16_t https_port_;
};

enum class ListFormat { Csv, Jsonl };

// Writes the site list for import: url, interval, name. One line a site, a header line for CSV.
void write_site_list(const SiteMap& map, Duration interval, ListFormat format, std::ostream& out);

}  // namespace watchwheel::fleet
