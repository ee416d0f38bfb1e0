// SPDX-License-Identifier: Apache-2.0
// app/commands_import.h - `watchwheel sites import` and `watchwheel sites export`.
#pragma once

#include <optional>
#include <string>

#include "app/command.h"
#include "app/site_list.h"

namespace watchwheel::app {

struct ImportArgs {
  std::string file;  // "-": standard input.
  // "csv", "jsonl", "blackbox", "gatus", "uptime-kuma"; "": by the file's name, JSON lines for .jsonl, .ndjson and .json, else CSV.
  std::string format;
  std::string modules;  // Of the blackbox exporter: its configuration file.
  bool strict = false;  // All or nothing: the whole list is judged before anything is written.
  bool dry_run = false;
  bool quiet = false;  // No progress bar.
  std::string config;
};
// kExitOk when every row went in, kExitBad when one was rejected, kExitTrouble when the store or the file failed.
[[nodiscard]] int import_sites(const ImportArgs& args, Io& io);

struct ExportArgs {
  ListFormat format = ListFormat::Csv;
  bool quiet = false;  // No progress bar.
  std::string config;
};
// The whole list; `sites import` reads it back to the same sites.
[[nodiscard]] int export_sites(const ExportArgs& args, Io& io);

}  // namespace watchwheel::app
