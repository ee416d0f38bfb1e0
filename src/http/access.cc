// SPDX-License-Identifier: Apache-2.0
#include "http/access.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace watchwheel::http {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool starts_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

// "127.0.0.1:9464" -> "127.0.0.1", "[::1]:9464" -> "::1".
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    return end == std::string_view::npos ? std::string_view{} : host.substr(1, end - 1);
  }
  return host.substr(0, host.find(':'));
}

bool is_address_or_localhost(std::string_view host) {
  const std::string name(without_port(host));
  in6_addr ignored{};
  return equal_ignoring_case(name, "localhost") ||
         inet_pton(AF_INET, name.c_str(), &ignored) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &ignored) == 1;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

core::Error unusable(const std::string& path, const std::string& what) {
  return {core::ErrorKind::Invalid, "token file " + path + ": " + what};
}

}  // namespace

core::Result<std::string> load_token(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (!file) return unusable(path, std::string("cannot be opened: ") + std::strerror(errno));

  std::string text(kTokenBytesMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return unusable(path, "cannot be read");
  if (text.size() > kTokenBytesMax) {
    return unusable(path, "is longer than " + std::to_string(kTokenBytesMax) + " bytes");
  }
  const std::string_view token = trimmed(text);
  if (token.empty()) {
    return unusable(
        path,
        "is empty; write a long random word into it, for example from `openssl rand -hex 32`");
  }
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < '\x7f'; })) {
    return unusable(path, "holds a space or a byte that is not visible ASCII; a token is one word");
  }
  return std::string(token);
}

bool bearer_matches(std::string_view authorization, std::string_view token) noexcept {
  constexpr std::string_view kScheme = "Bearer ";
  if (!starts_ignoring_case(authorization, kScheme)) return false;
  const std::string_view given = trimmed(authorization.substr(kScheme.size()));
  if (given.size() != token.size()) return false;
  // Every byte is looked at, so that the time tells nothing of where the first wrong one is. Volatile: no early exit.
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < token.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (given[i] ^ token[i]));
  }
  return difference == 0;
}

bool origin_allowed(std::string_view origin, std::string_view host, bool token_checked) {
  if (origin.empty()) return true;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!starts_ignoring_case(origin, scheme)) continue;
    return equal_ignoring_case(origin.substr(scheme.size()), host) &&
           (token_checked || is_address_or_localhost(host));
  }
  return false;  // "null", and whatever is not the web.
}

}  // namespace watchwheel::http
