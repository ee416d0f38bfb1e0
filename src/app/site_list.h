// SPDX-License-Identifier: Apache-2.0
// app/site_list.h - a site list in a file: read row by row, written row by row, whatever its
// format.
//
// Bounded  one row of at most kRowBytesMax in memory; finding duplicates costs about 50 bytes a
//          row.
// Fails    a row that cannot be a site is a row with problems; its neighbours are not touched. Only
//          a file whose beginning makes no sense (no header) ends the reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "app/config.h"
#include "app/problem.h"
#include "core/site.h"

namespace watchwheel::app {

inline constexpr std::size_t kRowBytesMax = 512 * 1024;

struct SiteRow {
  std::uint64_t line = 0;   // Where it begins.
  core::SiteRecord record;  // Good when there is no error among the problems.
  std::vector<Problem> problems;
  bool fatal = false;  // Nothing after it can be read; it is no row itself.
  bool note = false;   // No row either: only something to say about the file.
};

class SiteReader {
 public:
  virtual ~SiteReader() = default;
  // The next row into `row`; false at the end.
  [[nodiscard]] virtual bool next(SiteRow& row) = 0;
};

enum class ListFormat : std::uint8_t { Csv, Jsonl };

// `file` stands in the problems; `in` and `defaults` outlive the reader.
[[nodiscard]] std::unique_ptr<SiteReader> make_csv_reader(std::istream& in, std::string file,
                                                          const ChecksConfig& defaults);
[[nodiscard]] std::unique_ptr<SiteReader> make_jsonl_reader(std::istream& in, std::string file,
                                                            const ChecksConfig& defaults);
[[nodiscard]] std::unique_ptr<SiteReader> make_site_reader(ListFormat format, std::istream& in,
                                                           std::string file,
                                                           const ChecksConfig& defaults);

// What import reads back as the same records.
void write_csv_header(std::ostream& out);
void write_csv_row(std::ostream& out, const core::SiteRecord& record);
[[nodiscard]] std::string site_jsonl(const core::SiteRecord& record);  // One line, without its end.

// Finds rows that mean the same site as an earlier one: the same id; or the same URL where one of the two has no id, for that one
// is found by its URL. Remembers 64-bit hashes: among a million rows two different URLs are taken for one with a chance of 3 in 10^8.
class DuplicateFinder {
 public:
  // The line of the earlier row, or 0 and `record` is remembered.
  [[nodiscard]] std::uint64_t seen_before(const core::SiteRecord& record, std::uint64_t line);

 private:
  struct Seen {
    std::uint64_t line = 0;
    bool by_url = false;  // A row without id had this URL.
  };
  std::unordered_map<std::uint64_t, std::uint64_t> ids_;
  std::unordered_map<std::uint64_t, Seen> urls_;
};

}  // namespace watchwheel::app
