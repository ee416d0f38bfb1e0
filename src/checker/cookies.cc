// SPDX-License-Identifier: Apache-2.0
#include "checker/cookies.h"

#include <curl/curl.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "checker/head_check.h"

namespace watchwheel::checker {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

// Calls `each` with the trimmed pieces between semicolons.
template <typename Each>
void for_each_piece(std::string_view text, Each each) {
  for (;;) {
    const std::size_t end = text.find(';');
    each(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

std::string_view name_of(std::string_view pair) {
  return trimmed(pair.substr(0, pair.find('=')));
}
std::string_view value_of(std::string_view pair) {
  const std::size_t sign = pair.find('=');
  return sign == std::string_view::npos ? std::string_view{} : trimmed(pair.substr(sign + 1));
}

std::string_view path_of(const Target& target) {
  const std::string_view path = target.path;
  return path.substr(0, path.find('?'));
}

bool is_within(std::string_view host, std::string_view domain) {
  return host.size() > domain.size() && host.ends_with(domain) &&
         host[host.size() - domain.size() - 1] == '.';
}

struct Attributes {
  std::string domain;  // Lower case, without a leading dot.
  std::string path;
  bool secure = false;
  std::optional<bool> ended_by_age, ended_by_date;
};

// "0", "-5" and the like end a cookie; what is no number says nothing.
std::optional<bool> ended_by_age(std::string_view seconds) {
  const bool negative = seconds.starts_with('-');
  if (negative) seconds.remove_prefix(1);
  const bool number = !seconds.empty() && std::all_of(seconds.begin(), seconds.end(),
                                                      [](char c) { return c >= '0' && c <= '9'; });
  if (!number) return std::nullopt;
  return negative || seconds.find_first_not_of('0') == std::string_view::npos;
}

std::optional<bool> ended_by_date(std::string_view date, core::WallTime now) {
  const std::time_t time = curl_getdate(std::string(date).c_str(), nullptr);
  if (time == -1) return std::nullopt;
  return static_cast<std::int64_t>(time) <= core::to_unix_ms(now) / 1000;
}

Attributes read_attributes(std::string_view text, core::WallTime now) {
  Attributes out;
  for_each_piece(text, [&](std::string_view piece) {
    const std::string name = lower(name_of(piece));
    const std::string_view value = value_of(piece);
    if (name == "domain") {
      out.domain = lower(value.substr(value.starts_with('.') ? 1 : 0));
    } else if (name == "path") {
      out.path = value.starts_with('/') ? value : "";
    } else if (name == "secure") {
      out.secure = true;
    } else if (name == "max-age") {
      out.ended_by_age = ended_by_age(value);
    } else if (name == "expires") {
      out.ended_by_date = ended_by_date(value, now);
    }
  });
  return out;
}

std::string default_path(const Target& from) {
  const std::string_view path = path_of(from);
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

}  // namespace

bool CookieJar::Cookie::goes_to(const Target& to) const {
  const bool host_fits =
      to.host == domain || (!host_only && !to.literal && is_within(to.host, domain));
  const std::string_view asked = path_of(to);
  const bool path_fits =
      asked.starts_with(path) &&
      (asked.size() == path.size() || path.ends_with('/') || asked[path.size()] == '/');
  return host_fits && path_fits && (to.tls || !secure);
}

void CookieJar::take(std::string_view set_cookie, const Target& from, core::WallTime now) {
  // It goes into a header of ours.
  const bool clean = std::none_of(set_cookie.begin(), set_cookie.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
  });
  const std::size_t end = set_cookie.find(';');
  const std::string_view pair = set_cookie.substr(0, end);
  if (!clean || set_cookie.size() > kCookieBytesMax || pair.find('=') == std::string_view::npos ||
      name_of(pair).empty())
    return;
  const Attributes attributes =
      read_attributes(end == std::string_view::npos ? "" : set_cookie.substr(end + 1), now);
  if (attributes.secure && !from.tls) return;

  Cookie cookie{.name = std::string(name_of(pair)),
                .value = std::string(value_of(pair)),
                .domain = from.host,
                .path = attributes.path.empty() ? default_path(from) : attributes.path,
                .host_only = true,
                .secure = attributes.secure};
  if (!attributes.domain.empty() && !from.literal) {
    const bool several_labels = attributes.domain.find('.') != std::string::npos;
    const bool inside = is_within(from.host, attributes.domain);
    if (attributes.domain != from.host && !(inside && several_labels)) return;
    cookie.domain = attributes.domain;
    cookie.host_only = !several_labels;
  } else if (!attributes.domain.empty() && attributes.domain != from.host) {
    return;  // An address has no domain.
  }

  const auto same = std::find_if(cookies_.begin(), cookies_.end(), [&](const Cookie& other) {
    return other.name == cookie.name && other.domain == cookie.domain && other.path == cookie.path;
  });
  const bool ended = attributes.ended_by_age.value_or(attributes.ended_by_date.value_or(false));
  const std::size_t freed = same == cookies_.end() ? 0 : same->bytes();
  if (ended) {
    if (same == cookies_.end()) return;
    bytes_ -= freed;
    cookies_.erase(same);
    return;
  }
  if (bytes_ - freed + cookie.bytes() > kJarBytesMax) return;
  if (same == cookies_.end() && cookies_.size() == kCookiesMax) return;
  bytes_ = bytes_ - freed + cookie.bytes();
  if (same == cookies_.end()) {
    cookies_.push_back(std::move(cookie));
  } else {
    *same = std::move(cookie);
  }
}

std::string CookieJar::header_for(const Target& to, std::string_view own) const {
  std::vector<const Cookie*> going;
  for (const Cookie& cookie : cookies_) {
    if (cookie.goes_to(to)) going.push_back(&cookie);
  }
  if (going.empty()) return std::string(own);
  std::stable_sort(going.begin(), going.end(), [](const Cookie* a, const Cookie* b) {
    return a->path.size() > b->path.size();
  });
  std::string header;
  const auto add = [&](std::string_view pair) {
    if (pair.empty()) return;
    if (!header.empty()) header += "; ";
    header += pair;
  };
  for_each_piece(own, [&](std::string_view pair) {
    const bool replaced = std::any_of(going.begin(), going.end(), [&](const Cookie* cookie) {
      return cookie->name == name_of(pair);
    });
    if (!replaced) add(pair);
  });
  for (const Cookie* cookie : going) add(cookie->name + "=" + cookie->value);
  return header;
}

}  // namespace watchwheel::checker
