// SPDX-License-Identifier: Apache-2.0
// app/foreign_draft.h - what the readers of foreign_list.h share: a site on its way from another program's words to ours.
//
// Pure; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "app/doc_tree.h"
#include "app/foreign_list.h"
#include "app/site_list.h"
#include "core/clock.h"

namespace watchwheel::app {

class SiteDraft {
 public:
  SiteDraft(std::string file, std::uint32_t line);

  // One of our columns, from the value of `key` at `line`. What does not fit is a problem of that key.
  void set(std::string_view column, std::string_view text, std::string_view key,
           std::uint32_t line);
  // One more value of a repeatable column.
  void add(std::string_view column, std::string_view text, std::string_view key,
           std::uint32_t line);
  void warn(std::string_view key, std::uint32_t line, std::string_view message);
  // It cannot be watched as it is meant: it is left out.
  void reject(std::string_view key, std::uint32_t line, std::string_view message);
  // It is taken over paused: something that does not belong into a list is missing.
  void pause(std::string_view key, std::uint32_t line, std::string_view message);

  [[nodiscard]] bool has(std::string_view column) const;
  // The row, checked against the defaults it would have. A timeout that would not fit into the interval becomes the interval.
  [[nodiscard]] SiteRow finish(const ChecksConfig& defaults, DuplicateFinder& duplicates);

 private:
  void problem(Severity severity, std::string_view key, std::uint32_t line,
               std::string_view message);
  std::string file_;
  SiteRow row_;
};

// A row that is no site: something to say of the file.
[[nodiscard]] SiteRow note(const std::string& file, std::uint64_t line, std::string_view key,
                           std::string_view message);
// The file makes no sense.
[[nodiscard]] SiteRow unreadable_row(Problem problem);

// "1m30s", "500ms", "1.5h", "1d", "2w": as Go and Prometheus write it.
[[nodiscard]] std::optional<core::Duration> parse_go_duration(std::string_view text);
// As our columns want it: whole milliseconds; at least one where it is not zero.
[[nodiscard]] std::string our_duration(core::Duration d);

// A text as an expression that matches exactly it.
[[nodiscard]] std::string quoted_expression(std::string_view text);

void read_gatus(const DocNode& root, const std::string& file, const ChecksConfig& defaults,
                std::vector<SiteRow>& rows);
void read_uptime_kuma(const DocNode& root, const std::string& file, const ChecksConfig& defaults,
                      std::vector<SiteRow>& rows);
void read_blackbox(const DocNode& root, const ForeignSource& source, const ChecksConfig& defaults,
                   std::vector<SiteRow>& rows);

// The whole of a file, at most kDocBytesMax and one byte more.
[[nodiscard]] std::optional<std::string> read_file_text(const std::string& path);

}  // namespace watchwheel::app
