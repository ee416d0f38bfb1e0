// SPDX-License-Identifier: Apache-2.0
#include "fleet/site_map.h"

#include <ostream>

namespace watchwheel::fleet {
namespace {

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool same_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

// The longest unit that says the duration in whole numbers, so that `60s` stays readable.
std::string interval_text(Duration interval) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(interval).count();
  if (ms % 1000 != 0) return std::to_string(ms) + "ms";
  return std::to_string(ms / 1000) + "s";
}

}  // namespace

SiteMap::SiteMap(const Config& config)
    : sites_(config.sites),
      https_(config.https),
      addresses_(addresses_in_use(config)),
      base_(config.base),
      domain_(config.domain),
      http_port_(config.http_port),
      https_port_(config.https_port) {}

std::optional<std::uint32_t> SiteMap::by_name(std::string_view host) const noexcept {
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos) host = host.substr(0, colon);
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  const std::size_t dot = host.find('.');
  if (dot == std::string_view::npos || dot < 2 || lower(host[0]) != 's') return std::nullopt;
  const std::string_view digits = host.substr(1, dot - 1);
  if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
  const auto number = parse_number(digits, kNoSite - 1);
  if (!number || *number >= sites_) return std::nullopt;
  if (!same_ignoring_case(host.substr(dot + 1), domain_)) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

std::optional<std::uint32_t> SiteMap::by_address(std::uint32_t address) const noexcept {
  if (addresses_ != sites_ || !is_site_address(address)) return std::nullopt;
  return address - base_;
}

bool SiteMap::is_below_domain(std::string_view name) const noexcept {
  if (name.size() < domain_.size()) return false;
  const std::size_t start = name.size() - domain_.size();
  if (!same_ignoring_case(name.substr(start), domain_)) return false;
  return start == 0 || name[start - 1] == '.';
}

std::string SiteMap::name(std::uint32_t site) const {
  return "s" + std::to_string(site) + "." + domain_;
}

std::string SiteMap::url(std::uint32_t site) const {
  const bool tls = is_https(site);
  return (tls ? "https://" : "http://") + name(site) + ":" +
         std::to_string(tls ? https_port_ : http_port_) + "/";
}

void SiteMap::set_ports(std::uint16_t http_port, std::uint16_t https_port) noexcept {
  http_port_ = http_port;
  https_port_ = https_port;
}

void write_site_list(const SiteMap& map, Duration interval, ListFormat format, std::ostream& out) {
  const std::string every = interval_text(interval);
  if (format == ListFormat::Csv) out << "url,interval,name\n";
  for (std::uint32_t site = 0; site < map.sites(); ++site) {
    // Nothing in these three values ever needs quoting: digits, letters, dots, slashes.
    if (format == ListFormat::Csv) {
      out << map.url(site) << ',' << every << ',' << map.name(site) << '\n';
    } else {
      out << R"({"url":")" << map.url(site) << R"(","interval":")" << every << R"(","name":")"
          << map.name(site) << "\"}\n";
    }
  }
}

}  // namespace watchwheel::fleet
