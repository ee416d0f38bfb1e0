// SPDX-License-Identifier: Apache-2.0
#include "core/vantage.h"

#include "core/hash.h"

namespace watchwheel::core {
namespace {

std::string_view network_of(std::string_view address) {
  if (address.find(':') == address.npos) return address.substr(0, address.rfind('.'));
  std::size_t end = 0;
  for (int groups = 0; groups < 3; ++groups) {
    const auto colon = address.find(':', end);
    if (colon == address.npos) return address;
    // Zeros are left out from here on.
    if (colon + 1 < address.size() && address[colon + 1] == ':') return address.substr(0, colon);
    end = colon + 1;
  }
  return address.substr(0, end - 1);
}

// As it stands in the URL: for counting, another spelling of the same name may be another cell.
std::string_view zone_of(std::string_view url) {
  if (const auto scheme = url.find("://"); scheme != url.npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  if (const auto user = url.rfind('@'); user != url.npos) url.remove_prefix(user + 1);
  url = url.substr(0, url.find(':'));
  if (url.ends_with('.')) url.remove_suffix(1);
  const auto last = url.rfind('.');
  if (last == url.npos || last == 0) return url;
  const auto before = url.rfind('.', last - 1);
  return before == url.npos ? url : url.substr(before + 1);
}

}  // namespace

std::string_view to_string(VantageState state) {
  switch (state) {
    case VantageState::Healthy:
      return "healthy";
    case VantageState::Doubt:
      return "doubt";
    case VantageState::Fault:
      return "fault";
    case VantageState::MassOutage:
      return "mass_outage";
  }
  return "?";
}

std::string_view to_string(VantageReason reason) {
  switch (reason) {
    case VantageReason::None:
      return "none";
    case VantageReason::Canaries:
      return "canaries";
    case VantageReason::Correlated:
      return "correlated";
    case VantageReason::Resolver:
      return "resolver";
    case VantageReason::Network:
      return "network";
    case VantageReason::Resources:
      return "resources";
  }
  return "?";
}

bool is_low_level(Cause cause) {
  if (outcome_of(cause) != Outcome::Down) return false;
  switch (cause) {
    // A server has answered and what it said is wrong.
    case Cause::HttpStatus:
    case Cause::RedirectTooMany:
    case Cause::RedirectRefused:
    case Cause::RedirectInvalid:
    case Cause::BodyMalformed:
    case Cause::KeywordMissing:
    case Cause::KeywordForbidden:
    case Cause::ContentErrorPage:
    case Cause::ContentJson:
    case Cause::ContentHeader:
    case Cause::ContentSize:
      return false;
    default:
      return true;
  }
}

std::size_t vantage_cell(std::string_view address, std::string_view url) {
  return stable_hash(address.empty() ? zone_of(url) : network_of(address)) % kVantageCells;
}

void VantageGate::publish(const Reading& reading) {
  cleared_.store(reading.cleared.time_since_epoch().count(), std::memory_order_relaxed);
  blind_until_.store(reading.blind_until.time_since_epoch().count(), std::memory_order_relaxed);
  group_ms_.store(to_unix_ms(reading.group), std::memory_order_relaxed);
  const auto both = static_cast<unsigned>(reading.state) | static_cast<unsigned>(reading.reason)
                                                               << 8U;
  state_.store(static_cast<std::uint16_t>(both), std::memory_order_release);
}

VantageGate::Reading VantageGate::read() const {
  const unsigned both = state_.load(std::memory_order_acquire);
  return {.state = static_cast<VantageState>(both & 0xffU),
          .reason = static_cast<VantageReason>(both >> 8U),
          .cleared = SteadyTime{Duration{cleared_.load(std::memory_order_relaxed)}},
          .blind_until = SteadyTime{Duration{blind_until_.load(std::memory_order_relaxed)}},
          .group = from_unix_ms(group_ms_.load(std::memory_order_relaxed))};
}

}  // namespace watchwheel::core
