// SPDX-License-Identifier: Apache-2.0
// Gatus: `endpoints`, each with a URL and conditions that all must hold. A condition is "LEFT OP RIGHT", where LEFT is a
// placeholder like [STATUS]; a right side may be pat(glob) or any(a, b).
#include <algorithm>
#include <bitset>
#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/foreign_draft.h"

namespace watchwheel::app {
namespace {

constexpr std::size_t kStatusEnd = 600;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

struct Condition {
  std::string_view left, op, right;
};

std::optional<Condition> parse_condition(std::string_view text) {
  for (const std::string_view op : {" == ", " != ", " <= ", " >= ", " < ", " > "}) {
    const std::size_t at = text.find(op);
    if (at == std::string_view::npos) continue;
    return Condition{trimmed(text.substr(0, at)), trimmed(op),
                     trimmed(text.substr(at + op.size()))};
  }
  return std::nullopt;
}

// "any(a, b)" -> a, b; nothing when it is no such call.
std::optional<std::vector<std::string>> arguments_of(std::string_view call, std::string_view name) {
  if (!call.starts_with(name) || !call.ends_with(')')) return std::nullopt;
  call.remove_prefix(name.size());
  if (!call.starts_with('(')) return std::nullopt;
  call = call.substr(1, call.size() - 2);
  std::vector<std::string> all;
  for (;;) {
    const std::size_t end = call.find(',');
    all.emplace_back(trimmed(call.substr(0, end)));
    if (end == std::string_view::npos) return all;
    call.remove_prefix(end + 1);
  }
}

// pat() takes its argument whole, commas included.
std::optional<std::string_view> pattern_of(std::string_view call) {
  if (!call.starts_with("pat(") || !call.ends_with(')')) return std::nullopt;
  return call.substr(4, call.size() - 5);
}

// A glob of Go's filepath.Match without classes, as an expression.
std::optional<std::string> expression_of_glob(std::string_view glob) {
  if (glob.find_first_of("[]\\") != std::string_view::npos) return std::nullopt;
  std::string out = "(?s)^";
  for (const char c : glob) out += c == '*' ? ".*" : c == '?' ? "." : quoted_expression({&c, 1});
  return out + "$";
}

std::optional<int> whole_number(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

using Statuses = std::bitset<kStatusEnd>;

std::optional<Statuses> statuses_of(const Condition& condition) {
  Statuses statuses;
  std::vector<std::string> wanted{std::string(condition.right)};
  if (auto any = arguments_of(condition.right, "any")) wanted = *std::move(any);
  if (wanted.size() > 1 && condition.op != "==" && condition.op != "!=") return std::nullopt;
  for (const std::string& text : wanted) {
    const auto number = whole_number(text);
    if (!number) return std::nullopt;
    for (int status = 100; status < static_cast<int>(kStatusEnd); ++status) {
      const bool holds = condition.op == "<"    ? status < *number
                         : condition.op == "<=" ? status <= *number
                         : condition.op == ">"  ? status > *number
                         : condition.op == ">=" ? status >= *number
                                                : status == *number;
      if (holds) statuses.set(static_cast<std::size_t>(status));
    }
  }
  if (condition.op == "!=") statuses = ~statuses;
  return statuses;
}

std::string ranges_of(const Statuses& statuses) {
  std::string text;
  for (std::size_t first = 100; first < kStatusEnd; ++first) {
    if (!statuses[first]) continue;
    std::size_t last = first;
    while (last + 1 < kStatusEnd && statuses[last + 1]) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(first);
    if (last > first) text += "-" + std::to_string(last);
    first = last;
  }
  return text;
}

// "[BODY].user.items[0].name" -> "/user/items/0/name".
std::optional<std::string> pointer_of(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const char begin = path.front();
    if (begin != '.' && begin != '[') return std::nullopt;
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find_first_of(begin == '[' ? "]" : ".["), path.size());
    const std::string_view part = path.substr(0, end);
    if (part.empty() || part.find_first_of("~/\"'") != std::string_view::npos) return std::nullopt;
    if (begin == '[' && (!whole_number(part) || end == path.size())) return std::nullopt;
    out += "/" + std::string(part);
    path.remove_prefix(begin == '[' ? end + 1 : end);
  }
  return out;
}

bool is_call(std::string_view text) {
  return text.starts_with("pat(") || text.starts_with("any(") || text.starts_with("len(") ||
         text.starts_with("has(") || text.starts_with('[');
}

// A bare number, true, false or null is itself; everything else is a text.
std::string json_of(std::string_view text) {
  const bool number = !text.empty() &&
                      text.find_first_not_of("0123456789") == std::string_view::npos &&
                      (text.size() == 1 || text.front() != '0');
  if (number || text == "true" || text == "false" || text == "null") return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

class Endpoint {
 public:
  Endpoint(const DocNode& node, const std::string& file) : node_(node), draft_(file, node.line) {
    statuses_.set();
  }

  SiteRow read(const ChecksConfig& defaults, DuplicateFinder& duplicates) {
    // Before all others: what else is wrong with what cannot be asked is of no interest.
    const std::string url = node_.text_at("url");
    const auto scheme_end = std::min(url.find("://"), url.size());
    if (const std::string scheme = url.substr(0, scheme_end);
        scheme_end < url.size() && scheme != "http" && scheme != "https") {
      draft_.reject("url", line_of("url"), "'" + scheme + "' is no HTTP check; it is left out");
      return draft_.finish(defaults, duplicates);
    }
    draft_.set("url", url, "url", line_of("url"));
    if (node_.find("dns") != nullptr || node_.find("ssh") != nullptr)
      draft_.reject("url", line_of("url"), "checks of DNS and SSH have no counterpart here");
    for (std::size_t i = 0; i < node_.keys.size(); ++i)
      key(node_.keys[i].first, node_.items[i], node_.keys[i].second);
    if (node_.find("interval") == nullptr) draft_.set("interval", "60s", "interval", node_.line);
    statuses();
    return draft_.finish(defaults, duplicates);
  }

 private:
  std::uint32_t line_of(std::string_view key) const {
    const DocNode* at = node_.find(key);
    return at == nullptr ? node_.line : at->line;
  }

  // Filled in from the environment where Gatus runs, which we are not.
  bool from_environment(std::string_view key, const DocNode& value) {
    if (value.text.find("${") == std::string::npos) return false;
    draft_.pause(key, value.line,
                 "its value comes from the environment of Gatus; write it out with `sites set`");
    return true;
  }

  void key(const std::string& name, const DocNode& value, std::uint32_t line) {
    if (value.kind == DocNode::Kind::Null || name == "url") return;
    if (name == "name" || name == "group" || name == "method" || name == "body") {
      if (!value.is_scalar()) return draft_.warn(name, line, "is no text; it is left out");
      if (from_environment(name, value)) return;
      draft_.set(name == "group" ? "tags" : name, value.text, name, line);
    } else if (name == "interval") {
      duration("interval", name, value);
    } else if (name == "enabled") {
      if (!value.is_true()) draft_.set("active", "false", name, line);
    } else if (name == "headers") {
      headers(value, line);
    } else if (name == "conditions") {
      for (const DocNode& one : value.items) condition(one);
    } else if (name == "client") {
      client(value, line);
    } else if (name == "alerts") {
      draft_.warn(name, line, "alerts are not taken over; whom to tell is configured here");
    } else if (name != "ui" && name != "dns" &&
               name != "ssh") {  // How Gatus shows it is of no interest here.
      draft_.warn(name, line, "has no counterpart here and is left out");
    }
  }

  void duration(std::string_view column, std::string_view key, const DocNode& value) {
    const auto parsed = parse_go_duration(value.text);
    if (!parsed) return draft_.reject(key, value.line, "'" + value.text + "' is no duration");
    draft_.set(column, our_duration(*parsed), key, value.line);
  }

  void headers(const DocNode& value, std::uint32_t line) {
    if (!value.is_map()) return draft_.warn("headers", line, "is no map; it is left out");
    for (std::size_t i = 0; i < value.keys.size(); ++i) {
      if (from_environment("headers", value.items[i])) continue;
      draft_.add("header", value.keys[i].first + ": " + value.items[i].text, "headers",
                 value.keys[i].second);
    }
  }

  void client(const DocNode& value, std::uint32_t line) {
    if (!value.is_map()) return draft_.warn("client", line, "is no map; it is left out");
    for (std::size_t i = 0; i < value.keys.size(); ++i) {
      const auto& [name, at] = value.keys[i];
      const DocNode& inner = value.items[i];
      if (name == "timeout") {
        duration("timeout", "client.timeout", inner);
      } else if (name == "insecure") {
        if (inner.is_true()) draft_.set("tls_verify", "false", "client.insecure", at);
      } else if (name == "ignore-redirect") {
        if (inner.is_true()) draft_.set("redirects", "none", "client.ignore-redirect", at);
      } else if (name == "dns-resolver") {
        const std::size_t scheme = inner.text.find("://");
        draft_.set("resolver",
                   scheme == std::string::npos ? inner.text : inner.text.substr(scheme + 3),
                   "client.dns-resolver", at);
      } else if (name == "tls" && inner.is_map()) {
        if (const std::string file = inner.text_at("certificate-file"); !file.empty())
          draft_.set("client_cert_file", file, "client.tls.certificate-file", at);
        if (const std::string file = inner.text_at("private-key-file"); !file.empty())
          draft_.set("client_key_file", file, "client.tls.private-key-file", at);
      } else if (name == "oauth2" || name == "identity-aware-proxy") {
        draft_.pause("client." + name, at, "this way to sign in does not exist here");
      } else if (inner.kind != DocNode::Kind::Null) {
        draft_.warn("client." + name, at, "has no counterpart here and is left out");
      }
    }
  }

  void condition(const DocNode& node) {
    const auto parsed = parse_condition(node.text);
    if (!parsed || !mapped(*parsed, node.line))
      draft_.warn("conditions", node.line,
                  "'" + node.text + "' has no counterpart here: the site is checked without it");
  }

  bool mapped(const Condition& c, std::uint32_t line) {
    if (c.left == "[STATUS]") {
      const auto wanted = statuses_of(c);
      if (wanted) statuses_ &= *wanted;
      asks_status_ = asks_status_ || wanted.has_value();
      return wanted.has_value();
    }
    if (c.left == "[BODY]") return body(c, line);
    if (c.left.starts_with("[BODY].") || c.left.starts_with("[BODY][")) {
      const auto pointer = pointer_of(c.left.substr(6));
      if (!pointer || c.op != "==" || is_call(c.right)) return false;
      draft_.add("json_equals", *pointer + " == " + json_of(c.right), "conditions", line);
      return true;
    }
    if (c.left == "[RESPONSE_TIME]" && (c.op == "<" || c.op == "<=")) {
      const auto ms = whole_number(c.right);
      if (!ms || *ms <= 0) return false;
      draft_.set("latency_warning", std::to_string(*ms) + "ms", "conditions", line);
      draft_.warn("conditions", line,
                  "a slower answer is a warning here, and does not make the site down");
      return true;
    }
    // A check that does not connect is down here too.
    return c.left == "[CONNECTED]" && c.op == "==" && c.right == "true";
  }

  bool body(const Condition& c, std::uint32_t line) {
    if (c.op != "==" && c.op != "!=") return false;
    const bool wanted = c.op == "==";
    std::optional<std::string> expression;
    if (const auto glob = pattern_of(c.right)) {
      const bool around = glob->size() > 2 && glob->starts_with('*') && glob->ends_with('*');
      const std::string_view inner =
          around ? glob->substr(1, glob->size() - 2) : std::string_view();
      if (around && inner.find_first_of("*?[]\\") == std::string_view::npos) {
        draft_.add(wanted ? "keyword" : "forbidden", inner, "conditions", line);
        return true;
      }
      expression = expression_of_glob(*glob);
    } else if (const auto any = arguments_of(c.right, "any")) {
      std::string either;
      for (const std::string& one : *any) {
        if (is_call(one)) return false;
        either += (either.empty() ? "" : "|") + quoted_expression(one);
      }
      expression = "(?s)^(" + either + ")$";
    } else if (!is_call(c.right)) {
      expression = "(?s)^" + quoted_expression(c.right) + "$";
    }
    if (!expression) return false;
    draft_.add(wanted ? "body_match" : "body_not_match", *expression, "conditions", line);
    return true;
  }

  void statuses() {
    // Without a condition on it Gatus takes any status.
    const Statuses wanted = asks_status_ ? statuses_ : ~Statuses();
    const std::string ranges = ranges_of(wanted);
    const std::uint32_t line = line_of("conditions");
    if (ranges.empty()) return draft_.reject("conditions", line, "no status can satisfy them");
    draft_.set("expect_status", ranges, "conditions", line);
  }

  const DocNode& node_;
  SiteDraft draft_;
  Statuses statuses_;
  bool asks_status_ = false;
};

}  // namespace

void read_gatus(const DocNode& root, const std::string& file, const ChecksConfig& defaults,
                std::vector<SiteRow>& rows) {
  const DocNode* endpoints = root.find("endpoints");
  if (endpoints == nullptr) endpoints = root.find("services");  // Its name before Gatus 3.
  if (endpoints == nullptr || !endpoints->is_list()) {
    rows.push_back(
        unreadable_row({file, root.line, 0, Severity::Error,
                        "there is no list `endpoints`; is this the configuration of Gatus?"}));
    return;
  }
  for (std::size_t i = 0; i < root.keys.size(); ++i) {
    const std::string& key = root.keys[i].first;
    if (&root.items[i] != endpoints && root.items[i].kind != DocNode::Kind::Null)
      rows.push_back(note(file, root.keys[i].second, key,
                          "is not about sites, or not yet taken over; it is left out"));
  }
  DuplicateFinder duplicates;
  for (const DocNode& endpoint : endpoints->items)
    rows.push_back(Endpoint(endpoint, file).read(defaults, duplicates));
}

}  // namespace watchwheel::app
