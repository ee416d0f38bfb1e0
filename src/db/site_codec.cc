// SPDX-License-Identifier: Apache-2.0
#include "db/site_codec.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/units.h"
#include "db/text.h"

namespace watchwheel::db {
namespace {

using nlohmann::json;

constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kTagsMax = 32;
constexpr std::size_t kTagBytesMax = 64;

core::Error invalid(std::string message) {
  return core::Error{core::ErrorKind::Invalid, std::move(message)};
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

core::Result<void> check_text(std::string_view what, std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    return invalid(std::string(what) + " has " + std::to_string(text.size()) + " bytes; at most " +
                   std::to_string(bytes_max));
  }
  if (!is_utf8(text))
    return invalid(std::string(what) + " is not UTF-8; convert the list to UTF-8");
  if (has_control(text)) return invalid(std::string(what) + " holds a control character");
  return {};
}

core::Result<void> check_tags(const std::vector<std::string>& tags) {
  if (tags.size() > kTagsMax) {
    return invalid(std::to_string(tags.size()) + " tags; at most " + std::to_string(kTagsMax));
  }
  for (const std::string& tag : tags) {
    if (tag.empty()) return invalid("a tag is empty");
    if (core::Result<void> fits = check_text("a tag", tag, kTagBytesMax); !fits) return fits;
  }
  return {};
}

core::Result<void> check_options(const core::SiteOptions& options) {
  const auto& names = core::option_names();
  for (auto option = options.begin(); option != options.end(); ++option) {
    const auto& [name, text] = *option;
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return invalid("'" + to_utf8(name, kTagBytesMax) + "' is not a check option");
    }
    const auto same_name = [&name = name](const auto& other) { return other.first == name; };
    if (std::any_of(options.begin(), option, same_name))
      return invalid("option " + name + " is given twice");
    if (!is_utf8(text))
      return invalid("option " + name + " is not UTF-8; convert the list to UTF-8");
  }
  return {};
}

core::Error corrupt(std::string message) {
  return core::Error{core::ErrorKind::Corrupt, std::move(message)};
}

}  // namespace

core::Result<void> check_record(const core::SiteRecord& record) {
  if (record.id.value > kGivenSiteIdMax) {
    return invalid("id " + std::to_string(record.id.value) + " is too large; at most " +
                   std::to_string(kGivenSiteIdMax));
  }
  if (record.url.empty()) return invalid("the URL is empty");
  if (core::Result<void> fits = check_text("the URL", record.url, core::kUrlBytesMax); !fits)
    return fits;
  if (core::Result<void> fits = check_text("the name", record.name, kNameBytesMax); !fits)
    return fits;
  if (record.interval) {
    const core::Duration interval = *record.interval;
    if (interval < core::kIntervalMin || interval > core::kIntervalMax ||
        interval % std::chrono::milliseconds{1} != core::Duration{}) {
      return invalid("interval " + core::format_duration(interval) +
                     " does not fit; whole milliseconds from " +
                     core::format_duration(core::kIntervalMin) + " to " +
                     core::format_duration(core::kIntervalMax));
    }
  }
  if (core::Result<void> fits = check_tags(record.tags); !fits) return fits;
  return check_options(record.options);
}

std::string tags_to_json(const std::vector<std::string>& tags) {
  if (tags.empty()) return "[]";  // Most sites; a tenth of the import's time otherwise.
  return json(tags).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string options_to_json(const core::SiteOptions& options) {
  if (options.empty()) return "{}";
  json object = json::object();
  for (const auto& [name, text] : options) object[name] = text;
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

core::Result<std::vector<std::string>> tags_from_json(std::string_view text) {
  if (text == "[]") return std::vector<std::string>{};
  const json array = json::parse(text, nullptr, false);
  if (!array.is_array()) return corrupt("tags is not a JSON array");
  std::vector<std::string> tags;
  for (const json& tag : array) {
    if (!tag.is_string()) return corrupt("tags holds something other than texts");
    tags.push_back(tag.get<std::string>());
  }
  return tags;
}

core::Result<core::SiteOptions> options_from_json(std::string_view text) {
  if (text == "{}") return core::SiteOptions{};
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return corrupt("options is not a JSON object");
  core::SiteOptions options;
  for (const auto& [name, value] : object.items()) {
    if (!value.is_string()) return corrupt("option " + name + " is not a text");
    options.emplace_back(name, value.get<std::string>());
  }
  return options;
}

}  // namespace watchwheel::db
