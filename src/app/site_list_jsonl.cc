// SPDX-License-Identifier: Apache-2.0
// JSON lines: one object a line, its keys the site columns. Texts as in the CSV; `id` may be a number, `active` and the other
// switches true or false, `tags` and the repeatable options lists of texts.
#include <algorithm>
#include <charconv>
#include <istream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "app/site_fields.h"
#include "app/site_list.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

bool is_list(std::string_view column) {
  return column == "tags" || column == kParentsColumn || is_repeatable(column);
}

core::Error invalid(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

core::Result<std::string> list_text(const Json& value, std::string_view column) {
  std::string text;
  for (const Json& item : value) {
    if (column == kParentsColumn && item.is_number_unsigned()) {
      text += (text.empty() ? "" : "\n") + item.dump();
      continue;
    }
    const auto* one = item.get_ptr<const Json::string_t*>();
    if (one == nullptr)
      return invalid(std::string(column) +
                     ": the list holds something that is no text; write [\"…\", \"…\"]");
    if (one->find('\n') != std::string::npos)
      return invalid(std::string(column) +
                     ": a text in the list has a line break in it; remove it");
    text += (text.empty() ? "" : "\n") + *one;
  }
  return text;
}

// The text that the CSV would have.
core::Result<std::string> value_text(const Json& value, std::string_view column) {
  if (value.is_null()) return std::string();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return std::string(value.get<bool>() ? "true" : "false");
  if (value.is_number_integer()) return value.dump();
  if (value.is_array() && is_list(column)) return list_text(value, column);
  return invalid(std::string(column) + ": this kind of value does not fit; write a text in quotes" +
                 (is_list(column) ? " or a list of them" : ""));
}

class JsonlReader final : public SiteReader {
 public:
  JsonlReader(std::istream& in, std::string file, const ChecksConfig& defaults)
      : in_(in), file_(std::move(file)), defaults_(defaults) {}

  bool next(SiteRow& row) override {
    row = SiteRow{};
    std::string text;
    bool cut = false;
    do {
      if (!read_line(text, cut)) return false;
      if (line_ == 1 && text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
    } while (!cut && text.find_first_not_of(" \t\r") == std::string::npos);
    row.line = line_;
    if (cut) {
      problem(row, 0,
              "longer than " + std::to_string(kRowBytesMax / 1024) +
                  " KiB, which no site is; shorten it");
    } else {
      fill(row, text);
    }
    return true;
  }

 private:
  void problem(SiteRow& row, std::uint64_t column, std::string message) {
    row.problems.push_back({file_, row.line, column, Severity::Error, std::move(message)});
  }

  // `cut`: the line was longer than a row may be; the rest of it has been skipped.
  bool read_line(std::string& text, bool& cut) {
    text.clear();
    cut = false;
    ++line_;
    using Traits = std::istream::traits_type;
    std::streambuf& buffer = *in_.rdbuf();
    Traits::int_type c = buffer.sbumpc();
    if (Traits::eq_int_type(c, Traits::eof())) return false;
    for (; !Traits::eq_int_type(c, Traits::eof()); c = buffer.sbumpc()) {
      if (Traits::to_char_type(c) == '\n') break;
      cut = cut || text.size() >= kRowBytesMax;
      if (!cut) text += Traits::to_char_type(c);
    }
    return true;
  }

  void fill(SiteRow& row, const std::string& text) {
    std::size_t bad_at = 0;
    if (!is_utf8(text, &bad_at))
      return problem(row, bad_at + 1, "not UTF-8; save the file as UTF-8");
    std::set<std::string> keys;
    std::string twice;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
      if (depth == 1 && event == Json::parse_event_t::key &&
          !keys.insert(parsed.get<std::string>()).second)
        twice = parsed.get<std::string>();
      return true;
    };
    Json json;
    try {
      json = Json::parse(text, watch);
    } catch (const Json::parse_error& error) {
      return problem(row, error.byte, "not a JSON object on one line; " + remedy(text));
    } catch (const Json::out_of_range&) {
      return problem(row, 0, "a number in it is larger than any computer keeps; correct it");
    }
    if (!json.is_object()) return problem(row, 1, "this is JSON but no object; " + remedy(text));
    if (!twice.empty())
      return problem(row, 0, "the key '" + printable(twice, 40) + "' is there twice; remove one");
    for (const auto& [name, value] : json.items()) set_field(row, name, value);
    finish(row);
  }

  static std::string remedy(std::string_view text) {
    if (text.find("url,") != std::string_view::npos || text.starts_with("http"))
      return "is the file a CSV? then use --format csv";
    return "write {\"url\": \"https://…\"}";
  }

  void set_field(SiteRow& row, const std::string& name, const Json& value) {
    const auto& known = site_columns();
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      const std::string_view near = nearest(name, known);
      return problem(
          row, 0,
          "unknown key '" + printable(name, 40) + "'" +
              (near.empty() ? "; remove it" : "; did you mean '" + std::string(near) + "'?"));
    }
    const core::Result<std::string> text = value_text(value, name);
    if (!text) return problem(row, 0, text.error().message);
    if (const core::Result<void> fit = set_site_field(row.record, name, *text); !fit)
      problem(row, 0, fit.error().message);
  }

  void finish(SiteRow& row) {
    if (!row.problems.empty()) return;
    if (const core::Result<void> fit = check_site(row.record, defaults_); !fit)
      return problem(row, 0, fit.error().message);
    if (const std::uint64_t first = duplicates_.seen_before(row.record, row.line); first != 0) {
      problem(row, 0,
              "the same site as line " + std::to_string(first) +
                  "; remove one of them, or give each its id");
    }
  }

  std::istream& in_;
  std::string file_;
  const ChecksConfig& defaults_;
  std::uint64_t line_ = 0;
  DuplicateFinder duplicates_;
};

// Ids as numbers, URLs as texts.
Json parents_json(std::string_view text) {
  Json list = Json::array();
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), id);
    const bool number = error == std::errc{} && end == one.data() + one.size();
    list.push_back(number ? Json(id) : Json(one));
  }
  return list;
}

// As a list; as it stands where a list would lose its blank lines, for what is read back must be the same record.
Json lines(std::string_view text) {
  Json list = Json::array();
  for (std::string_view rest = text;;) {
    const std::size_t end = rest.find('\n');
    if (end == 0 || rest.empty()) return Json(text);
    list.push_back(rest.substr(0, end));
    if (end == std::string_view::npos) return list;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace

std::unique_ptr<SiteReader> make_jsonl_reader(std::istream& in, std::string file,
                                              const ChecksConfig& defaults) {
  return std::make_unique<JsonlReader>(in, std::move(file), defaults);
}

std::string site_jsonl(const core::SiteRecord& record) {
  Json json = Json::object();
  if (record.id.value != 0) json["id"] = record.id.value;
  json["url"] = record.url;
  if (record.interval) json["interval"] = get_site_field(record, "interval");
  json["active"] = record.active;
  if (!record.name.empty()) json["name"] = record.name;
  if (!record.tags.empty()) json["tags"] = record.tags;
  for (const auto& [name, text] : record.options) {
    json[name] = name == kParentsColumn ? parents_json(text)
                 : is_repeatable(name)  ? lines(text)
                                        : Json(text);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace watchwheel::app
