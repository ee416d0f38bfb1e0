// SPDX-License-Identifier: Apache-2.0
// CSV as RFC 4180 has it: comma, quotes doubled inside quotes, line breaks inside quotes; LF or CRLF; a byte order mark is skipped.
//
// A quote that is opened and not closed would swallow its neighbours. So a record is read from a buffer, and when its quoting
// proves wrong only its first line is rejected: reading goes on with the line below. That cannot become quadratic: the search
// for the closing quote ends at the next quote or after kRowBytesMax, and between the two there is no other quote to search from.
#include <algorithm>
#include <array>
#include <istream>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "app/site_fields.h"
#include "app/site_list.h"

namespace watchwheel::app {
namespace {

constexpr std::size_t kChunkBytes = 64 * 1024;

struct Field {
  std::string text;
  std::uint64_t line = 0;
  std::uint64_t column = 0;  // In bytes, from 1.
};

// The file as a window: what the current record needs is in memory, what is behind it is dropped.
class Window {
 public:
  explicit Window(std::istream& in) : in_(in) {}

  // The byte at `offset` from the current position; false at the end of the file.
  bool at(std::size_t offset, char& c) {
    while (start_ + offset >= buffer_.size()) {
      if (!more()) return false;
    }
    c = buffer_[start_ + offset];
    return true;
  }
  void drop(std::size_t bytes) { start_ += bytes; }

 private:
  bool more() {
    if (start_ > kChunkBytes) {
      buffer_.erase(0, start_);
      start_ = 0;
    }
    const std::size_t size = buffer_.size();
    buffer_.resize(size + kChunkBytes);
    in_.read(buffer_.data() + size, static_cast<std::streamsize>(kChunkBytes));
    buffer_.resize(size + static_cast<std::size_t>(in_.gcount()));
    return buffer_.size() > size;
  }

  std::istream& in_;
  std::string buffer_;
  std::size_t start_ = 0;
};

// One record, or what is wrong with its quoting.
struct Record {
  std::vector<Field> fields;
  std::uint64_t line = 0;
  std::string wrong;  // "": nothing.
  std::uint64_t wrong_line = 0, wrong_column = 0;
};

class RecordReader {
 public:
  explicit RecordReader(std::istream& in) : window_(in) {}

  void skip(std::size_t bytes) { window_.drop(bytes); }
  bool peek(std::size_t offset, char& c) { return window_.at(offset, c); }

  // Blank lines are passed over. False at the end.
  bool next(Record& record) {
    char c = 0;
    for (;;) {
      if (!window_.at(0, c)) return false;
      char second = 0;
      if (c == '\n') {
        window_.drop(1);
      } else if (c == '\r' && window_.at(1, second) && second == '\n') {
        window_.drop(2);
      } else {
        break;
      }
      ++line_;
    }
    record = Record{};
    record.line = line_;
    read(record);
    return true;
  }

 private:
  struct Cursor {
    std::size_t offset = 0;
    std::uint64_t line = 0;
    std::size_t line_start = 0;  // Offset at which that line begins.
    [[nodiscard]] std::uint64_t column() const { return offset - line_start + 1; }
  };

  // Leaves the window behind the record; behind its first line when the quoting is wrong.
  void read(Record& record) {
    Cursor cursor{0, line_, 0};
    bool more = true;
    while (more && record.wrong.empty()) {
      char c = 0;
      if (window_.at(cursor.offset, c) && c == '"') {
        more = quoted(record, cursor);
      } else {
        more = plain(record, cursor);
      }
    }
    if (!record.wrong.empty()) return drop_first_line();
    window_.drop(cursor.offset);
    line_ = cursor.line;
  }

  void drop_first_line() {
    std::size_t offset = 0;
    char c = 0;
    while (window_.at(offset, c) && c != '\n') {
      if (++offset >=
          kChunkBytes) {  // A first line without end is dropped piece by piece: memory stays bounded.
        window_.drop(offset);
        offset = 0;
      }
    }
    window_.drop(offset + (c == '\n' ? 1 : 0));
    ++line_;
  }

  static bool wrong(Record& record, std::uint64_t line, std::uint64_t column, std::string message) {
    record.wrong = std::move(message);
    record.wrong_line = line;
    record.wrong_column = column;
    return false;
  }

  // Both return whether another field follows in the record.
  bool plain(Record& record, Cursor& cursor) {
    Field field{"", cursor.line, cursor.column()};
    char c = 0;
    while (window_.at(cursor.offset, c) && c != ',' && c != '\n') {
      if (c == '"') {
        return wrong(record, cursor.line, cursor.column(),
                     "a quote in the middle of a field; put the whole field in quotes and write a "
                     "quote in it twice");
      }
      if (cursor.offset >= kRowBytesMax) return wrong(record, cursor.line, 0, too_long());
      field.text += c;
      ++cursor.offset;
    }
    const bool line_ends = !window_.at(cursor.offset, c) || c == '\n';
    if (line_ends && field.text.ends_with('\r')) field.text.pop_back();
    return end_field(record, cursor, std::move(field));
  }

  bool quoted(Record& record, Cursor& cursor) {
    Field field{"", cursor.line, cursor.column()};
    ++cursor.offset;
    for (;;) {
      char c = 0;
      if (!window_.at(cursor.offset, c) || cursor.offset >= kRowBytesMax) {
        return wrong(record, field.line, field.column,
                     "this quote is never closed; close it, or write a quote that belongs to the "
                     "text twice");
      }
      ++cursor.offset;
      if (c == '\n') {
        ++cursor.line;
        cursor.line_start = cursor.offset;
      }
      if (c != '"') {
        field.text += c;
        continue;
      }
      if (!window_.at(cursor.offset, c) || c != '"') break;
      field.text += '"';
      ++cursor.offset;
    }
    char c = 0;
    char second = 0;
    const bool ends = !window_.at(cursor.offset, c) || c == ',' || c == '\n' ||
                      (c == '\r' && window_.at(cursor.offset + 1, second) && second == '\n');
    if (!ends) {
      return wrong(record, cursor.line, cursor.column(),
                   "text after a closing quote; end the field there with a comma, or write a quote "
                   "that belongs to the text twice (the field begins at " +
                       std::to_string(field.line) + ":" + std::to_string(field.column) + ")");
    }
    if (c == '\r') ++cursor.offset;
    return end_field(record, cursor, std::move(field));
  }

  bool end_field(Record& record, Cursor& cursor, Field field) {
    char c = 0;
    const bool any = window_.at(cursor.offset, c);
    const bool comma = any && c == ',';
    record.fields.push_back(std::move(field));
    if (any) ++cursor.offset;
    if (!comma) {
      ++cursor.line;
      cursor.line_start = cursor.offset;
    }
    return comma;
  }

  static std::string too_long() {
    return "longer than " + std::to_string(kRowBytesMax / 1024) +
           " KiB, which no site is; shorten it";
  }

  Window window_;
  std::uint64_t line_ = 1;
};

class CsvReader final : public SiteReader {
 public:
  CsvReader(std::istream& in, std::string file, const ChecksConfig& defaults)
      : records_(in), file_(std::move(file)), defaults_(defaults) {}

  bool next(SiteRow& row) override {
    row = SiteRow{};
    if (ended_) return false;
    if (columns_.empty() && !read_header(row)) {
      ended_ = true;
      return true;
    }
    Record record;
    if (!records_.next(record)) return false;
    row.line = record.line;
    fill(row, record);
    return true;
  }

 private:
  void problem(SiteRow& row, std::uint64_t line, std::uint64_t column, std::string message) {
    row.problems.push_back({file_, line, column, Severity::Error, std::move(message)});
  }

  // False: `row` says why nothing can be read.
  bool read_header(SiteRow& row) {
    row.line = 1;
    row.fatal = true;
    if (skip_byte_order_mark(row)) return false;
    Record record;
    if (!records_.next(record)) {
      problem(row, 1, 0,
              "the file is empty; it needs a header with a column named url, and a site on each "
              "line below");
      return false;
    }
    row.line = record.line;
    if (!record.wrong.empty()) {
      problem(row, record.wrong_line, record.wrong_column, record.wrong);
      return false;
    }
    judge_header(row, record);
    if (!row.problems.empty()) return false;
    row = SiteRow{};
    return true;
  }

  // True when the file is in another encoding, which is said.
  bool skip_byte_order_mark(SiteRow& row) {
    std::array<char, 3> mark{};
    for (std::size_t i = 0; i < mark.size(); ++i) {
      if (!records_.peek(i, mark[i])) mark[i] = 'x';
    }
    if ((mark[0] == '\xff' && mark[1] == '\xfe') || (mark[0] == '\xfe' && mark[1] == '\xff') ||
        mark[0] == '\0' || mark[1] == '\0') {
      problem(row, 1, 0,
              "the file is in UTF-16 or another encoding of wide characters; save it as UTF-8");
      return true;
    }
    if (mark[0] == '\xef' && mark[1] == '\xbb' && mark[2] == '\xbf') records_.skip(3);
    return false;
  }

  static std::string column_name(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return "";
    std::string name(text.substr(first, text.find_last_not_of(" \t") - first + 1));
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return name;
  }

  void judge_header(SiteRow& row, const Record& record) {
    const bool is_site =
        std::any_of(record.fields.begin(), record.fields.end(),
                    [](const Field& f) { return f.text.find("://") != std::string::npos; });
    if (is_site) {
      return problem(row, record.line, 0,
                     "there is no header: the first line is a site; put a line above it that names "
                     "the columns, like \"url\" or \"url,interval\"");
    }
    for (const Field& field : record.fields) add_column(row, field);
    if (row.problems.empty() &&
        std::find(columns_.begin(), columns_.end(), "url") == columns_.end()) {
      problem(row, record.line, 0,
              "the header has no column named url, which is needed; name it so");
    }
    if (!row.problems.empty()) columns_.clear();
  }

  void add_column(SiteRow& row, const Field& field) {
    const std::string name = column_name(field.text);
    const auto& known = site_columns();
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) return unknown_column(row, field, name);
    if (std::find(columns_.begin(), columns_.end(), name) != columns_.end()) {
      return problem(row, field.line, field.column,
                     "the column '" + name + "' is there twice; remove one");
    }
    columns_.push_back(*found);
  }

  void unknown_column(SiteRow& row, const Field& field, const std::string& name) {
    if (name.find_first_of(";\t") != std::string::npos) {
      return problem(row, field.line, field.column,
                     "the columns are not separated by commas; save the file with commas");
    }
    std::string list;
    for (const std::string_view column : site_columns())
      list += (list.empty() ? "" : ", ") + std::string(column);
    const std::string_view near = nearest(name, site_columns());
    problem(row, field.line, field.column,
            "unknown column '" + printable(name, 40) + "'" +
                (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?") +
                "; remove it or use one of " + list);
  }

  void fill(SiteRow& row, const Record& record) {
    if (!record.wrong.empty())
      return problem(row, record.wrong_line, record.wrong_column, record.wrong);
    if (record.fields.size() != columns_.size()) {
      return problem(
          row, record.line, 0,
          std::to_string(record.fields.size()) +
              (record.fields.size() == 1 ? " field" : " fields") + " where the header names " +
              std::to_string(columns_.size()) +
              "; add or remove commas (a comma inside a field needs quotes around the field)");
    }
    for (std::size_t i = 0; i < columns_.size(); ++i) set_field(row, record.fields[i], columns_[i]);
    if (!row.problems.empty()) return;
    if (const core::Result<void> fit = check_site(row.record, defaults_); !fit)
      return problem(row, record.line, 0, fit.error().message);
    if (const std::uint64_t first = duplicates_.seen_before(row.record, row.line); first != 0) {
      problem(row, record.line, 0,
              "the same site as line " + std::to_string(first) +
                  "; remove one of them, or give each its id");
    }
  }

  void set_field(SiteRow& row, const Field& field, std::string_view column) {
    if (const core::Result<void> fit = set_site_field(row.record, column, field.text); !fit)
      problem(row, field.line, field.column, fit.error().message);
  }

  RecordReader records_;
  std::string file_;
  const ChecksConfig& defaults_;
  std::vector<std::string_view> columns_;
  DuplicateFinder duplicates_;
  bool ended_ = false;
};

void write_field(std::ostream& out, std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out << text;
    return;
  }
  out << '"';
  for (const char c : text) {
    if (c == '"') out << '"';
    out << c;
  }
  out << '"';
}

}  // namespace

std::unique_ptr<SiteReader> make_csv_reader(std::istream& in, std::string file,
                                            const ChecksConfig& defaults) {
  return std::make_unique<CsvReader>(in, std::move(file), defaults);
}

void write_csv_header(std::ostream& out) {
  bool first = true;
  for (const std::string_view column : site_columns()) {
    if (!first) out << ',';
    first = false;
    out << column;
  }
  out << '\n';
}

void write_csv_row(std::ostream& out, const core::SiteRecord& record) {
  bool first = true;
  for (const std::string_view column : site_columns()) {
    if (!first) out << ',';
    first = false;
    write_field(out, get_site_field(record, column));
  }
  out << '\n';
}

}  // namespace watchwheel::app
