// SPDX-License-Identifier: Apache-2.0
// checker/address_guard.h - which addresses a check may connect to.
//
// An engine that asks any URL it is given is a way into the network it stands in. So by default only public unicast addresses
// are asked: no loopback, private, link-local, CGNAT, multicast, reserved or documentation block, nor one of those mapped,
// translated or tunnelled into IPv6 (RFC 6890 and the IANA special-purpose registries). It is applied to the address that the
// socket connects to, by the dialer, so that no spelling, redirect or changed DNS answer gets around it.
// Pure; any thread.
#pragma once

#include <span>
#include <string_view>

#include "checker/address.h"

namespace watchwheel::checker {

struct GuardVerdict {
  bool allowed = false;
  std::string_view reason;  // Why not: "loopback", "private", "link-local" …; static text, empty when allowed.
};

// `allow`: blocks the operator lets through. `allow_private`: the operator's word that this site may be anywhere but
// unspecified, multicast or broadcast.
[[nodiscard]] GuardVerdict guard(const IpAddress& ip, std::span<const Cidr> allow, bool allow_private);

}  // namespace watchwheel::checker
