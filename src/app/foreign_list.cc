// SPDX-License-Identifier: Apache-2.0
#include "app/foreign_list.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
#include <utility>

#include "app/foreign_draft.h"
#include "app/site_fields.h"
#include "core/units.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

std::string read_to_end(std::istream& in) {
  std::string text;
  std::array<char, 65536> chunk{};
  while (text.size() <= kDocBytesMax &&
         (in.read(chunk.data(), static_cast<std::streamsize>(chunk.size())), in.gcount() > 0))
    text.append(chunk.data(), static_cast<std::size_t>(in.gcount()));
  return text;
}

class ForeignReader final : public SiteReader {
 public:
  ForeignReader(ForeignSource source, std::istream& in, const ChecksConfig& defaults)
      : source_(std::move(source)), in_(in), defaults_(defaults) {}

  bool next(SiteRow& row) override {
    if (!read_) read();
    if (at_ == rows_.size()) return false;
    row = std::move(rows_[at_++]);
    return true;
  }

 private:
  void read() {
    read_ = true;
    auto document = read_document(source_.file, read_to_end(in_));
    if (auto* problem = std::get_if<Problem>(&document)) {
      rows_.push_back(unreadable_row(std::move(*problem)));
      return;
    }
    const auto& root = std::get<DocNode>(document);
    switch (source_.format) {
      case ForeignFormat::Gatus:
        return read_gatus(root, source_.file, defaults_, rows_);
      case ForeignFormat::UptimeKuma:
        return read_uptime_kuma(root, source_.file, defaults_, rows_);
      case ForeignFormat::Blackbox:
        return read_blackbox(root, source_, defaults_, rows_);
    }
  }

  ForeignSource source_;
  std::istream& in_;
  const ChecksConfig& defaults_;
  bool read_ = false;
  std::vector<SiteRow> rows_;
  std::size_t at_ = 0;
};

std::optional<double> unit_seconds(std::string_view unit) {
  static constexpr std::array<std::pair<std::string_view, double>, 10> kUnits{{{"ns", 1e-9},
                                                                               {"us", 1e-6},
                                                                               {"µs", 1e-6},
                                                                               {"ms", 1e-3},
                                                                               {"s", 1},
                                                                               {"m", 60},
                                                                               {"h", 3600},
                                                                               {"d", 86400},
                                                                               {"w", 604800},
                                                                               {"y", 31536000}}};
  for (const auto& [name, seconds] : kUnits) {
    if (name == unit) return seconds;
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<SiteReader> make_foreign_reader(ForeignSource source, std::istream& in,
                                                const ChecksConfig& defaults) {
  return std::make_unique<ForeignReader>(std::move(source), in, defaults);
}

SiteDraft::SiteDraft(std::string file, std::uint32_t line) : file_(std::move(file)) {
  row_.line = line;
}

void SiteDraft::problem(Severity severity, std::string_view key, std::uint32_t line,
                        std::string_view message) {
  row_.problems.push_back(
      {file_, line, 0, severity, printable(key, 60) + ": " + printable(message, 400)});
}

void SiteDraft::set(std::string_view column, std::string_view text, std::string_view key,
                    std::uint32_t line) {
  if (const auto fit = set_site_field(row_.record, column, text); !fit)
    problem(Severity::Error, key, line, fit.error().message);
}

void SiteDraft::add(std::string_view column, std::string_view text, std::string_view key,
                    std::uint32_t line) {
  if (text.find('\n') != std::string_view::npos)
    return reject(key, line, "a value with a line break has no place in our list");
  const std::string before = get_site_field(row_.record, column);
  set(column, before.empty() ? std::string(text) : before + "\n" + std::string(text), key, line);
}

void SiteDraft::warn(std::string_view key, std::uint32_t line, std::string_view message) {
  problem(Severity::Warning, key, line, message);
}

void SiteDraft::reject(std::string_view key, std::uint32_t line, std::string_view message) {
  problem(Severity::Error, key, line, message);
}

void SiteDraft::pause(std::string_view key, std::uint32_t line, std::string_view message) {
  row_.record.active = false;
  warn(key, line, std::string(message) + "; the site comes in paused");
}

bool SiteDraft::has(std::string_view column) const {
  return !get_site_field(row_.record, column).empty();
}

SiteRow SiteDraft::finish(const ChecksConfig& defaults, DuplicateFinder& duplicates) {
  if (any_error(row_.problems)) return std::move(row_);
  const auto line = static_cast<std::uint32_t>(row_.line);
  const core::Duration interval = row_.record.interval.value_or(defaults.interval);
  const std::string own = get_site_field(row_.record, "timeout");
  const auto parsed = core::parse_duration(own);
  const core::Duration timeout = parsed && !own.empty() ? *parsed : defaults.options.timeout;
  if (timeout > interval) {
    set("timeout", our_duration(interval), "interval", line);
    warn("interval", line,
         "a check may not take longer than its interval: its timeout becomes " +
             core::format_duration(interval));
  }
  if (const auto fit = check_site(row_.record, defaults); !fit) {
    row_.problems.push_back({file_, row_.line, 0, Severity::Error, fit.error().message});
  } else if (const auto first = duplicates.seen_before(row_.record, row_.line); first != 0) {
    row_.problems.push_back({file_, row_.line, 0, Severity::Error,
                             "the same URL as line " + std::to_string(first) +
                                 ", and a site without an id is known by its URL; join the two"});
  }
  return std::move(row_);
}

SiteRow note(const std::string& file, std::uint64_t line, std::string_view key,
             std::string_view message) {
  SiteRow row;
  row.line = line;
  row.note = true;
  row.problems.push_back(
      {file, line, 0, Severity::Warning, printable(key, 60) + ": " + printable(message, 400)});
  return row;
}

SiteRow unreadable_row(Problem problem) {
  SiteRow row;
  row.line = problem.line;
  row.fatal = true;
  row.problems.push_back(std::move(problem));
  return row;
}

std::optional<core::Duration> parse_go_duration(std::string_view text) {
  if (text == "0") return core::Duration::zero();
  if (text.empty()) return std::nullopt;
  double seconds = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
    if (digits == 0 || error != std::errc{} || end != text.data() + digits) return std::nullopt;
    text.remove_prefix(digits);
    const std::size_t letters = std::min(text.find_first_of("0123456789."), text.size());
    const auto unit = unit_seconds(text.substr(0, letters));
    if (!unit) return std::nullopt;
    seconds += number * *unit;
    text.remove_prefix(letters);
  }
  if (!(seconds < 1e9)) return std::nullopt;
  return std::chrono::duration_cast<core::Duration>(std::chrono::duration<double>(seconds));
}

std::string our_duration(core::Duration d) {
  auto ms = std::chrono::round<std::chrono::milliseconds>(d);
  if (d > core::Duration::zero() && ms == 0ms) ms = 1ms;
  return core::format_duration(ms);
}

std::string quoted_expression(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte >= 0x80 || std::isalnum(byte) != 0 || c == '_' || c == ' ';
    if (!plain) out += '\\';
    out += c;
  }
  return out;
}

std::optional<std::string> read_file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return read_to_end(in);
}

}  // namespace watchwheel::app
