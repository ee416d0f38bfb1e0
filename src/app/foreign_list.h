// SPDX-License-Identifier: Apache-2.0
// app/foreign_list.h - the site list of another monitor, read as if it were ours: `sites import --format blackbox|gatus|uptime-kuma`.
//
// Owns     the rows made of the whole file.
// Thread   one.
// Bounded  by doc_tree.h; a blackbox configuration reads at most kTargetFilesMax files of targets.
// Fails    a file that is no such configuration is one row that says so. What has no counterpart here is a warning that names line
//          and key. What would make us say something false about a site is never left out of it: such a site is rejected, or
//          comes in paused where only a secret is missing that does not belong into the list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <string>

#include "app/config.h"
#include "app/site_list.h"

namespace watchwheel::app {

inline constexpr std::size_t kTargetFilesMax = 10'000;

enum class ForeignFormat : std::uint8_t {
  Blackbox,  // Prometheus's scrape configuration for its blackbox exporter, or a file of targets (file_sd).
  Gatus,
  UptimeKuma,  // Its backup, as JSON.
};

struct ForeignSource {
  ForeignFormat format = ForeignFormat::Gatus;
  std::string file;  // Stands in the problems; files that it names are looked for beside it.
  std::string
      modules;  // Blackbox: the exporter's own configuration; "": its modules are in the file itself, or not known.
};

// Reads `in` to its end at the first next(). `in` and `defaults` outlive the reader.
[[nodiscard]] std::unique_ptr<SiteReader> make_foreign_reader(ForeignSource source,
                                                              std::istream& in,
                                                              const ChecksConfig& defaults);

}  // namespace watchwheel::app
