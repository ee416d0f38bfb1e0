// SPDX-License-Identifier: Apache-2.0
#include "checker/target.h"

#include <curl/curl.h>
#include <locale.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>
#include <vector>

namespace watchwheel::checker {
namespace {

constexpr std::size_t kShownBytesMax = 256;
constexpr std::size_t kNameBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;

core::Error invalid(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_printable_ascii(char c) {
  return c > ' ' && c <= '~';
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool has_control_characters(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
}

bool starts_with_nocase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin(),
                                                    [](char a, char b) { return a == lower(b); });
}

// ---- libcurl's parser

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, UrlDeleter>;

std::optional<std::string> part(const Url& url, CURLUPart what, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), what, &text, flags) != CURLUE_OK) {
    // 7.88 leaves behind the name that libidn2 did not take (the leak sanitizer found it); later versions may free it.
    if (LIBCURL_VERSION_NUM <= 0x075801) curl_free(text);
    return std::nullopt;
  }
  std::string copy = text;
  curl_free(text);
  return copy;
}

// libcurl hands names outside ASCII to libidn2 in the encoding of the locale. A daemon's is "C", and changing the process's own
// would touch every thread; this changes the calling thread's while it lives. C.UTF-8 is built into glibc.
class Utf8Locale {
 public:
  Utf8Locale() : utf8_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (utf8_ != nullptr) before_ = uselocale(utf8_);
  }
  ~Utf8Locale() {
    if (utf8_ == nullptr) return;
    uselocale(before_);
    freelocale(utf8_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t utf8_;
  locale_t before_ = nullptr;
};

// ---- hosts

// One part of an IPv4 address as inet_aton reads it: decimal, 0 octal, 0x hexadecimal.
std::optional<std::uint64_t> loose_number(std::string_view text) {
  int base = 10;
  if (starts_with_nocase(text, "0x")) {
    base = 16;
    text.remove_prefix(2);
    if (text.empty()) return 0;
  } else if (text.size() > 1 && text.front() == '0') {
    base = 8;
    text.remove_prefix(1);
  }
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::vector<std::string_view> labels_of(std::string_view host) {
  std::vector<std::string_view> labels;
  for (;;) {
    const auto dot = host.find('.');
    labels.push_back(host.substr(0, dot));
    if (dot == std::string_view::npos) return labels;
    host.remove_prefix(dot + 1);
  }
}

// No name ends in a number, so a host that does is meant as an IPv4 address.
bool ends_in_number(std::string_view last_label) {
  if (!last_label.empty() && std::all_of(last_label.begin(), last_label.end(), is_digit)) {
    return true;
  }
  return starts_with_nocase(last_label, "0x") && loose_number(last_label).has_value();
}

std::optional<IpAddress> loose_ipv4(const std::vector<std::string_view>& parts) {
  if (parts.size() > 4) return std::nullopt;
  std::uint64_t address = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto number = loose_number(parts[i]);
    if (!number) return std::nullopt;
    const bool last = i + 1 == parts.size();
    // The last part fills all the bytes that are left.
    const std::uint64_t limit = last ? std::uint64_t{1} << (8 * (5 - parts.size())) : 256;
    if (*number >= limit) return std::nullopt;
    address |= last ? *number : *number << (8 * (3 - i));
  }
  IpAddress ip;
  for (std::size_t i = 0; i < 4; ++i) {
    ip.bytes[i] = static_cast<std::uint8_t>((address >> (8 * (3 - i))) & 0xffU);
  }
  return ip;
}

bool is_label(std::string_view label) {
  const auto fits = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  };
  return !label.empty() && label.size() <= kLabelBytesMax &&
         std::all_of(label.begin(), label.end(), fits);
}

core::Result<void> set_host(Target& target, std::string host) {
  std::transform(host.begin(), host.end(), host.begin(), lower);
  if (host.starts_with('[') && host.ends_with(']')) {
    target.literal = parse_ip(std::string_view(host).substr(1, host.size() - 2));
    if (!target.literal || !target.literal->v6) return invalid(host + " is no IPv6 address");
    target.host = to_string(*target.literal);
    return {};
  }
  if (host.ends_with('.')) host.pop_back();
  const auto labels = labels_of(host);
  if (ends_in_number(labels.back())) {
    target.literal = loose_ipv4(labels);
    if (!target.literal) {
      return invalid("the host ends in a number but is no IPv4 address such as 192.0.2.1");
    }
    target.host = to_string(*target.literal);
    return {};
  }
  if (host.size() > kNameBytesMax || !std::all_of(labels.begin(), labels.end(), is_label)) {
    return invalid(
        "the host is no name: labels of letters, digits, '-' and '_', 1 to 63 bytes "
        "each, at most 253 in all");
  }
  target.host = std::move(host);
  return {};
}

core::Result<std::string> ascii_host(const Url& url) {
  const auto raw = part(url, CURLUPART_HOST);
  if (!raw || raw->empty()) return invalid("the URL names no host");
  if (std::all_of(raw->begin(), raw->end(), is_printable_ascii)) return *raw;
  const Utf8Locale utf8;
  auto encoded = part(url, CURLUPART_HOST, CURLU_PUNYCODE);
  if (!encoded || !std::all_of(encoded->begin(), encoded->end(), is_printable_ascii)) {
    return invalid("the host is no international name in UTF-8; write it in its xn-- form");
  }
  return *std::move(encoded);
}

// ---- the rest of a URL

// As it goes on the wire. libcurl has refused control characters; what is outside ASCII is encoded, '%' stays what it was.
std::string on_the_wire(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_printable_ascii(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kHex[byte >> 4U], kHex[byte & 0xfU]};
  }
  return out;
}

core::Result<std::uint16_t> port_of(const Url& url, bool tls) {
  const auto text = part(url, CURLUPART_PORT);
  if (!text) return static_cast<std::uint16_t>(tls ? 443 : 80);
  unsigned port = 0;
  std::from_chars(text->data(), text->data() + text->size(), port);
  if (port == 0 || port > 65535) return invalid("the port must be 1 to 65535");
  return static_cast<std::uint16_t>(port);
}

core::Result<Target> read(const Url& url) {
  Target target;
  const auto scheme = part(url, CURLUPART_SCHEME).value_or("");
  if (scheme != "http" && scheme != "https") {
    return invalid("the scheme must be http or https, not " + url_without_secrets(scheme));
  }
  target.tls = scheme == "https";
  if (part(url, CURLUPART_ZONEID)) {
    return invalid("an address with a zone (%) means something on one machine only; leave it out");
  }
  auto host = ascii_host(url);
  if (!host) return host.error();
  if (auto set = set_host(target, *std::move(host)); !set) return set.error();
  const auto port = port_of(url, target.tls);
  if (!port) return port.error();
  target.port = *port;

  target.path = on_the_wire(part(url, CURLUPART_PATH).value_or("/"));
  if (!target.path.starts_with('/')) target.path.insert(0, "/");
  if (const auto query = part(url, CURLUPART_QUERY)) target.path += "?" + on_the_wire(*query);

  for (const auto& [what, into] :
       {std::pair{CURLUPART_USER, &target.user}, std::pair{CURLUPART_PASSWORD, &target.password}}) {
    if (!part(url, what)) continue;
    auto decoded = part(url, what, CURLU_URLDECODE);
    // libcurl lets DEL pass; RFC 7617 does not.
    if (!decoded || has_control_characters(*decoded))
      return invalid("the credentials hold control characters");
    *into = *std::move(decoded);
  }
  return target;
}

core::Error refused_by_curl(CURLUcode code) {
  return invalid(std::string("not a URL: ") + curl_url_strerror(code));
}

// Of an authority without credentials: does nothing but a port follow its first colon that is not within brackets?
bool ends_in_port_or_host(std::string_view authority) {
  const auto bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const auto colon = authority.find(':', bracket);
  if (colon == std::string_view::npos) return true;
  const std::string_view port = authority.substr(colon + 1);
  return std::all_of(port.begin(), port.end(), is_digit);
}

// ---- URLs that nobody reads differently

// Of a path and query: characters that stay what they are. No '#', and no '%', which begins something.
bool is_plain_in_path(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
         std::string_view("-._~!$&'()*+,;=:@/?").find(c) != std::string_view::npos;
}

bool is_plain_path(std::string_view path) {
  // "/./" and "/../" are resolved, and whether an empty query is one is a matter of taste.
  return path.find("/.") == std::string_view::npos && !path.ends_with('?') &&
         std::all_of(path.begin(), path.end(), is_plain_in_path);
}

// 1 to 65535, without leading zeros; 0 for anything else.
std::uint16_t plain_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && stop == end && !text.starts_with('0') ? port : std::uint16_t{0};
}

// A name, perhaps a port, perhaps a plain path: nearly every URL of a fleet, and libcurl's parser takes 10,000 instructions for
// it, a seventh of a check. Nothing: it is not as plain as that, and libcurl reads it. `rest`: behind the scheme.
std::optional<Target> plain_target(bool tls, std::string_view rest) {
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  const std::string_view path = slash == std::string_view::npos ? "/" : rest.substr(slash);
  std::uint16_t port = tls ? 443 : 80;
  if (const auto colon = authority.find(':'); colon != std::string_view::npos) {
    port = plain_port(authority.substr(colon + 1));
    authority = authority.substr(0, colon);
  }
  if (port == 0 || authority.size() > kNameBytesMax || !is_plain_path(path)) return std::nullopt;

  Target target;
  target.tls = tls;
  target.port = port;
  target.host.resize(authority.size());
  std::transform(authority.begin(), authority.end(), target.host.begin(), lower);
  std::string_view labels = target.host;
  for (;;) {
    const auto dot = labels.find('.');
    const std::string_view label = labels.substr(0, dot);
    if (!is_label(label)) return std::nullopt;
    if (dot == std::string_view::npos) break;
    labels.remove_prefix(dot + 1);
  }
  // Perhaps an address.
  if (is_digit(labels.front())) return std::nullopt;
  target.path = path;
  return target;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::string Target::url() const {
  return (tls ? "https://" : "http://") + host_header() + path;
}

std::string Target::host_header() const {
  std::string text = literal && literal->v6 ? "[" + host + "]" : host;
  if (port != (tls ? 443 : 80)) text += ":" + std::to_string(port);
  return text;
}

bool Target::same_origin(const Target& other) const {
  return tls == other.tls && port == other.port && host == other.host;
}

core::Result<Target> parse_target(std::string_view url) {
  if (url.empty()) return invalid("the URL is empty");
  if (url.size() > kUrlBytesMax) {
    return invalid("the URL is longer than " + std::to_string(kUrlBytesMax) + " bytes");
  }
  if (has_control_characters(url) || url.find(' ') != std::string_view::npos) {
    return invalid("the URL holds a space or a control character; write it as %20 and the like");
  }
  std::string_view rest = url;
  if (starts_with_nocase(url, "http://"))
    rest.remove_prefix(7);
  else if (starts_with_nocase(url, "https://"))
    rest.remove_prefix(8);
  else
    return invalid("a URL begins with http:// or https://");
  if (rest.empty() || std::string_view("/?#").find(rest.front()) != std::string_view::npos) {
    return invalid("the URL names no host");
  }
  // Browsers read it as '/', libcurl as part of a name: whoever wrote it did not mean both.
  if (rest.substr(0, rest.find_first_of("/?#")).find('\\') != std::string_view::npos) {
    return invalid("the host holds a backslash; a URL has '/'");
  }
  if (auto plain = plain_target(lower(url[4]) == 's', rest)) return *std::move(plain);

  const Url parsed(curl_url());
  if (!parsed) return core::Error{core::ErrorKind::Unavailable, "no memory to read a URL"};
  const std::string text(url);
  const CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, text.c_str(), 0);
  if (code != CURLUE_OK) return refused_by_curl(code);
  return read(parsed);
}

core::Result<Target> follow(const Target& base, std::string_view location) {
  location = trimmed(location);
  if (location.empty()) return invalid("the redirect has an empty Location");
  if (location.size() > kLocationBytesMax) {
    return invalid("the redirect's Location is longer than " + std::to_string(kLocationBytesMax) +
                   " bytes");
  }
  if (has_control_characters(location)) {
    return invalid("the redirect's Location holds control characters");
  }
  location = location.substr(0, location.find('#'));
  if (location.empty()) return base;

  std::string reference;
  for (const char c : location) {
    if (c == ' ')
      reference += "%20";
    else
      reference += c;
  }
  const Url resolved(curl_url());
  if (!resolved) return core::Error{core::ErrorKind::Unavailable, "no memory to read a URL"};
  CURLUcode code = curl_url_set(resolved.get(), CURLUPART_URL, base.url().c_str(), 0);
  if (code == CURLUE_OK) {
    code = curl_url_set(resolved.get(), CURLUPART_URL, reference.c_str(), CURLU_NON_SUPPORT_SCHEME);
  }
  if (code != CURLUE_OK) return refused_by_curl(code);
  auto target = read(resolved);
  if (!target) return target;
  const bool stays = target->same_origin(base);
  target->user = stays ? base.user : "";
  target->password = stays ? base.password : "";
  return target;
}

std::string url_without_secrets(std::string_view url) {
  std::string_view scheme;
  std::string_view rest = url;
  if (const auto colon = url.find("://"); colon != std::string_view::npos && colon <= 16) {
    scheme = url.substr(0, colon + 3);
    rest = url.substr(colon + 3);
  }
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  std::string_view path = rest.substr(authority.size());
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    authority.remove_prefix(at + 1);
  } else if (!ends_in_port_or_host(authority)) {
    // "user:pass/word@host": what follows the colon may be the beginning of a password.
    authority = "(unreadable)";
    path = {};
  }
  path = path.substr(0, path.find_first_of("?#"));
  std::string shown;
  for (const std::string_view piece : {scheme, authority, path}) {
    for (const char c : piece) shown += is_printable_ascii(c) ? c : '?';
  }
  if (shown.size() > kShownBytesMax) {
    shown.resize(kShownBytesMax - 3);
    shown += "...";
  }
  return shown;
}

}  // namespace watchwheel::checker
