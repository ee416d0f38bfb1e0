// SPDX-License-Identifier: Apache-2.0
// A site list, as CSV or as JSON lines: read row by row; what is good is written and read back in both forms.
// Input: a byte (odd: JSON lines), then the file.
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "app/problem.h"
#include "app/site_fields.h"
#include "app/site_list.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

using app::ListFormat;
using Records = std::vector<core::SiteRecord>;

const app::ChecksConfig& defaults() {
  static const app::ChecksConfig config;
  return config;
}

void hold_problem_laws(const app::Problem& problem) {
  LAW(problem.file == "list" && problem.line > 0, "a problem has its line", problem.message);
  const std::string line = app::format(problem);
  LAW(!problem.message.empty() && has_no_controls(line), "a problem is one line", line);
}

struct Read {
  Records good;
  std::size_t bad = 0;
};

Read read(ListFormat format, const std::string& text) {
  std::istringstream in(text);
  const auto reader = app::make_site_reader(format, in, "list", defaults());
  Read out;
  std::uint64_t line = 0;
  app::SiteRow row;
  // A row is at least a byte, and a file without a header has one row that says so.
  for (std::size_t rows = 0; reader->next(row); ++rows) {
    LAW(rows <= text.size() + 1, "a list ends");
    LAW(row.line > line || (row.fatal && row.line > 0), "rows come in the order of their lines");
    line = row.line;
    for (const app::Problem& problem : row.problems) hold_problem_laws(problem);
    LAW(!row.fatal || !row.problems.empty(), "who gives up says why");
    if (row.problems.empty()) {
      out.good.push_back(row.record);
    } else {
      ++out.bad;
    }
  }
  return out;
}

std::string written(ListFormat format, const Records& records) {
  std::ostringstream out;
  if (format == ListFormat::Csv) app::write_csv_header(out);
  for (const core::SiteRecord& record : records) {
    if (format == ListFormat::Csv) {
      app::write_csv_row(out, record);
    } else {
      out << app::site_jsonl(record) << '\n';
    }
  }
  return out.str();
}

void hold_round_trip(ListFormat format, const Records& records) {
  const std::string text = written(format, records);
  LAW(app::is_utf8(text), "what is written is UTF-8", text);
  const Read again = read(format, text);
  LAW(again.bad == 0, "what is written is read back", text);
  LAW(again.good.size() == records.size(), "every row is read back", text);
  for (std::size_t i = 0; i < records.size(); ++i) {
    LAW(again.good[i] == records[i], "a row that is read back is the same", text,
        app::site_jsonl(records[i]), app::site_jsonl(again.good[i]));
  }
  LAW(written(format, again.good) == text, "written twice is the same text", text);
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  fuzz::Input input(data, size);
  const auto format = input.byte() % 2 == 1 ? app::ListFormat::Jsonl : app::ListFormat::Csv;
  const fuzz::Read list = fuzz::read(format, std::string(input.rest()));
  for (const core::SiteRecord& record : list.good) {
    LAW(app::check_site(record, fuzz::defaults()).has_value(), "a good row can be checked",
        record.url);
  }
  fuzz::hold_round_trip(app::ListFormat::Csv, list.good);
  fuzz::hold_round_trip(app::ListFormat::Jsonl, list.good);
  return 0;
}
