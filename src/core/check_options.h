// SPDX-License-Identifier: Apache-2.0
// core/check_options.h - how a site is to be checked: the names of the site columns, command-line
// options and TOML keys.
//
// CheckOptions is complete (every value defaulted); SiteOptions holds what one site sets for itself
// and wins over the configuration's defaults. Both are values. Texts are checked where they enter
// (apply_option), not where they are used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/result.h"

namespace watchwheel::core {

enum class Redirects : std::uint8_t { Follow, None, SameHost };
enum class IpFamily : std::uint8_t { Any, V4, V6 };
// Who stays on time when not everybody can.
enum class Priority : std::uint8_t { High, Normal, Low };
inline constexpr std::size_t kPriorityCount = 3;

struct StatusRange {
  std::uint16_t first = 200;
  std::uint16_t last = 399;
  friend bool operator==(const StatusRange&, const StatusRange&) = default;
};

struct Header {
  std::string name;
  std::string value;
  friend bool operator==(const Header&, const Header&) = default;
};

struct CheckOptions {
  Duration timeout = 10s;          // The whole check, redirects included. 100 ms to 5 min.
  Duration connect_timeout = 5s;   // Of one hop: all its addresses. At most `timeout`.
  Duration latency_warning{};      // 0: never warn.
  std::string method = "GET";
  std::vector<Header> headers;     // At most 32.
  std::string body;                // At most 64 KiB.
  std::vector<StatusRange> expect_status{StatusRange{}};  // At most 16.
  std::vector<std::string> keyword;    // Texts that the body must hold, each of them. At most 16.
  std::vector<std::string> forbidden;  // Texts that it must not hold. At most 16.
  bool ignore_case = false;            // Of keyword and forbidden: A to Z and a to z are the same.
  std::vector<std::string> body_match;      // RE2 expressions that the body must match, each of them. At most 8.
  std::vector<std::string> body_not_match;  // And that it must not match. At most 8.
  std::vector<std::string> json_equals;     // "/pointer == value", the value as JSON (RFC 6901, RFC 8259). At most 16.
  std::vector<std::string> expect_header;   // "Name", "!Name", "Name: value" or "Name ~ expression". At most 16.
  std::uint64_t size_min_bytes = 0;         // Of the body, decoded. 0: any.
  std::uint64_t size_max_bytes = 0;         // 0: any. Otherwise at most max_body_bytes.
  Redirects redirects = Redirects::Follow;
  std::uint16_t max_redirects = 10;  // At most 50.
  std::uint64_t max_body_bytes = 1024 * 1024;  // 0 to 64 MiB; a body beyond it is cut there, which is no failure.
  std::string user_agent;          // "": the engine's own.
  bool detect_error_pages = true;
  bool tls_verify = true;
  std::string tls_min = "1.2";     // "1.0", "1.1", "1.2", "1.3"
  std::string ca_file;             // "": the system's trust store. Otherwise only this file is trusted.
  // Of the four files below a name without '/' is a systemd credential.
  std::string client_cert_file;    // PEM, the certificate and its chain, for servers that ask. "": none.
  std::string client_key_file;     // PEM. "": in client_cert_file too.
  std::string http_version = "1.1";  // "1.0", "1.1", "2": over https HTTP/2 where the server agrees (ALPN), else 1.1.
  std::string exchange = "auto";     // "auto": HTTP by our own code where it can, "curl": by libcurl always.
  // Basic: both of the first two. Bearer: the third alone. The files hold the secret.
  std::string auth_user;
  std::string auth_password_file;
  std::string bearer_token_file;
  IpFamily ip = IpFamily::Any;
  std::vector<std::string> resolvers;  // "IP" or "IP:PORT" or "[IP]:PORT"; empty: the machine's. At most 8.
  std::vector<std::string> allow;      // CIDRs that the address guard lets through. At most 64.
  Priority priority = Priority::Normal;  // Says nothing about how it is asked: only when, if there is too much to do.
  bool allow_private = false;          // Lets the guard pass private and loopback addresses: the operator's word for this site.

  friend bool operator==(const CheckOptions&, const CheckOptions&) = default;
};

// What one site sets for itself: option names with their texts, each name once, sorted by name.
// Kept as texts because this is what is stored, exported and shown; repeatable options (keyword,
// header …) hold one value a line.
using SiteOptions = std::vector<std::pair<std::string, std::string>>;

// The names a site may set, with '_' ("expect_status"), in the order of documentation.
[[nodiscard]] const std::vector<std::string_view>& option_names();

// The options that may be given several times: header, keyword, forbidden, body_match,
// body_not_match, json_equals, expect_header, resolver, allow.
[[nodiscard]] bool is_repeatable_option(std::string_view name);

// Sets one option from its text. Invalid: unknown name or unfit value; the message says what would
// be right. For repeatable options `text` holds one value a line and replaces what was there; an
// empty text clears it. `options` is unchanged when it is refused.
[[nodiscard]] Result<void> apply_option(CheckOptions& options, std::string_view name, std::string_view text);

// `defaults` with a site's own options on top. Invalid at the first option that does not fit, or
// when the whole is not consistent. A default gives way to what the site asks for: where it sets
// only `timeout`, connect_timeout is lowered to it and a latency_warning that could no longer be
// seen is dropped.
[[nodiscard]] Result<CheckOptions> merge_options(const CheckOptions& defaults, const SiteOptions& own);

// What must hold between options: connect_timeout <= timeout, latency_warning < timeout, no body
// with GET or HEAD, nothing to look for in the body (keyword, body_match, json_equals, size_min …)
// with HEAD or max_body 0, one way to authenticate. The message names the option.
[[nodiscard]] Result<void> check_consistency(const CheckOptions& options);

// The first option, by its name, that looks at the body; "" when none does.
[[nodiscard]] std::string_view body_reader(const CheckOptions& options);

// A stable text of all values, equal exactly when the options are: the key for interning, and a
// hash input.
[[nodiscard]] std::string fingerprint(const CheckOptions& options);

[[nodiscard]] std::string_view to_string(Redirects redirects);
[[nodiscard]] std::string_view to_string(IpFamily ip);
[[nodiscard]] std::string_view to_string(Priority priority);
[[nodiscard]] std::string format_status_ranges(const std::vector<StatusRange>& ranges);
[[nodiscard]] bool status_expected(const CheckOptions& options, std::uint16_t status);

}  // namespace watchwheel::core
