// SPDX-License-Identifier: Apache-2.0
// bench/rig/record.h - what one scenario found, to be read by people and programs.
//
// A value: findings with what was wanted of them, tables, charts. Written as NAME.json, NAME.md and one
// SVG a chart.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "bench/rig/svg.h"

namespace watchwheel::rig {

// A number as people read it: 0.00123, 12.3, 1234, 2,000,000.
[[nodiscard]] std::string readable(double value);

struct Finding {
  std::string what;
  double value = 0;
  std::string wanted;  // In words; empty for what is only told.
  bool is_met = true;
};

struct Table {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

class Record {
 public:
  Record(std::string name, std::string title) : name_(std::move(name)), title_(std::move(title)) {}

  void require(std::string what, double value, bool is_met, std::string wanted);
  void tell(std::string what, double value);
  // A sentence that a reader needs.
  void note(std::string text) { notes_.push_back(std::move(text)); }
  // Text of another program, as it is.
  void quote(std::string title, std::string text) {
    quotes_.emplace_back(std::move(title), std::move(text));
  }
  void add(Table table) { tables_.push_back(std::move(table)); }
  void add(Chart chart) { charts_.push_back(std::move(chart)); }

  [[nodiscard]] bool is_passed() const;
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<Finding>& findings() const { return findings_; }

  [[nodiscard]] std::string text() const;      // For a terminal.
  [[nodiscard]] std::string markdown() const;  // Refers to the files of the charts.
  [[nodiscard]] std::string json() const;

  // Writes everything into `directory`, which is there.
  void write(const std::string& directory) const;

 private:
  [[nodiscard]] std::string chart_file(std::size_t number) const;

  std::string name_;
  std::string title_;
  std::vector<Finding> findings_;
  std::vector<std::string> notes_;
  std::vector<std::pair<std::string, std::string>> quotes_;
  std::vector<Table> tables_;
  std::vector<Chart> charts_;
};

}  // namespace watchwheel::rig
