// SPDX-License-Identifier: Apache-2.0
// cases/server_parts.h - the parts of the area "server": one for each kind of server, and what they share.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cases/check_case.h"
#include "support/certs.h"

namespace watchwheel::testing {

[[nodiscard]] std::unique_ptr<CaseArea> nginx_cases();
[[nodiscard]] std::unique_ptr<CaseArea> apache_cases();
[[nodiscard]] std::unique_ptr<CaseArea> haproxy_cases();
[[nodiscard]] std::unique_ptr<CaseArea>
name_server_cases();  // Unbound and Knot, with nginx behind their names.

// Cases on loopback, named "server/" and `name`. What else they expect is set on what comes back.
[[nodiscard]] CheckCase healthy(std::string_view name, std::string url,
                                core::SiteOptions options = {});
[[nodiscard]] CheckCase failing(std::string_view name, std::string url, core::Cause cause,
                                core::Phase phase, core::SiteOptions options = {});
// Down for this status.
[[nodiscard]] CheckCase answers_status(std::string_view name, std::string url, std::uint16_t status,
                                       core::SiteOptions options = {});

// The chain and the key in one file, as servers take it.
void write_server_pem(const Certificate& certificate, const std::string& path);

}  // namespace watchwheel::testing
