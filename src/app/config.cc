// SPDX-License-Identifier: Apache-2.0
#include "app/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>

#include "app/config_keys.h"
#include "app/config_rules.h"
#include "core/ensure.h"
#include "core/units.h"

namespace watchwheel::app {
namespace {

constexpr std::size_t kFileBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kEntriesMax = 1000;  // Of one [[section]].

std::string full_name(std::string_view section, std::string_view name) {
  return std::string(section) + "." + std::string(name);
}

Place place_of(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a decimal number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

// A word of what a secret is called: such a key is refused, known or not, so that the secret does not stay in the file.
bool names_a_secret(std::string_view key) {
  if (key.ends_with("_file")) return false;
  for (const std::string_view word : {"password", "passwd", "passphrase", "token", "secret",
                                      "api_key", "apikey", "private_key", "client_key"}) {
    if (key.find(word) != std::string_view::npos) return true;
  }
  return false;
}

std::string joined(const std::vector<std::string_view>& words) {
  std::string out;
  for (const std::string_view word : words) out += (out.empty() ? "" : ", ") + toml_text(word);
  return out;
}

// A right value, or why it is not one. Never both.
using Read = core::Result<Value>;

core::Error unfit(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

core::Error wrong_type(const toml::node& node, std::string_view wanted) {
  return unfit("this is " + std::string(type_name(node)) + "; write " + std::string(wanted));
}

Read read_text(const toml::node& node, std::string_view wanted = "a text in quotes") {
  const auto* text = node.as_string();
  if (text == nullptr) return wrong_type(node, wanted);
  if (text->get().find('\0') != std::string::npos)
    return unfit("the text holds a zero byte; remove it");
  Value value;
  value.text = text->get();
  return value;
}

Read read_texts(const toml::node& node) {
  constexpr std::string_view kWanted = "a list of texts, like [\"…\", \"…\"]";
  const toml::array* array = node.as_array();
  if (array == nullptr) return wrong_type(node, kWanted);
  Value value;
  for (const toml::node& item : *array) {
    Read text = read_text(item, kWanted);
    if (!text) return text;
    if (text->text.find('\n') != std::string::npos)
      return unfit("one of the texts has a line break in it; remove it");
    if (text->text.find_first_not_of(" \t\r") == std::string::npos)
      return unfit("one of the texts is empty; remove it");
    value.text += (value.texts.empty() ? "" : "\n") + text->text;
    value.texts.push_back(std::move(text->text));
  }
  return value;
}

// One text is a list of one; an empty one is none.
Read read_text_or_texts(const toml::node& node) {
  if (node.is_array()) return read_texts(node);
  Read value = read_text(node, "a text in quotes, or a list of them");
  if (!value) return value;
  if (value->text.find('\n') != std::string::npos)
    return unfit("the text has a line break in it; write several as [\"…\", \"…\"]");
  if (!value->text.empty()) value->texts.push_back(value->text);
  return value;
}

template <typename Target>
Read read_choice(const toml::node& node, const Key<Target>& key) {
  const std::string wanted = "one of " + joined(key.choices);
  Read value = read_text(node, wanted);
  if (value &&
      std::find(key.choices.begin(), key.choices.end(), value->text) == key.choices.end()) {
    const std::string_view near = nearest(value->text, key.choices);
    return unfit("'" + printable(value->text) + "' is not known; write " + wanted +
                 (near.empty() ? "" : "; did you mean " + toml_text(near) + "?"));
  }
  return value;
}

Read in_range(Value value, std::uint64_t low, std::uint64_t high, const std::string& shown,
              const std::string& low_shown, const std::string& high_shown) {
  if (value.number >= low && value.number <= high) return value;
  if (high == UINT64_MAX) return unfit(shown + " is too small; write at least " + low_shown);
  return unfit(shown + " is out of range; write " + low_shown + " to " + high_shown);
}

template <typename Target>
Read read_count(const toml::node& node, const Key<Target>& key) {
  const auto* integer = node.as_integer();
  if (integer == nullptr) return wrong_type(node, "a whole number");
  const std::string shown = std::to_string(integer->get());
  if (integer->get() < 0)
    return unfit(shown + " is negative; write a number from " + std::to_string(key.low) + " up");
  Value value;
  value.number = static_cast<std::uint64_t>(integer->get());
  value.text = shown;
  return in_range(std::move(value), key.low, key.high, shown, std::to_string(key.low),
                  std::to_string(key.high));
}

Read read_share(const toml::node& node) {
  const std::optional<double> number = node.value<double>();
  if (!node.is_number() || !number) return wrong_type(node, "a number above 0 and at most 1");
  if (!(*number > 0 && *number <= 1))
    return unfit("the share is out of range; write a number above 0 and at most 1, like 0.25");
  Value value;
  value.share = *number;
  return value;
}

Read read_flag(const toml::node& node) {
  const auto* flag = node.as_boolean();
  if (flag == nullptr) return wrong_type(node, "true or false, without quotes");
  Value value;
  value.flag = flag->get();
  value.text = value.flag ? "true" : "false";
  return value;
}

template <typename Target>
Read read_duration(const toml::node& node, const Key<Target>& key) {
  if (const auto* integer = node.as_integer(); integer != nullptr && integer->get() != 0) {
    return unfit("a duration needs its unit; write \"" + std::to_string(integer->get()) +
                 "s\" if you mean seconds");
  }
  const std::string text = node.is_integer() ? "0s" : node.value_or(std::string());
  if (!node.is_integer() && !node.is_string())
    return wrong_type(node, "a duration in quotes, like \"10s\" or \"5m\"");
  core::Result<core::Duration> duration = core::parse_duration(text);
  if (!duration) return duration.error();
  Value value;
  value.text = text;
  value.duration = *duration;
  value.number =
      static_cast<std::uint64_t>(core::duration_cast<std::chrono::milliseconds>(*duration).count());
  const auto shown = [](std::uint64_t ms) {
    return "\"" +
           core::format_duration(std::chrono::milliseconds{
               static_cast<std::int64_t>(std::min<std::uint64_t>(ms, INT32_MAX * 1000ULL))}) +
           "\"";
  };
  return in_range(std::move(value), key.low, key.high, "\"" + text + "\"", shown(key.low),
                  shown(key.high));
}

template <typename Target>
Read read_size(const toml::node& node, const Key<Target>& key) {
  std::string text = node.value_or(std::string());
  if (const auto* integer = node.as_integer(); integer != nullptr) {
    if (integer->get() < 0) return unfit("a size cannot be negative; write one like \"1MiB\"");
    text = std::to_string(integer->get());
  } else if (!node.is_string()) {
    return wrong_type(node, "a size in quotes, like \"64KiB\" or \"1MiB\"");
  }
  core::Result<std::uint64_t> size = core::parse_size(text);
  if (!size) return size.error();
  Value value;
  value.text = text;
  value.number = *size;
  return in_range(std::move(value), key.low, key.high, "\"" + text + "\"",
                  "\"" + core::format_size(key.low) + "\"",
                  "\"" + core::format_size(key.high) + "\"");
}

Read read_statuses(const toml::node& node) {
  if (const auto* integer = node.as_integer(); integer != nullptr) {
    Value value;
    value.text = std::to_string(integer->get());
    return value;
  }
  return read_text(node, "codes and ranges in quotes, like \"200-399,404\"");
}

template <typename Target>
bool means_automatic(const toml::node& node, const Key<Target>& key) {
  if (!key.automatic) return false;
  if (const auto* integer = node.as_integer(); integer != nullptr) return integer->get() == 0;
  const std::string text = node.value_or(std::string());
  return text == "auto" || text == "0";
}

template <typename Target>
Read read_value(const toml::node& node, const Key<Target>& key) {
  if (means_automatic(node, key)) {
    Value value;
    value.text = "auto";
    return value;
  }
  Read value = [&]() -> Read {
    switch (key.kind) {
      case Kind::Text:
        return read_text(node);
      case Kind::Choice:
        return read_choice(node, key);
      case Kind::Count:
        return read_count(node, key);
      case Kind::Share:
        return read_share(node);
      case Kind::Flag:
        return read_flag(node);
      case Kind::Duration:
        return read_duration(node, key);
      case Kind::Size:
        return read_size(node, key);
      case Kind::Texts:
        return read_texts(node);
      case Kind::TextOrTexts:
        return read_text_or_texts(node);
      case Kind::Statuses:
        return read_statuses(node);
    }
    ENSURE(false, "a kind outside its list");
  }();
  if (!value && key.automatic)
    return unfit(value.error().message + ", or 0 or \"auto\" to leave it to the engine");
  return value;
}

// Walks a parsed file once and fills a report.
class Reader {
 public:
  Reader(std::string file, ConfigReport& report) : file_(std::move(file)), report_(report) {}

  void read(const toml::table& root) {
    for (auto&& [name, node] : root) top_level(name, node);
    for (const std::string_view key : derive(report_.config, places_)) derived_.emplace_back(key);
    if (report_.ok()) {  // Rules over values that were refused would accuse their defaults.
      for (Problem& problem : judge_rules(report_.config, places_, file_))
        report_.problems.push_back(std::move(problem));
    }
    std::stable_sort(report_.problems.begin(), report_.problems.end(),
                     [](const Problem& a, const Problem& b) {
                       return std::pair(a.line, a.column) < std::pair(b.line, b.column);
                     });
  }

  // What is in force, key by key.
  void list_values() {
    for (const Key<Config>& key : config_keys()) {
      std::string name = full_name(key.section, key.name);
      const bool derived = std::find(derived_.begin(), derived_.end(), name) != derived_.end();
      const Origin origin = derived || automatic(key) ? Origin::Auto
                            : places_.contains(name)  ? Origin::Set
                                                      : Origin::Default;
      std::string value = automatic(key) ? "\"auto\"" : key.show(report_.config);
      report_.values.push_back({std::move(name), std::move(value), origin});
    }
    list_entries("verifier", verifier_keys(), report_.config.verifiers);
    list_entries("notify", notify_keys(), report_.config.notify);
  }

 private:
  void problem(Severity severity, Place place, std::string message) {
    report_.problems.push_back({file_, place.line, place.column, severity, std::move(message)});
  }

  [[nodiscard]] bool automatic(const Key<Config>& key) const {
    static const Config kDefaults;
    return key.automatic && key.show(report_.config) == key.show(kDefaults);
  }

  static const std::vector<std::string_view>& sections() {
    static const std::vector<std::string_view> names = [] {
      std::vector<std::string_view> all;
      for (const Key<Config>& key : config_keys()) {
        if (std::find(all.begin(), all.end(), key.section) == all.end()) all.push_back(key.section);
      }
      all.insert(all.end(), {"verifier", "notify"});
      return all;
    }();
    return names;
  }

  void top_level(const toml::key& name, const toml::node& node) {
    const std::string_view section = name.str();
    const Place place = place_of(name.source());
    places_.emplace(std::string(section), place);
    if (section == "verifier")
      return read_entries(name, node, verifier_keys(), report_.config.verifiers);
    if (section == "notify") return read_entries(name, node, notify_keys(), report_.config.notify);
    const auto& known = sections();
    if (std::find(known.begin(), known.end(), section) == known.end())
      return unknown(name, known, node.is_table() ? "section" : "key outside of any section");
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      problem(Severity::Error, place,
              std::string(section) + " is a section; write [" + std::string(section) +
                  "] on a line of its own and its keys below" +
                  (node.is_array() ? ", once and with single brackets" : ""));
      return;
    }
    read_table(*table, section, std::string(section), config_keys(), report_.config);
  }

  void unknown(const toml::key& name, const std::vector<std::string_view>& known,
               std::string_view what) {
    std::string remedy;
    if (const std::string_view near = nearest(name.str(), known); !near.empty()) {
      remedy = "; did you mean '" + std::string(near) + "'?";
    } else if (const std::string elsewhere = section_of(name.str()); !elsewhere.empty()) {
      remedy = "; there is one of that name in [" + elsewhere + "]";
    } else {
      remedy = "; remove it, or see docs/reference/configuration.md";
    }
    problem(
        Severity::Warning, place_of(name.source()),
        "unknown " + std::string(what) + " '" + printable(name.str()) + "' has no effect" + remedy);
  }

  // The section that knows the key, for one that stands in the wrong place.
  static std::string section_of(std::string_view name) {
    for (const Key<Config>& key : config_keys()) {
      if (key.name == name) return std::string(key.section);
    }
    return "";
  }

  template <typename Target>
  void read_table(const toml::table& table, std::string_view section, const std::string& prefix,
                  const std::vector<Key<Target>>& keys, Target& target) {
    std::vector<std::string_view> names;
    for (const Key<Target>& key : keys) {
      if (key.section == section) names.push_back(key.name);
    }
    for (auto&& [name, node] : table) {
      const auto key =
          std::find_if(keys.begin(), keys.end(), [&, n = name.str()](const Key<Target>& k) {
            return k.section == section && k.name == n;
          });
      if (key != keys.end()) {
        read_key(*key, prefix, name, node, target);
      } else if (names_a_secret(name.str())) {
        problem(Severity::Error, place_of(name.source()),
                "'" + printable(name.str()) +
                    "': a secret is never written in this file; put it alone into a file that only "
                    "the service can read and name "
                    "that file with the key that ends in _file" +
                    file_key(name.str(), names));
      } else {
        unknown(name, names, "key");
      }
    }
  }

  // ", here token_file", when the section has one for this secret.
  static std::string file_key(std::string_view secret, const std::vector<std::string_view>& names) {
    std::string_view best;
    for (const std::string_view name : names) {
      if (!name.ends_with("_file")) continue;
      const std::string_view stem = name.substr(0, name.size() - 5);
      if (!names_a_secret(stem)) continue;  // ca_file
      const bool meant = stem.find(secret) != std::string_view::npos ||
                         secret.find(stem) != std::string_view::npos;
      if (best.empty() || meant) best = name;
    }
    return best.empty() ? "" : ", here " + std::string(best);
  }

  template <typename Target>
  void read_key(const Key<Target>& key, const std::string& prefix, const toml::key& name,
                const toml::node& node, Target& target) {
    const std::string shown = full_name(key.section, key.name);
    const Place place = place_of(node.source());
    places_.emplace(prefix + "." + std::string(key.name), place_of(name.source()));
    const Read value = read_value(node, key);
    if (!value) return problem(Severity::Error, place, shown + ": " + value.error().message);
    if (value->text == "auto" && key.automatic) return;  // The default already.
    const std::string before = key.show(target);
    if (const core::Result<void> fit = key.set(target, *value); !fit) {
      return problem(Severity::Error, place, shown + ": " + fit.error().message);
    }
    if (!key.acted_on && key.show(target) != before) {
      problem(Severity::Warning, place_of(name.source()),
              shown + ": accepted, but this version does not act on it yet");
    }
  }

  template <typename Entry>
  void read_entries(const toml::key& name, const toml::node& node,
                    const std::vector<Key<Entry>>& keys, std::vector<Entry>& into) {
    const std::string section(name.str());
    const toml::array* array = node.as_array();
    const bool tables =
        array != nullptr &&
        std::all_of(array->begin(), array->end(), [](const toml::node& n) { return n.is_table(); });
    if (!tables) {
      return problem(Severity::Error, place_of(name.source()),
                     section + " can be there several times; write [[" + section +
                         "]], with two brackets on each side");
    }
    if (array->size() > kEntriesMax) {
      return problem(
          Severity::Error, place_of(name.source()),
          "more than " + std::to_string(kEntriesMax) + " [[" + section + "]]; remove some");
    }
    for (const toml::node& item : *array) {
      const std::string prefix = section + "." + std::to_string(into.size());
      const Place place = place_of(item.source());
      places_.emplace(prefix, place);
      read_table(*item.as_table(), section, prefix, keys, into.emplace_back());
    }
  }

  template <typename Entry>
  void list_entries(const std::string& section, const std::vector<Key<Entry>>& keys,
                    const std::vector<Entry>& entries) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      for (const Key<Entry>& key : keys) {
        const bool set =
            places_.contains(section + "." + std::to_string(i) + "." + std::string(key.name));
        report_.values.push_back({section + "[" + std::to_string(i) + "]." + std::string(key.name),
                                  key.show(entries[i]), set ? Origin::Set : Origin::Default});
      }
    }
  }

  std::string file_;
  ConfigReport& report_;
  Places places_;
  std::vector<std::string> derived_;
};

ConfigReport unreadable(const std::string& path, std::string message) {
  ConfigReport report = default_config();
  report.problems.push_back({path, 0, 0, Severity::Error, std::move(message)});
  return report;
}

}  // namespace

std::string_view to_string(LogLevel level) {
  constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warning", "error"};
  ENSURE(static_cast<std::size_t>(level) < kNames.size(), "a log level outside its list");
  return kNames[static_cast<std::size_t>(level)];
}

std::string_view to_string(LogFormat format) {
  constexpr std::array<std::string_view, 4> kNames{"auto", "text", "journal", "json"};
  ENSURE(static_cast<std::size_t>(format) < kNames.size(), "a log format outside its list");
  return kNames[static_cast<std::size_t>(format)];
}

std::string_view to_string(Origin origin) {
  constexpr std::array<std::string_view, 3> kNames{"set", "default", "auto"};
  ENSURE(static_cast<std::size_t>(origin) < kNames.size(), "an origin outside its list");
  return kNames[static_cast<std::size_t>(origin)];
}

ConfigReport load_config(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return unreadable(path, std::string("cannot be read: ") + std::strerror(errno) +
                                "; give the path of a TOML file that this user may read");
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.fail() && !file.eof()))
    return unreadable(path, "cannot be read; give the path of a TOML file");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax)
    return unreadable(
        path, "is larger than 4 MiB, which no configuration is; give the path of a TOML file");
  return parse_config(text, path);
}

ConfigReport parse_config(std::string_view text, const std::string& name) {
  ConfigReport report;
  Reader reader(name, report);
  try {
    reader.read(toml::parse(text, std::string_view(name)));
  } catch (const toml::parse_error& error) {
    const Place place = place_of(error.source());
    report.problems.push_back({name, place.line, place.column, Severity::Error,
                               "not TOML: " + std::string(error.description())});
  }
  reader.list_values();
  return report;
}

ConfigReport default_config() {
  return parse_config("", "defaults");
}

std::vector<std::string> known_config_keys() {
  std::vector<std::string> names;
  for (const auto& key : config_keys()) names.push_back(full_name(key.section, key.name));
  for (const auto& key : verifier_keys()) names.push_back(full_name(key.section, key.name));
  for (const auto& key : notify_keys()) names.push_back(full_name(key.section, key.name));
  return names;
}

std::vector<std::string> keys_needing_restart(const Config& running, const Config& wanted) {
  std::vector<std::string> names;
  for (const auto& key : config_keys()) {
    if (!key.live && key.show(running) != key.show(wanted))
      names.push_back(full_name(key.section, key.name));
  }
  return names;
}

}  // namespace watchwheel::app
