// SPDX-License-Identifier: Apache-2.0
#include "app/site_fields.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "app/problem.h"
#include "checker/content_rules.h"
#include "checker/target.h"
#include "core/units.h"
#include "sideeffects/parents_api.h"

namespace watchwheel::app {
namespace {

using core::Result;

constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kTagsMax = 32;
constexpr std::size_t kTagBytesMax = 64;

core::Error invalid(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<void> set_id(core::SiteRecord& record, std::string_view text) {
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size() || id == 0 || id > INT64_MAX) {
    return invalid(
        "id: '" + printable(text, 40) +
        "' is no site id; write a whole number from 1 up, or leave it empty for a new site");
  }
  record.id = core::SiteId{id};
  return {};
}

Result<void> set_url(core::SiteRecord& record, std::string_view text) {
  if (text.size() > core::kUrlBytesMax) {
    return invalid("url: longer than " + std::to_string(core::kUrlBytesMax) + " bytes; shorten it");
  }
  if (const Result<checker::Target> target = checker::parse_target(text); !target)
    return invalid("url: " + target.error().message);
  record.url = text;
  return {};
}

Result<void> set_interval(core::SiteRecord& record, std::string_view text) {
  const Result<core::Duration> interval = core::parse_duration(text);
  if (!interval) return invalid("interval: " + interval.error().message);
  if (*interval < core::kIntervalMin || *interval > core::kIntervalMax) {
    return invalid("interval: '" + printable(text, 40) + "' is out of range; write 1s to 24h");
  }
  record.interval = *interval;
  return {};
}

Result<void> set_active(core::SiteRecord& record, std::string_view text) {
  if (text != "true" && text != "false") {
    return invalid("active: '" + printable(text, 40) +
                   "' is neither true nor false; write false for a paused site");
  }
  record.active = text == "true";
  return {};
}

Result<void> set_name(core::SiteRecord& record, std::string_view text) {
  if (text.size() > kNameBytesMax)
    return invalid("name: longer than " + std::to_string(kNameBytesMax) + " bytes; shorten it");
  if (has_control(text)) return invalid("name: holds a line break or control character; remove it");
  record.name = text;
  return {};
}

Result<void> set_tags(core::SiteRecord& record, std::string_view text) {
  std::vector<std::string> tags;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of(",\n");
    const std::string_view tag = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (tag.empty()) continue;
    if (tag.size() > kTagBytesMax)
      return invalid("tags: '" + printable(tag, 40) + "' is longer than " +
                     std::to_string(kTagBytesMax) + " bytes; shorten it");
    if (has_control(tag))
      return invalid("tags: '" + printable(tag, 40) + "' holds a control character; remove it");
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.emplace_back(tag);
  }
  if (tags.size() > kTagsMax)
    return invalid("tags: more than " + std::to_string(kTagsMax) + "; remove some");
  record.tags = std::move(tags);
  return {};
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Ids or URLs: a comma may stand in a URL, so it parts only what stands before a number or a space.
Result<std::vector<std::string>> split_parents(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  std::vector<std::string> parents;
  const auto add = [&](std::string_view one) {
    if (one.empty()) return;
    if (std::find(parents.begin(), parents.end(), one) == parents.end()) parents.emplace_back(one);
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(kSpaces), text.size());
    std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!word.empty()) {
      const std::size_t comma = std::min(word.find(','), word.size());
      if (!is_number(word.substr(0, comma)) && comma != 0) break;
      add(word.substr(0, comma));
      word.remove_prefix(std::min(comma + 1, word.size()));
    }
    if (word.ends_with(',')) word.remove_suffix(1);
    add(word);
  }
  for (const std::string& parent : parents) {
    if (is_number(parent)) {
      core::SiteRecord scratch;
      if (const Result<void> fit = set_id(scratch, parent); !fit)
        return invalid("parents: '" + printable(parent, 40) + "' is no site id");
      continue;
    }
    if (const Result<checker::Target> target = checker::parse_target(parent); !target)
      return invalid("parents: '" + printable(parent, 40) +
                     "' is neither the id nor the URL of a site; write 12 or https://…");
  }
  if (parents.size() > sideeffects::kParentsMax)
    return invalid("parents: more than " + std::to_string(sideeffects::kParentsMax) +
                   "; remove some");
  return parents;
}

// A name without '/' is that of a systemd credential, where a secret may be in the file.
bool is_relative_path(std::string_view option, std::string_view text) {
  if (!option.ends_with("_file") || text.starts_with('/')) return false;
  return option == "ca_file" || text.find('/') != std::string_view::npos;
}

// Spaces matter in a body and in what is looked for in one; around everything else they are slips.
bool is_verbatim(std::string_view column) {
  return column == "body" || column == "keyword" || column == "forbidden" ||
         column == "body_match" || column == "body_not_match" || column == "json_equals";
}

void keep_option(core::SiteRecord& record, std::string_view name, std::string_view text) {
  const auto at =
      std::lower_bound(record.options.begin(), record.options.end(), name,
                       [](const auto& option, std::string_view n) { return option.first < n; });
  if (at != record.options.end() && at->first == name) {
    at->second = text;
  } else {
    record.options.emplace(at, name, text);
  }
}

Result<void> set_parents(core::SiteRecord& record, std::string_view text) {
  const Result<std::vector<std::string>> parents = split_parents(text);
  if (!parents) return parents.error();
  std::string joined;
  for (const std::string& parent : *parents) joined += (joined.empty() ? "" : " ") + parent;
  keep_option(record, kParentsColumn, joined);
  return {};
}

Result<void> set_option(core::SiteRecord& record, std::string_view name, std::string_view text) {
  core::CheckOptions scratch;
  if (Result<void> fit = core::apply_option(scratch, name, text); !fit) return fit;
  if (is_relative_path(name, text)) {
    return invalid(std::string(name) +
                   ": the path is relative, and the daemon has no useful working directory; write "
                   "it from the root");
  }
  keep_option(record, name, text);
  return {};
}

// Whether what is looked for differs from the configuration's, which was checked with it.
bool changes_content(const core::SiteOptions& own) {
  return std::any_of(own.begin(), own.end(), [](const auto& option) {
    return option.first.starts_with("body_") || option.first == "json_equals" ||
           option.first == "expect_header" || option.first == "max_body";
  });
}

void unset(core::SiteRecord& record, std::string_view column) {
  if (column == "id") record.id = core::SiteId{};
  if (column == "url") record.url.clear();
  if (column == "interval") record.interval.reset();
  if (column == "active") record.active = true;
  if (column == "name") record.name.clear();
  if (column == "tags") record.tags.clear();
  std::erase_if(record.options, [&](const auto& option) { return option.first == column; });
}

}  // namespace

const std::vector<std::string_view>& site_columns() {
  static const std::vector<std::string_view> columns = [] {
    std::vector<std::string_view> all{"id",   "url",  "interval",    "active",
                                      "name", "tags", kParentsColumn};
    all.insert(all.end(), core::option_names().begin(), core::option_names().end());
    return all;
  }();
  return columns;
}

bool is_repeatable(std::string_view column) {
  return core::is_repeatable_option(column);
}

Result<void> set_site_field(core::SiteRecord& record, std::string_view column,
                            std::string_view text) {
  const std::string_view value = is_verbatim(column) ? text : trimmed(text);
  if (value.empty()) {
    unset(record, column);
    return {};
  }
  if (std::size_t bad_at = 0; !is_utf8(value, &bad_at)) {
    return invalid(std::string(column) + ": byte " + std::to_string(bad_at + 1) +
                   " is not UTF-8; write it in UTF-8");
  }
  if (value.find('\0') != std::string_view::npos) {
    return invalid(std::string(column) + ": holds a zero byte; remove it");
  }
  if (column == "id") return set_id(record, value);
  if (column == "url") return set_url(record, value);
  if (column == "interval") return set_interval(record, value);
  if (column == "active") return set_active(record, value);
  if (column == "name") return set_name(record, value);
  if (column == "tags") return set_tags(record, value);
  if (column == kParentsColumn) return set_parents(record, value);
  return set_option(record, column, value);
}

std::string get_site_field(const core::SiteRecord& record, std::string_view column) {
  if (column == "id") return record.id.value == 0 ? "" : std::to_string(record.id.value);
  if (column == "url") return record.url;
  if (column == "interval") return record.interval ? core::format_duration(*record.interval) : "";
  if (column == "active") return record.active ? "true" : "false";
  if (column == "name") return record.name;
  if (column == "tags") {
    std::string text;
    for (const std::string& tag : record.tags) text += (text.empty() ? "" : ",") + tag;
    return text;
  }
  for (const auto& [name, text] : record.options) {
    if (name == column) return text;
  }
  return "";
}

std::vector<std::string> take_parents(core::SiteRecord& record) {
  std::vector<std::string> parents;
  std::string_view text;
  const std::string whole = get_site_field(record, kParentsColumn);
  for (text = whole; !text.empty();) {
    const std::size_t end = std::min(text.find(' '), text.size());
    parents.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  unset(record, kParentsColumn);
  return parents;
}

Result<void> check_site(const core::SiteRecord& record, const ChecksConfig& defaults) {
  if (record.url.empty()) return invalid("url: is empty; every site needs one");
  core::Duration timeout = defaults.options.timeout;
  if (!record.options.empty()) {  // Most sites have none: nothing to copy for them.
    core::SiteRecord own;
    own.options = record.options;
    (void)take_parents(own);
    const Result<core::CheckOptions> merged = core::merge_options(defaults.options, own.options);
    if (!merged) return merged.error();
    if (changes_content(own.options)) {
      if (Result<void> fit = checker::check_content_options(*merged); !fit) return fit;
    }
    timeout = merged->timeout;
  }
  const core::Duration interval = record.interval.value_or(defaults.interval);
  if (timeout > interval) {
    return invalid("interval: a check may take " + core::format_duration(timeout) +
                   ", longer than the interval of " + core::format_duration(interval) +
                   "; set the site's timeout to at most the interval, or raise the interval");
  }
  return {};
}

}  // namespace watchwheel::app
