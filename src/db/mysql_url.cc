// SPDX-License-Identifier: Apache-2.0
#include "db/mysql_url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace watchwheel::db {
namespace {

constexpr std::array<std::string_view, 2> kSchemes{"mysql://", "mariadb://"};
constexpr const char* kForm = "use mysql://user@host:3306/database";

core::Error invalid(const std::string& what) {
  return core::Error{core::ErrorKind::Invalid, "store.url " + what};
}

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

// Nothing: a '%' without its two digits, or a character that no name has.
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const auto high = hex_digit(text[i + 1]);
      const auto low = hex_digit(text[i + 2]);
      if (!high || !low) return std::nullopt;
      c = static_cast<char>(*high * 16 + *low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    out += c;
  }
  return out;
}

bool is_loopback(const std::string& host) {
  in_addr four{};
  in6_addr six{};
  if (inet_pton(AF_INET, host.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24U) == 127;
  if (inet_pton(AF_INET6, host.c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  return host == "localhost";
}

core::Result<MysqlHost> parse_host(std::string_view text) {
  MysqlHost host;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return invalid("has a '[' without its ']'");
    host.name = text.substr(1, end - 1);
    port = text.substr(end + 1);
  } else {
    const auto colon = text.find(':');
    host.name = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon);
  }
  if (host.name.empty()) return invalid(std::string("names no host; ") + kForm);
  if (host.name.find_first_of("%@?#\\ ") != std::string::npos)
    return invalid("has a host that cannot be one; " + std::string(kForm));
  if (port.empty()) return host;
  port.remove_prefix(port.starts_with(':') ? 1 : 0);
  const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), host.port);
  if (failed != std::errc{} || end != port.data() + port.size() || host.port == 0)
    return invalid("has a port that is no number from 1 to 65535");
  return host;
}

core::Result<void> parse_hosts(std::string_view text, MysqlPlace& place) {
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    auto host = parse_host(text.substr(0, comma));
    if (!host) return host.error();
    if (std::find(place.hosts.begin(), place.hosts.end(), *host) != place.hosts.end())
      return invalid("names the host " + host->name + " twice");
    place.hosts.push_back(*std::move(host));
    if (place.hosts.size() > kMysqlHostsMax) return invalid("names more than 16 hosts");
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return {};
}

core::Result<void> set_parameter(std::string_view name, std::string value, MysqlPlace& place,
                                 bool& tls_given) {
  if (name == "tls") {
    tls_given = true;
    if (value == "verify") {
      place.tls = MysqlTls::Verify;
    } else if (value == "require") {
      place.tls = MysqlTls::Require;
    } else if (value == "off") {
      place.tls = MysqlTls::Off;
    } else {
      return invalid("has an unknown tls; use verify, require or off");
    }
    return {};
  }
  if (name == "lossy_commit") {
    if (value != "yes" && value != "no")
      return invalid("has an unknown lossy_commit; use yes or no");
    place.lossy_commit = value == "yes";
    return {};
  }
  const std::array<std::pair<std::string_view, std::string*>, 4> files{
      {{"tls_ca", &place.tls_ca},
       {"tls_cert", &place.tls_cert},
       {"tls_key", &place.tls_key},
       {"socket", &place.socket}}};
  for (const auto& [known, into] : files) {
    if (name != known) continue;
    if (!value.starts_with('/'))
      return invalid("has a " + std::string(name) + " that is no absolute path");
    *into = std::move(value);
    return {};
  }
  return invalid(
      "has an unknown parameter; known are tls, tls_ca, tls_cert, tls_key, socket "
      "and lossy_commit");
}

core::Result<void> parse_parameters(std::string_view text, MysqlPlace& place, bool& tls_given) {
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto equals = one.find('=');
    if (equals == std::string_view::npos)
      return invalid("has a parameter without a value; write name=value");
    auto value = decoded(one.substr(equals + 1));
    if (!value) return invalid("has a parameter whose value cannot be read");
    if (auto set = set_parameter(one.substr(0, equals), *std::move(value), place, tls_given); !set)
      return set;
  }
  return {};
}

core::Result<void> check(MysqlPlace& place, bool tls_given) {
  if (place.user.empty()) return invalid(std::string("names no user; ") + kForm);
  if (place.database.empty()) return invalid(std::string("names no database; ") + kForm);
  if (place.hosts.empty() == place.socket.empty())
    return invalid(std::string("must name hosts or a socket, one of the two; ") + kForm);
  if (place.tls_cert.empty() != place.tls_key.empty())
    return invalid("must name tls_cert and tls_key together");
  const bool inside = std::all_of(place.hosts.begin(), place.hosts.end(),
                                  [](const MysqlHost& host) { return is_loopback(host.name); });
  if (!tls_given) place.tls = inside ? MysqlTls::Off : MysqlTls::Verify;
  if (place.tls == MysqlTls::Off && !(place.tls_ca.empty() && place.tls_cert.empty()))
    return invalid("names files for TLS, which is off; add tls=verify");
  return {};
}

}  // namespace

bool is_mysql_url(std::string_view url) {
  return url.starts_with("mysql:") || url.starts_with("mariadb:");
}

core::Result<MysqlPlace> parse_mysql_url(std::string_view url) {
  const auto scheme = std::find_if(kSchemes.begin(), kSchemes.end(),
                                   [&](std::string_view each) { return url.starts_with(each); });
  if (scheme == kSchemes.end()) return invalid(std::string("is not understood; ") + kForm);
  url.remove_prefix(scheme->size());

  MysqlPlace place;
  bool tls_given = false;
  if (const auto question = url.find('?'); question != std::string_view::npos) {
    if (auto read = parse_parameters(url.substr(question + 1), place, tls_given); !read)
      return read.error();
    url = url.substr(0, question);
  }
  const auto slash = url.find('/');
  if (slash == std::string_view::npos) return invalid(std::string("names no database; ") + kForm);
  const auto database = decoded(url.substr(slash + 1));
  if (!database || database->find('/') != std::string::npos)
    return invalid("has a database name that cannot be one");
  place.database = *database;
  url = url.substr(0, slash);

  const auto at = url.rfind('@');
  if (at == std::string_view::npos) return invalid(std::string("names no user; ") + kForm);
  const std::string_view user = url.substr(0, at);
  if (user.find(':') != std::string_view::npos)
    return invalid("holds a password; put it alone into a file named by store.password_file");
  const auto name = decoded(user);
  if (!name) return invalid("has a user name that cannot be read");
  place.user = *name;
  if (auto hosts = parse_hosts(url.substr(at + 1), place); !hosts) return hosts.error();
  if (auto fits = check(place, tls_given); !fits) return fits.error();

  place.shown = place.hosts.empty() ? place.socket : "";
  for (const MysqlHost& host : place.hosts) {
    if (!place.shown.empty()) place.shown += ',';
    place.shown += host.name + (host.port == 3306 ? "" : ":" + std::to_string(host.port));
  }
  place.shown += (place.hosts.empty() ? " " : "/") + place.database;
  return place;
}

}  // namespace watchwheel::db
