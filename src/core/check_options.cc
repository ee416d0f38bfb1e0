// SPDX-License-Identifier: Apache-2.0
#include "core/check_options.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/ensure.h"
#include "core/units.h"

namespace watchwheel::core {
namespace {

constexpr std::size_t kHeadersMax = 32;
constexpr std::size_t kHeaderBytesMax = 4096;
constexpr std::size_t kBodyBytesMax = 64 * 1024;
constexpr std::size_t kStatusRangesMax = 16;
constexpr std::size_t kPhraseBytesMax = 1024;
constexpr std::size_t kPhrasesMax = 16;
constexpr std::size_t kExpressionsMax = 8;
constexpr std::size_t kResolversMax = 8;
constexpr std::size_t kAllowMax = 64;
constexpr std::size_t kUserAgentBytesMax = 256;
constexpr std::size_t kPathBytesMax = 4096;
constexpr std::size_t kUserBytesMax = 256;
constexpr std::size_t kMethodBytesMax = 16;
constexpr std::uint64_t kBodyReadMax = 64ULL * 1024 * 1024;
constexpr Duration kTimeoutMin = 100ms;
constexpr Duration kTimeoutMax = 5min;

// In the order of the enumerations.
constexpr std::array<std::string_view, 3> kRedirects{"follow", "none", "same-host"};
constexpr std::array<std::string_view, 3> kFamilies{"any", "4", "6"};
constexpr std::array<std::string_view, kPriorityCount> kPriorities{"high", "normal", "low"};
constexpr std::array<std::string_view, 4> kTlsVersions{"1.0", "1.1", "1.2", "1.3"};
constexpr std::array<std::string_view, 3> kHttpVersions{"1.0", "1.1", "2"};
constexpr std::array<std::string_view, 2> kExchanges{"auto", "curl"};
// Set by the engine from what is really sent; another value would break the framing of our own
// request.
constexpr std::array<std::string_view, 7> kOwnHeaders{
    "connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"};

Error invalid(std::string message) {
  return Error{ErrorKind::Invalid, std::move(message)};
}

// A text from outside, made fit to be shown: short, and without control characters.
std::string quoted(std::string_view text) {
  constexpr std::size_t kShownMax = 60;
  std::string shown = "\"";
  for (const char c : text.substr(0, kShownMax))
    shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  if (text.size() > kShownMax) shown += "...";
  return shown + "\"";
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The lines of a repeatable option. Empty lines are skipped, so that an empty text clears the
// option.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!trimmed(line).empty()) lines.push_back(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

bool is_token_char(char c) {
  const bool alphanumeric =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// Fit for a header's value: no control characters but the tab. Bytes above 127 pass, as RFC 9110's
// obs-text.
bool is_field_text(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

template <typename Number>
bool whole_number(std::string_view text, Number& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc{} && end == text.data() + text.size();
}

Result<void> set_duration(Duration& into, std::string_view text, Duration least, Duration most,
                          bool zero_too) {
  const Result<Duration> parsed = parse_duration(text);
  if (!parsed) return parsed.error();
  if (zero_too && *parsed == Duration::zero()) {
    into = Duration::zero();
    return {};
  }
  if (*parsed < least || *parsed > most) {
    return invalid(quoted(text) + " is out of range: from " + format_duration(least) + " to " +
                   format_duration(most) + (zero_too ? ", or 0 for none" : ""));
  }
  into = *parsed;
  return {};
}

Result<void> set_bool(bool& into, std::string_view text) {
  if (text != "true" && text != "false")
    return invalid(quoted(text) + " is neither true nor false");
  into = text == "true";
  return {};
}

template <typename Enum, std::size_t N>
Result<void> set_enum(Enum& into, std::string_view text,
                      const std::array<std::string_view, N>& names) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) {
    std::string list;
    for (const std::string_view name : names)
      list += (list.empty() ? "" : ", ") + std::string(name);
    return invalid(quoted(text) + " is not one of " + list);
  }
  into = static_cast<Enum>(found - names.begin());
  return {};
}

Result<void> set_text(std::string& into, std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max)
    return invalid("too long: at most " + std::to_string(bytes_max) + " bytes");
  if (text.find('\0') != std::string_view::npos) return invalid("must not contain a zero byte");
  into = text;
  return {};
}

Result<void> set_method(CheckOptions& options, std::string_view text) {
  const bool fits = !text.empty() && text.size() <= kMethodBytesMax &&
                    std::all_of(text.begin(), text.end(),
                                [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; });
  if (!fits)
    return invalid(quoted(text) +
                   " is not a method: write it in capitals, such as GET, HEAD or POST");
  if (text == "CONNECT")
    return invalid("CONNECT asks for a tunnel, not for a page: use GET, HEAD or POST");
  options.method = text;
  return {};
}

Result<Header> parse_header(std::string_view line) {
  const auto colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || name.empty() ||
      !std::all_of(name.begin(), name.end(), is_token_char)) {
    return invalid(quoted(line) + " is not a header: write it as \"Name: value\"");
  }
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!is_field_text(value))
    return invalid("the value of header " + std::string(name) + " has control characters");
  if (line.size() > kHeaderBytesMax) {
    return invalid("header " + quoted(name) + " is too long: at most " +
                   std::to_string(kHeaderBytesMax) + " bytes");
  }
  if (std::find(kOwnHeaders.begin(), kOwnHeaders.end(), lower(name)) != kOwnHeaders.end()) {
    return invalid("header " + std::string(name) + " is set by the engine and cannot be chosen");
  }
  return Header{std::string(name), std::string(value)};
}

Result<void> set_headers(CheckOptions& options, std::string_view text) {
  std::vector<Header> headers;
  for (const std::string_view line : lines_of(text)) {
    Result<Header> header = parse_header(line);
    if (!header) return header.error();
    headers.push_back(std::move(header).value());
  }
  if (headers.size() > kHeadersMax)
    return invalid("too many headers: at most " + std::to_string(kHeadersMax));
  options.headers = std::move(headers);
  return {};
}

// "200" or "200-399".
bool parse_status_range(std::string_view text, StatusRange& range) {
  const auto dash = text.find('-');
  if (!whole_number(trimmed(text.substr(0, dash)), range.first)) return false;
  range.last = range.first;
  if (dash != std::string_view::npos && !whole_number(trimmed(text.substr(dash + 1)), range.last))
    return false;
  return range.first >= 100 && range.first <= range.last && range.last <= 999;
}

Result<void> set_expect_status(CheckOptions& options, std::string_view text) {
  std::vector<StatusRange> ranges;
  std::string_view rest = text;
  for (;;) {
    const auto comma = rest.find(',');
    StatusRange range;
    if (!parse_status_range(trimmed(rest.substr(0, comma)), range)) {
      return invalid(
          quoted(text) +
          " is not a list of status codes: write codes and ranges from 100 to 999, such as "
          "200-299,301");
    }
    ranges.push_back(range);
    if (ranges.size() > kStatusRangesMax) {
      return invalid("too many status ranges: at most " + std::to_string(kStatusRangesMax));
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  options.expect_status = std::move(ranges);
  return {};
}

Result<void> set_phrases(std::vector<std::string>& into, std::string_view text,
                         std::size_t phrases_max) {
  std::vector<std::string> phrases;
  for (const std::string_view line : lines_of(text)) {
    std::string phrase;
    if (Result<void> fits = set_text(phrase, line, kPhraseBytesMax); !fits) return fits;
    phrases.push_back(std::move(phrase));
  }
  if (phrases.size() > phrases_max)
    return invalid("too many: at most " + std::to_string(phrases_max));
  into = std::move(phrases);
  return {};
}

// What they mean is checked by who reads bodies; here only that they can have a meaning.
Result<void> set_json_equals(CheckOptions& options, std::string_view text) {
  std::vector<std::string> lines;
  if (Result<void> fits = set_phrases(lines, text, kPhrasesMax); !fits) return fits;
  for (const std::string& line : lines) {
    const auto sign = line.find(" == ");
    if (sign == std::string::npos || (sign > 0 && line.front() != '/')) {
      return invalid(
          quoted(line) +
          " is no comparison: write it as \"/pointer == value\", such as /status == \"ok\"");
    }
  }
  options.json_equals = std::move(lines);
  return {};
}

Result<void> set_expect_header(CheckOptions& options, std::string_view text) {
  std::vector<std::string> lines;
  if (Result<void> fits = set_phrases(lines, text, kPhrasesMax); !fits) return fits;
  for (const std::string& line : lines) {
    std::string_view name = trimmed(line);
    if (name.starts_with('!')) name.remove_prefix(1);
    name = name.substr(0, std::min(name.find(':'), name.find(" ~ ")));
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_token_char)) {
      return invalid(quoted(line) +
                     " is no header assertion: write \"Name\", \"!Name\", \"Name: value\" or "
                     "\"Name ~ expression\"");
    }
  }
  options.expect_header = std::move(lines);
  return {};
}

Result<void> set_user_agent(CheckOptions& options, std::string_view text) {
  if (!is_field_text(text)) return invalid("has control characters");
  return set_text(options.user_agent, trimmed(text), kUserAgentBytesMax);
}

// The bytes of an address, IPv4 in the first four. Empty: not an address.
std::vector<std::uint8_t> address_bytes(std::string_view text) {
  const std::string copy(text);  // inet_pton needs the terminator.
  std::vector<std::uint8_t> bytes(16);
  if (copy.find('\0') != std::string::npos) return {};
  if (inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1) return bytes;
  bytes.resize(4);
  if (inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1) return bytes;
  return {};
}

// "IP", "IPv4:PORT", "[IPv6]", "[IPv6]:PORT".
bool is_endpoint(std::string_view text) {
  if (!address_bytes(text).empty()) return true;
  std::string_view host;
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return false;
    host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (address_bytes(host).size() != 16) return false;
    if (port.empty()) return true;
    if (port.front() != ':') return false;
    port.remove_prefix(1);
  } else {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return false;
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (address_bytes(host).size() != 4) return false;
  }
  std::uint16_t number = 0;
  return whole_number(port, number) && number != 0;
}

Result<void> fit_cidr(std::string_view text) {
  const auto slash = text.find('/');
  const std::vector<std::uint8_t> bytes = address_bytes(text.substr(0, slash));
  std::size_t prefix = bytes.size() * 8;
  const bool readable = !bytes.empty() && (slash == std::string_view::npos ||
                                           whole_number(text.substr(slash + 1), prefix));
  if (!readable || prefix > bytes.size() * 8) {
    return invalid(
        quoted(text) +
        " is not a block of addresses: write it as 10.0.0.0/8, 2001:db8::/32 or one address");
  }
  for (std::size_t bit = prefix; bit < bytes.size() * 8; ++bit) {
    const unsigned byte = bytes[bit / 8];
    if (((byte >> (7 - bit % 8)) & 1U) != 0) {
      return invalid(quoted(text) + " has address bits beyond its prefix of " +
                     std::to_string(prefix) + ": clear them");
    }
  }
  return {};
}

Result<void> set_resolvers(CheckOptions& options, std::string_view text) {
  std::vector<std::string> resolvers;
  for (const std::string_view line : lines_of(text)) {
    if (!is_endpoint(trimmed(line))) {
      return invalid(quoted(line) +
                     " is not a resolver: write IP, IP:PORT or [IP]:PORT, such as 192.0.2.53:53");
    }
    resolvers.emplace_back(trimmed(line));
  }
  if (resolvers.size() > kResolversMax)
    return invalid("too many resolvers: at most " + std::to_string(kResolversMax));
  options.resolvers = std::move(resolvers);
  return {};
}

Result<void> set_allow(CheckOptions& options, std::string_view text) {
  std::vector<std::string> blocks;
  for (const std::string_view line : lines_of(text)) {
    if (Result<void> fits = fit_cidr(trimmed(line)); !fits) return fits;
    blocks.emplace_back(trimmed(line));
  }
  if (blocks.size() > kAllowMax)
    return invalid("too many blocks: at most " + std::to_string(kAllowMax));
  options.allow = std::move(blocks);
  return {};
}

Result<void> set_max_redirects(CheckOptions& options, std::string_view text) {
  std::uint16_t number = 0;
  if (!whole_number(text, number) || number > 50)
    return invalid(quoted(text) + " is not a whole number from 0 to 50");
  options.max_redirects = number;
  return {};
}

Result<void> set_body_size(std::uint64_t& into, std::string_view text) {
  const Result<std::uint64_t> bytes = parse_size(text);
  if (!bytes) return bytes.error();
  if (*bytes > kBodyReadMax)
    return invalid(quoted(text) + " is out of range: at most " + format_size(kBodyReadMax));
  into = *bytes;
  return {};
}

// One of `names`, kept as a text.
template <std::size_t N>
Result<void> set_named(std::string& into, std::string_view text,
                       const std::array<std::string_view, N>& names) {
  std::size_t index = 0;
  if (Result<void> fits = set_enum(index, text, names); !fits) return fits;
  into = text;
  return {};
}

struct Option {
  std::string_view name;
  Result<void> (*set)(CheckOptions&, std::string_view);
  bool repeatable = false;
};

// In the order of documentation.
constexpr std::array<Option, 36> kOptions{{
    {"method", set_method},
    {"header", set_headers, true},
    {"body",
     [](CheckOptions& o, std::string_view t) { return set_text(o.body, t, kBodyBytesMax); }},
    {"expect_status", set_expect_status},
    {"keyword",
     [](CheckOptions& o, std::string_view t) { return set_phrases(o.keyword, t, kPhrasesMax); },
     true},
    {"forbidden",
     [](CheckOptions& o, std::string_view t) { return set_phrases(o.forbidden, t, kPhrasesMax); },
     true},
    {"ignore_case", [](CheckOptions& o, std::string_view t) { return set_bool(o.ignore_case, t); }},
    {"body_match",
     [](CheckOptions& o, std::string_view t) {
       return set_phrases(o.body_match, t, kExpressionsMax);
     },
     true},
    {"body_not_match",
     [](CheckOptions& o, std::string_view t) {
       return set_phrases(o.body_not_match, t, kExpressionsMax);
     },
     true},
    {"json_equals", set_json_equals, true},
    {"expect_header", set_expect_header, true},
    {"size_min",
     [](CheckOptions& o, std::string_view t) { return set_body_size(o.size_min_bytes, t); }},
    {"size_max",
     [](CheckOptions& o, std::string_view t) { return set_body_size(o.size_max_bytes, t); }},
    {"redirects",
     [](CheckOptions& o, std::string_view t) { return set_enum(o.redirects, t, kRedirects); }},
    {"max_redirects", set_max_redirects},
    {"timeout",
     [](CheckOptions& o, std::string_view t) {
       return set_duration(o.timeout, t, kTimeoutMin, kTimeoutMax, false);
     }},
    {"connect_timeout",
     [](CheckOptions& o, std::string_view t) {
       return set_duration(o.connect_timeout, t, kTimeoutMin, kTimeoutMax, false);
     }},
    {"max_body",
     [](CheckOptions& o, std::string_view t) { return set_body_size(o.max_body_bytes, t); }},
    {"http_version",
     [](CheckOptions& o, std::string_view t) {
       return set_named(o.http_version, t, kHttpVersions);
     }},
    {"exchange",
     [](CheckOptions& o, std::string_view t) { return set_named(o.exchange, t, kExchanges); }},
    {"auth_user",
     [](CheckOptions& o, std::string_view t) {
       if (t.find(':') != std::string_view::npos)
         return Result<void>(invalid("a user's name cannot hold ':' (RFC 7617)"));
       if (!is_field_text(t) || t.find('\t') != std::string_view::npos)
         return Result<void>(invalid("has control characters"));
       return set_text(o.auth_user, t, kUserBytesMax);
     }},
    {"auth_password_file",
     [](CheckOptions& o, std::string_view t) {
       return set_text(o.auth_password_file, t, kPathBytesMax);
     }},
    {"bearer_token_file",
     [](CheckOptions& o, std::string_view t) {
       return set_text(o.bearer_token_file, t, kPathBytesMax);
     }},
    {"tls_verify", [](CheckOptions& o, std::string_view t) { return set_bool(o.tls_verify, t); }},
    {"tls_min",
     [](CheckOptions& o, std::string_view t) { return set_named(o.tls_min, t, kTlsVersions); }},
    {"ca_file",
     [](CheckOptions& o, std::string_view t) { return set_text(o.ca_file, t, kPathBytesMax); }},
    {"client_cert_file",
     [](CheckOptions& o, std::string_view t) {
       return set_text(o.client_cert_file, t, kPathBytesMax);
     }},
    {"client_key_file",
     [](CheckOptions& o, std::string_view t) {
       return set_text(o.client_key_file, t, kPathBytesMax);
     }},
    {"resolver", set_resolvers, true},
    {"ip", [](CheckOptions& o, std::string_view t) { return set_enum(o.ip, t, kFamilies); }},
    {"allow", set_allow, true},
    {"allow_private",
     [](CheckOptions& o, std::string_view t) { return set_bool(o.allow_private, t); }},
    {"detect_error_pages",
     [](CheckOptions& o, std::string_view t) { return set_bool(o.detect_error_pages, t); }},
    {"latency_warning",
     [](CheckOptions& o, std::string_view t) {
       return set_duration(o.latency_warning, t, 1ms, kTimeoutMax, true);
     }},
    {"user_agent", set_user_agent},
    {"priority",
     [](CheckOptions& o, std::string_view t) { return set_enum(o.priority, t, kPriorities); }},
}};

constexpr std::array<std::string_view, kOptions.size()> names_of_options() {
  std::array<std::string_view, kOptions.size()> names{};
  for (std::size_t i = 0; i < kOptions.size(); ++i) names[i] = kOptions[i].name;
  return names;
}

Result<void> check_body_readers(const CheckOptions& options) {
  const std::string reader(body_reader(options));
  if (reader.empty()) return {};
  if (options.method == "HEAD")
    return invalid(reader + ": the answer to HEAD has no body to look in; set method to GET");
  if (options.max_body_bytes == 0)
    return invalid(reader + ": nothing is read of the body, because max_body is 0");
  if (options.size_max_bytes > options.max_body_bytes ||
      options.size_min_bytes > options.max_body_bytes) {
    return invalid(
        std::string(options.size_max_bytes > options.max_body_bytes ? "size_max" : "size_min") +
        ": can never be seen, because only max_body, which is " +
        format_size(options.max_body_bytes) + ", is read");
  }
  if (options.size_max_bytes != 0 && options.size_min_bytes > options.size_max_bytes) {
    return invalid("size_min: " + format_size(options.size_min_bytes) +
                   " is more than size_max, which is " + format_size(options.size_max_bytes));
  }
  return {};
}

Result<void> check_secrets(const CheckOptions& options) {
  if (options.auth_user.empty() != options.auth_password_file.empty()) {
    return invalid(options.auth_user.empty() ? "auth_password_file: whose? Set auth_user too"
                                             : "auth_user: set auth_password_file too");
  }
  if (!options.bearer_token_file.empty() && !options.auth_user.empty())
    return invalid("bearer_token_file: auth_user asks for basic authentication; choose one");
  if (!options.client_key_file.empty() && options.client_cert_file.empty())
    return invalid("client_key_file: set client_cert_file too");
  return {};
}

// Length first, so that no text can look like two.
void put(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}
void put(std::string& out, std::uint64_t number) {
  put(out, std::to_string(number));
}
void put(std::string& out, Duration d) {
  put(out, std::to_string(d.count()));
}
void put(std::string& out, const std::vector<std::string>& texts) {
  put(out, texts.size());
  for (const std::string& text : texts) put(out, text);
}

}  // namespace

const std::vector<std::string_view>& option_names() {
  static constexpr auto kNames = names_of_options();
  static const std::vector<std::string_view> names(kNames.begin(), kNames.end());
  return names;
}

bool is_repeatable_option(std::string_view name) {
  return std::any_of(kOptions.begin(), kOptions.end(), [name](const Option& option) {
    return option.repeatable && option.name == name;
  });
}

Result<void> apply_option(CheckOptions& options, std::string_view name, std::string_view text) {
  for (const Option& option : kOptions) {
    if (option.name != name) continue;
    Result<void> fits = option.set(options, text);
    if (!fits) return invalid(std::string(name) + ": " + fits.error().message);
    return fits;
  }
  std::string list;
  for (const Option& option : kOptions)
    list += (list.empty() ? "" : ", ") + std::string(option.name);
  return invalid(quoted(name) + " is not a check option; there are " + list);
}

Result<CheckOptions> merge_options(const CheckOptions& defaults, const SiteOptions& own) {
  CheckOptions merged = defaults;
  bool connect_timeout_set = false;
  bool latency_warning_set = false;
  for (const auto& [name, text] : own) {
    if (Result<void> fits = apply_option(merged, name, text); !fits) return fits.error();
    connect_timeout_set = connect_timeout_set || name == "connect_timeout";
    latency_warning_set = latency_warning_set || name == "latency_warning";
  }
  // A default gives way to what the site asked for; only two values of its own can contradict each other.
  if (!connect_timeout_set) {
    merged.connect_timeout = std::min(merged.connect_timeout, merged.timeout);
  }
  if (!latency_warning_set && merged.latency_warning >= merged.timeout) {
    merged.latency_warning = Duration::zero();
  }
  if (Result<void> fits = check_consistency(merged); !fits) return fits.error();
  return merged;
}

std::string_view body_reader(const CheckOptions& options) {
  if (!options.keyword.empty()) return "keyword";
  if (!options.forbidden.empty()) return "forbidden";
  if (!options.body_match.empty()) return "body_match";
  if (!options.body_not_match.empty()) return "body_not_match";
  if (!options.json_equals.empty()) return "json_equals";
  if (options.size_min_bytes != 0) return "size_min";
  return options.size_max_bytes != 0 ? "size_max" : "";
}

Result<void> check_consistency(const CheckOptions& options) {
  if (options.connect_timeout > options.timeout) {
    return invalid("connect_timeout: " + format_duration(options.connect_timeout) +
                   " is more than timeout, which is " + format_duration(options.timeout));
  }
  if (options.latency_warning >= options.timeout) {
    return invalid("latency_warning: " + format_duration(options.latency_warning) +
                   " can never be seen, because timeout is " + format_duration(options.timeout));
  }
  if (!options.body.empty() && (options.method == "GET" || options.method == "HEAD")) {
    return invalid("body: a " + options.method + " request carries none; set method to POST");
  }
  if (Result<void> fits = check_body_readers(options); !fits) return fits;
  if (Result<void> fits = check_secrets(options); !fits) return fits;
  if (options.expect_status.empty()) return invalid("expect_status: no status would be accepted");
  return {};
}

std::string fingerprint(const CheckOptions& options) {
  std::string out;
  put(out, options.timeout);
  put(out, options.connect_timeout);
  put(out, options.latency_warning);
  put(out, options.method);
  put(out, options.headers.size());
  for (const Header& header : options.headers) {
    put(out, header.name);
    put(out, header.value);
  }
  put(out, options.body);
  put(out, format_status_ranges(options.expect_status));
  put(out, options.keyword);
  put(out, options.forbidden);
  put(out, options.ignore_case ? "1" : "0");
  put(out, options.body_match);
  put(out, options.body_not_match);
  put(out, options.json_equals);
  put(out, options.expect_header);
  put(out, options.size_min_bytes);
  put(out, options.size_max_bytes);
  put(out, options.http_version);
  put(out, options.exchange);
  put(out, options.auth_user);
  put(out, options.auth_password_file);
  put(out, options.bearer_token_file);
  put(out, to_string(options.redirects));
  put(out, options.max_redirects);
  put(out, options.max_body_bytes);
  put(out, options.user_agent);
  put(out, options.detect_error_pages ? "1" : "0");
  put(out, options.tls_verify ? "1" : "0");
  put(out, options.tls_min);
  put(out, options.ca_file);
  put(out, options.client_cert_file);
  put(out, options.client_key_file);
  put(out, to_string(options.ip));
  put(out, options.resolvers);
  put(out, options.allow);
  put(out, options.allow_private ? "1" : "0");
  put(out, to_string(options.priority));
  return out;
}

std::string_view to_string(Redirects redirects) {
  const auto index = static_cast<std::size_t>(redirects);
  ENSURE(index < kRedirects.size(), "a redirect policy outside its list");
  return kRedirects[index];
}

std::string_view to_string(IpFamily ip) {
  const auto index = static_cast<std::size_t>(ip);
  ENSURE(index < kFamilies.size(), "an address family outside its list");
  return kFamilies[index];
}

std::string_view to_string(Priority priority) {
  const auto index = static_cast<std::size_t>(priority);
  ENSURE(index < kPriorities.size(), "a priority outside its list");
  return kPriorities[index];
}

std::string format_status_ranges(const std::vector<StatusRange>& ranges) {
  std::string text;
  for (const StatusRange& range : ranges) {
    if (!text.empty()) text += ',';
    text += std::to_string(range.first);
    if (range.last != range.first) text += '-' + std::to_string(range.last);
  }
  return text;
}

bool status_expected(const CheckOptions& options, std::uint16_t status) {
  return std::any_of(
      options.expect_status.begin(), options.expect_status.end(),
      [&](const StatusRange& range) { return status >= range.first && status <= range.last; });
}

}  // namespace watchwheel::core
