// SPDX-License-Identifier: Apache-2.0
#include "bench/rig/record.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/rig/process.h"

namespace watchwheel::rig {
namespace {

std::string padded(const std::string& text, std::size_t width, bool to_the_right) {
  // Widths count characters, not the bytes of one.
  const auto length = static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
  const std::string space(width > length ? width - length : 0, ' ');
  return to_the_right ? space + text : text + space;
}

std::string verdict(const Finding& finding) {
  if (finding.wanted.empty()) return "";
  return finding.is_met ? "ok" : "NOT MET";
}

std::string row(const std::vector<std::string>& cells) {
  std::string out = "|";
  for (const std::string& cell : cells) out += " " + cell + " |";
  return out + "\n";
}

}  // namespace

std::string readable(double value) {
  if (!std::isfinite(value)) return value > 0 ? "above the scale" : "-";
  std::array<char, 64> text{};
  if (value == std::floor(value) && std::abs(value) < 1e15) {
    std::snprintf(text.data(), text.size(), "%.0f", value);
    std::string out = text.data();
    const std::size_t stop = out.front() == '-' ? 1 : 0;
    if (out.size() - stop <= 4) return out;
    for (std::size_t at = out.size(); at > stop + 3;) out.insert(at -= 3, ",");
    return out;
  }
  const double size = std::abs(value);
  const int digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4;
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

void Record::require(std::string what, double value, bool is_met, std::string wanted) {
  findings_.push_back({std::move(what), value, std::move(wanted), is_met});
}

void Record::tell(std::string what, double value) {
  findings_.push_back({std::move(what), value, "", true});
}

bool Record::is_passed() const {
  return std::all_of(findings_.begin(), findings_.end(),
                     [](const Finding& finding) { return finding.is_met; });
}

std::string Record::text() const {
  std::string out = "-- " + title_ + "\n";
  for (const Finding& finding : findings_) {
    std::string line = padded(finding.what, 52, false) + padded(readable(finding.value), 14, true);
    if (!finding.wanted.empty())
      line += "  " + padded(verdict(finding), 8, false) + "(" + finding.wanted + ")";
    out += line + "\n";
  }
  for (const Table& table : tables_) {
    std::vector<std::size_t> widths;
    for (const std::string& column : table.columns) widths.push_back(column.size());
    for (const auto& cells : table.rows) {
      for (std::size_t i = 0; i < cells.size() && i < widths.size(); ++i) {
        widths[i] = std::max(widths[i], cells[i].size());
      }
    }
    out += "\n" + table.title + "\n";
    const auto line = [&](const std::vector<std::string>& cells) {
      for (std::size_t i = 0; i < cells.size() && i < widths.size(); ++i) {
        out += padded(cells[i], widths[i] + 2, i > 0);
      }
      out += "\n";
    };
    line(table.columns);
    for (const auto& cells : table.rows) line(cells);
  }
  for (const auto& [title, text] : quotes_) out += "\n" + title + "\n" + text + "\n";
  for (const std::string& text : notes_) out += text + "\n";
  return out;
}

std::string Record::markdown() const {
  std::string out = "## " + title_ + "\n\n";
  out += row({"found", "", "wanted", ""}) + row({"---", "---:", "---", "---"});
  for (const Finding& finding : findings_) {
    out += row({finding.what, readable(finding.value), finding.wanted, verdict(finding)});
  }
  for (const Table& table : tables_) {
    out += "\n" + table.title + "\n\n" + row(table.columns);
    out += row(std::vector<std::string>(table.columns.size(), "---"));
    for (const auto& cells : table.rows) out += row(cells);
  }
  for (const auto& [title, text] : quotes_) {
    out += "\n" + title + "\n\n```\n" + text + "\n```\n";
  }
  for (const std::string& text : notes_) out += "\n" + text + "\n";
  for (std::size_t i = 0; i < charts_.size(); ++i) {
    out += "\n![" + charts_[i].title + "](" + chart_file(i) + ")\n";
  }
  return out;
}

std::string Record::json() const {
  nlohmann::ordered_json out = {{"name", name_}, {"title", title_}, {"passed", is_passed()}};
  out["findings"] = nlohmann::ordered_json::array();
  for (const Finding& finding : findings_) {
    nlohmann::ordered_json one = {{"what", finding.what}};
    one["value"] = std::isfinite(finding.value) ? nlohmann::ordered_json(finding.value) : nullptr;
    if (!finding.wanted.empty()) {
      one["wanted"] = finding.wanted;
      one["met"] = finding.is_met;
    }
    out["findings"].push_back(std::move(one));
  }
  out["tables"] = nlohmann::ordered_json::array();
  for (const Table& table : tables_) {
    out["tables"].push_back(
        {{"title", table.title}, {"columns", table.columns}, {"rows", table.rows}});
  }
  out["notes"] = notes_;
  out["quotes"] = quotes_;
  out["series"] = nlohmann::ordered_json::array();
  for (const Chart& chart : charts_) {
    for (const Series& series : chart.series) {
      nlohmann::ordered_json points = nlohmann::ordered_json::array();
      for (const auto& [x, y] : series.points) points.push_back({x, y});
      out["series"].push_back({{"chart", chart.title}, {"name", series.name}, {"points", points}});
    }
  }
  return out.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string Record::chart_file(std::size_t number) const {
  return name_ + "-" + std::to_string(number + 1) + ".svg";
}

void Record::write(const std::string& directory) const {
  write_text(directory + "/" + name_ + ".json", json());
  write_text(directory + "/" + name_ + ".md", markdown());
  for (std::size_t i = 0; i < charts_.size(); ++i) {
    write_text(directory + "/" + chart_file(i), svg_of(charts_[i]));
  }
}

}  // namespace watchwheel::rig
