// SPDX-License-Identifier: Apache-2.0
// Uptime Kuma: the JSON of its backup, `monitorList` with a row of its database for each monitor: every key is there, whatever
// the monitor's type, so that what a key says counts only where its type uses it.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/foreign_draft.h"

namespace watchwheel::app {
namespace {

// Keys that every monitor has and that say nothing of how a page is asked for, and those of other types, by their beginnings.
constexpr std::array kIgnored{"id",
                              "type",
                              "user_id",
                              "weight",
                              "childrenIDs",
                              "path",
                              "parent",
                              "pathName",
                              "proxyId",
                              "dns_",
                              "mqtt",
                              "database",
                              "docker_",
                              "game",
                              "grpc",
                              "radius",
                              "kafka",
                              "snmp",
                              "rabbitmq",
                              "screenshot",
                              "push",
                              "hostname",
                              "port",
                              "packet",
                              "jsonPath",
                              "expectedValue",
                              "json_path",
                              "oauth_",
                              "oauth",
                              "tls",
                              "authWorkstation",
                              "authDomain",
                              "basic_auth_",
                              "authMethod",
                              "includeSensitiveData",
                              "forceInactive",
                              "maintenance",
                              "description",
                              "httpBodyEncoding",
                              "keyword",
                              "invertKeyword",
                              "cacheBust",
                              "conditions",
                              "smtp",
                              "ping_",
                              "remote_",
                              "manual_",
                              "gamedig",
                              "protocol",
                              "retryOnlyOnStatusCodeFailure",
                              "ipFamily",
                              "notificationIDList"};

bool is_ignored(std::string_view key) {
  return std::any_of(kIgnored.begin(), kIgnored.end(),
                     [&](std::string_view known) { return key.starts_with(known); });
}

std::optional<double> number_of(const DocNode& node) {
  double value = 0;
  const char* end_of_text = node.text.data() + node.text.size();
  const auto [end, error] = std::from_chars(node.text.data(), end_of_text, value);
  if (!node.is_scalar() || error != std::errc{} || end != end_of_text || !std::isfinite(value))
    return std::nullopt;
  return value;
}

// `$.a.b[0]` and `a.b` to "/a/b/0"; nothing when it is more than a path.
std::optional<std::string> pointer_of(std::string_view path) {
  if (path.starts_with('$')) path.remove_prefix(1);
  if (path.starts_with('.')) path.remove_prefix(1);
  if (path.empty()) return std::nullopt;
  std::string out = "/";
  for (const char c : path) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
    if (c == '.' || c == '[') {
      out += '/';
    } else if (plain) {
      out += c;
    } else if (c != ']') {
      return std::nullopt;
    }
  }
  return out.find("//") == std::string::npos && !out.ends_with('/') ? std::optional(out)
                                                                    : std::nullopt;
}

class Monitor {
 public:
  Monitor(const DocNode& node, const std::string& file)
      : node_(node), file_(file), draft_(file, node.line), type_(node.text_at("type")) {}

  SiteRow read(const ChecksConfig& defaults, DuplicateFinder& duplicates) {
    if (type_ != "http" && type_ != "keyword" && type_ != "json-query") {
      draft_.reject(
          "type", line_of("type"),
          "'" + type_ + "' (" + node_.text_at("name") + ") is no HTTP check; it is left out");
      return draft_.finish(defaults, duplicates);
    }
    if (on("upsideDown"))
      draft_.reject("upsideDown", line_of("upsideDown"),
                    "a site that is up when it cannot be reached has no counterpart here");
    draft_.set("url", node_.text_at("url"), "url", line_of("url"));
    for (std::size_t i = 0; i < node_.keys.size(); ++i) {
      if (node_.items[i].kind != DocNode::Kind::Null)
        key(node_.keys[i].first, node_.items[i], node_.keys[i].second);
    }
    content();
    sign_in();
    if (const DocNode* told = node_.find("notificationIDList");
        told != nullptr && !told->items.empty())
      draft_.warn("notificationIDList", told->line,
                  "notifications are not taken over; whom to tell is configured here");
    return draft_.finish(defaults, duplicates);
  }

 private:
  std::uint32_t line_of(std::string_view key) const {
    const DocNode* at = node_.find(key);
    return at == nullptr ? node_.line : at->line;
  }
  bool on(std::string_view key) const {
    const DocNode* at = node_.find(key);
    return at != nullptr && at->is_true();
  }

  void key(const std::string& name, const DocNode& value, std::uint32_t line) {
    if (name == "name" || name == "method" || name == "body") {
      draft_.set(name, value.text, name, line);
    } else if (name == "interval" || name == "timeout") {
      seconds(name, value, line);
    } else if (name == "active") {
      if (!value.is_true()) draft_.set("active", "false", name, line);
    } else if (name == "accepted_statuscodes") {
      statuses(value, line);
    } else if (name == "maxredirects") {
      redirects(value, line);
    } else if (name == "ignoreTls") {
      if (value.is_true()) draft_.set("tls_verify", "false", name, line);
    } else if (name == "headers") {
      headers(value, line);
    } else if (name == "tags") {
      tags(value, line);
    } else if (name == "maxretries" || name == "retryInterval" || name == "resendInterval") {
      // A wish of one monitor; here confirm.failures and confirm.retry_interval hold for all.
      if (name == "maxretries" && value.text != "0")
        draft_.warn(name, line,
                    "how often a failure is confirmed is set for all sites, in [confirm]");
      if (name == "resendInterval" && value.text != "0")
        draft_.warn(name, line, "has no counterpart here and is left out");
    } else if (name == "expiryNotification") {
      // Certificates that end soon are warned of anyway.
    } else if (name != "url" && name != "upsideDown" && !is_ignored(name)) {
      const bool empty = (value.is_scalar() &&
                          (value.text.empty() || value.text == "false" || value.text == "0")) ||
                         (!value.is_scalar() && value.items.empty());
      if (!empty) draft_.warn(name, line, "has no counterpart here and is left out");
    }
  }

  void seconds(const std::string& name, const DocNode& value, std::uint32_t line) {
    const auto number = number_of(value);
    if (!number || !(*number >= 0 && *number < 1e7))
      return draft_.reject(name, line, "'" + value.text + "' is no number of seconds");
    if (*number == 0) return;  // Its own default.
    draft_.set(name,
               our_duration(std::chrono::duration_cast<core::Duration>(
                   std::chrono::duration<double>(*number))),
               name, line);
  }

  void statuses(const DocNode& value, std::uint32_t line) {
    std::string ranges;
    for (const DocNode& one : value.items) ranges += (ranges.empty() ? "" : ",") + one.text;
    draft_.set("expect_status", ranges, "accepted_statuscodes", line);
  }

  void redirects(const DocNode& value, std::uint32_t line) {
    const auto number = number_of(value);
    if (!number || *number < 0 || *number != std::floor(*number))
      return draft_.reject("maxredirects", line, "'" + value.text + "' is no number of redirects");
    if (*number == 0) return draft_.set("redirects", "none", "maxredirects", line);
    if (*number > 50) draft_.warn("maxredirects", line, "at most 50 are followed here");
    draft_.set("max_redirects", std::to_string(static_cast<int>(std::min(*number, 50.0))),
               "maxredirects", line);
  }

  // A text that holds JSON.
  void headers(const DocNode& value, std::uint32_t line) {
    if (value.text.find_first_not_of(" \t\r\n") == std::string::npos) return;
    const auto parsed = read_document(file_, value.text);
    const auto* map = std::get_if<DocNode>(&parsed);
    if (map == nullptr || !map->is_map())
      return draft_.reject("headers", line, "is no JSON object of names and values");
    for (std::size_t i = 0; i < map->keys.size(); ++i)
      draft_.add("header", map->keys[i].first + ": " + map->items[i].text, "headers", line);
  }

  void tags(const DocNode& value, std::uint32_t line) {
    std::string all;
    for (const DocNode& tag : value.items) {
      const std::string name = tag.is_scalar() ? tag.text : tag.text_at("name");
      const std::string more = tag.text_at("value");
      const std::string text = more.empty() ? name : name + "=" + more;
      if (text.find_first_of(",\n") != std::string::npos) {
        draft_.warn("tags", line, "'" + text + "' holds a comma; it is left out");
      } else if (!text.empty()) {
        all += (all.empty() ? "" : ",") + text;
      }
    }
    draft_.set("tags", all, "tags", line);
  }

  // What the page must hold, by the monitor's type.
  void content() {
    if (type_ == "keyword") {
      const std::string keyword = node_.text_at("keyword");
      if (keyword.empty()) return draft_.reject("keyword", line_of("keyword"), "there is none");
      draft_.add(on("invertKeyword") ? "forbidden" : "keyword", keyword, "keyword",
                 line_of("keyword"));
    }
    if (type_ == "json-query") {
      const auto pointer = pointer_of(node_.text_at("jsonPath"));
      const std::string op = node_.text_at("jsonPathOperator");
      if (!pointer || (!op.empty() && op != "=="))
        return draft_.reject(
            "jsonPath", line_of("jsonPath"),
            "only the path of one value that is equal to another can be asked for here");
      const std::string wanted = node_.text_at("expectedValue");
      const bool bare =
          wanted == "true" || wanted == "false" ||
          (!wanted.empty() && wanted.find_first_not_of("0123456789") == std::string::npos);
      std::string json = "\"";
      for (const char c : wanted)
        json += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
      draft_.add("json_equals", *pointer + " == " + (bare ? wanted : json + "\""), "expectedValue",
                 line_of("expectedValue"));
    }
    if (const std::string encoding = node_.text_at("httpBodyEncoding"); draft_.has("body")) {
      const char* type = encoding == "xml"    ? "text/xml; charset=utf-8"
                         : encoding == "form" ? "application/x-www-form-urlencoded"
                                              : "application/json";
      draft_.add("header", std::string("Content-Type: ") + type, "httpBodyEncoding",
                 line_of("body"));
    }
  }

  void sign_in() {
    const std::string method = node_.text_at("authMethod");
    const std::string user = node_.text_at("basic_auth_user");
    if (method == "basic" || (method.empty() && !user.empty())) {
      draft_.pause("basic_auth_pass", line_of("basic_auth_pass"),
                   "a password has no place in the list; put it in a file and give auth_user and "
                   "auth_password_file");
    } else if (method == "mtls") {
      draft_.pause(
          "authMethod", line_of("authMethod"),
          "a certificate has no place in the list; put it in a file and give client_cert_file");
    } else if (!method.empty()) {
      draft_.pause("authMethod", line_of("authMethod"), "'" + method + "' does not exist here");
    }
  }

  const DocNode& node_;
  const std::string& file_;
  SiteDraft draft_;
  std::string type_;
};

}  // namespace

void read_uptime_kuma(const DocNode& root, const std::string& file, const ChecksConfig& defaults,
                      std::vector<SiteRow>& rows) {
  const DocNode* monitors = root.find("monitorList");
  if (monitors == nullptr || !monitors->is_list()) {
    rows.push_back(
        unreadable_row({file, root.line, 0, Severity::Error,
                        "there is no list `monitorList`; is this a backup of Uptime Kuma?"}));
    return;
  }
  for (std::size_t i = 0; i < root.keys.size(); ++i) {
    const bool told = root.keys[i].first == "version" || &root.items[i] == monitors;
    if (!told && !root.items[i].items.empty())
      rows.push_back(note(file, root.keys[i].second, root.keys[i].first, "is not taken over"));
  }
  DuplicateFinder duplicates;
  for (const DocNode& monitor : monitors->items)
    rows.push_back(Monitor(monitor, file).read(defaults, duplicates));
}

}  // namespace watchwheel::app
