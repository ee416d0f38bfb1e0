// SPDX-License-Identifier: Apache-2.0
// checker/target.h - what a URL asks us to contact: scheme, host, port, path; and where a redirect leads.
//
// Values and pure functions; any thread. URLs are read by libcurl's own parser, so that what we look up, guard and connect to
// is what libcurl speaks to afterwards: two parsers that disagree are how address guards are passed. Only what nobody reads
// differently (a name, a port, a path of plain characters) is read by ourselves, and a test holds that against libcurl.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "checker/address.h"
#include "core/result.h"

namespace watchwheel::checker {

struct Target {
  bool tls = false;
  // Lower case, IDNA encoded, no trailing dot, no brackets. Of an address: its plain text.
  std::string host;
  // Set when the host is an address: nothing is to be resolved.
  std::optional<IpAddress> literal;
  // Never 0 in a parsed target.
  std::uint16_t port = 0;
  // Path and query as they go on the wire: begins with '/', printable ASCII only.
  std::string path = "/";
  // Decoded. Empty when the URL has none.
  std::string user;
  std::string password;

  // Without credentials and fragment; the scheme's own port is left out. With the query: for requests, not for logs.
  [[nodiscard]] std::string url() const;
  // "example.com", "example.com:8080", "[2001:db8::1]:8443".
  [[nodiscard]] std::string host_header() const;
  // The same scheme, host and port: whoever may see credentials for one may see them for the other.
  [[nodiscard]] bool same_origin(const Target& other) const;

  friend bool operator==(const Target&, const Target&) = default;
};

inline constexpr std::size_t kUrlBytesMax = 2048;
inline constexpr std::size_t kLocationBytesMax = 8192;  // Redirects of sign-on services are long.

// Invalid, saying what would be right: no http:// or https://, no host, a host that is no name and no address, a zone id, port 0,
// control characters or spaces, more than kUrlBytesMax. Messages never hold credentials or the query.
//
// Every spelling of an IPv4 address that a C library would accept (127.1, 0x7f000001, 0177.0.0.1) becomes the address. Names
// outside ASCII are UTF-8 and are encoded by IDNA 2008 (libidn2 through libcurl).
[[nodiscard]] core::Result<Target> parse_target(std::string_view url);

// Where the header "Location: `location`", seen in the answer for `base`, leads: absolute and relative forms; the fragment is
// dropped, and so are credentials in it (a redirect may not choose whom we log in as). The credentials of `base` stay only
// within its origin. Spaces inside are encoded, as browsers do. Invalid as above, and for schemes other than http and https.
[[nodiscard]] core::Result<Target> follow(const Target& base, std::string_view location);

// `url` as logs and details may show it: no credentials, query or fragment; control characters and bytes outside ASCII become
// '?'; at most 256 bytes. Of text that is no URL, whatever might be a password is left out.
[[nodiscard]] std::string url_without_secrets(std::string_view url);

}  // namespace watchwheel::checker
