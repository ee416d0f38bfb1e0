// SPDX-License-Identifier: Apache-2.0
#include "app/command.h"

#include <unistd.h>

#include <utility>

#include "app/store_access.h"

namespace watchwheel::app {

int fail(Io& io, int status, std::string_view message) {
  io.err << "watchwheel: " << printable(message, 4096) << "\n";
  return status;
}

int fail(Io& io, const core::Error& error) {
  const bool asked_wrong =
      error.kind == core::ErrorKind::Invalid || error.kind == core::ErrorKind::NotFound;
  return fail(io, asked_wrong ? kExitBad : kExitTrouble, error.message);
}

std::optional<Config> config_for_command(const std::string& path, Io& io) {
  std::string file = path;
  if (file.empty()) {
    file = kConfigPath;
    // Only when there is none: a file that is there and cannot be read must not silently become the defaults.
    if (::access(file.c_str(), F_OK) != 0) return default_config().config;
  }
  const ConfigReport report = load_config(file);
  if (report.ok()) return report.config;
  ProblemPrinter printer(io.err);
  for (const Problem& problem : report.problems) printer.print(problem);
  printer.finish();
  return std::nullopt;
}

core::Result<std::unique_ptr<db::Store>> open_migrated_store(const Config& config) {
  auto store = db::open_store(store_access(config.store));
  if (!store) return store;
  const auto migrated = (*store)->migrate(false);
  if (!migrated) return migrated.error();
  return store;
}

void ProblemPrinter::print(const Problem& problem) {
  if (++seen_ <= printed_max_) err_ << format(problem) << "\n";
}

void ProblemPrinter::finish() {
  if (seen_ > printed_max_) err_ << "… and " << seen_ - printed_max_ << " more problems\n";
}

}  // namespace watchwheel::app
