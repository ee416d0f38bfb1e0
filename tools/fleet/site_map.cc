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

constexpr std::uint32_t kAddressEnd = 0x7fffffffU;  // 127.255.255.255 is a broadcast.

bool is_prime(std::uint32_t number) noexcept {
  for (std::uint32_t i = 2; i * i <= number; ++i) {
    if (number % i == 0) return false;
  }
  return number > 1;
}

// base^exponent modulo prime; with exponent prime - 2 the inverse of base.
std::uint64_t power(std::uint64_t base, std::uint32_t exponent, std::uint32_t prime) noexcept {
  std::uint64_t result = 1;
  for (base %= prime; exponent > 0; exponent >>= 1U) {
    if ((exponent & 1U) != 0) result = result * base % prime;
    base = base * base % prime;
  }
  return result;
}

}  // namespace

SiteMap::SiteMap(const Config& config)
    : sites_(config.sites),
      https_(config.https),
      addresses_(addresses_in_use(config)),
      base_(config.base),
      domain_(config.domain),
      http_port_(config.http_port),
      https_port_(config.https_port) {
  if (!config.spread) return;
  prime_ = kAddressEnd - base_;
  while (!is_prime(prime_)) --prime_;
  inverse_ = power(kStride, prime_ - 2, prime_);
}

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
  if (prime_ == 0) return address - base_;
  const auto site = static_cast<std::uint32_t>((address - base_) * inverse_ % prime_);
  return site < sites_ ? std::optional(site) : std::nullopt;
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

void write_site_list(const SiteMap& map, const SiteList& list, std::ostream& out) {
  const std::string every = list.interval > Duration{0} ? interval_text(list.interval) : "";
  const std::string json_every = every.empty() ? "" : R"("interval":")" + every + R"(",)";
  if (list.format == ListFormat::Csv) out << "url,interval,name\n";
  for (std::uint32_t site = list.from; site < map.sites(); ++site) {
    // Nothing in these three values ever needs quoting: digits, letters, dots, slashes.
    if (list.format == ListFormat::Csv) {
      out << map.url(site) << ',' << every << ',' << map.name(site) << '\n';
    } else {
      out << R"({"url":")" << map.url(site) << R"(",)" << json_every << R"("name":")"
          << map.name(site) << "\"}\n";
    }
  }
}

}  // namespace watchwheel::fleet
