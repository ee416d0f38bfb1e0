// SPDX-License-Identifier: Apache-2.0
#include "app/site_import.h"

#include <span>
#include <utility>

namespace watchwheel::app {
namespace {

std::size_t bytes_of(const core::SiteRecord& record) {
  std::size_t bytes = sizeof record + record.url.size() + record.name.size();
  for (const auto& [name, text] : record.options) bytes += name.size() + text.size() + 64;
  for (const std::string& tag : record.tags) bytes += tag.size() + 32;
  return bytes;
}

}  // namespace

SiteImport::SiteImport(db::SiteCatalog* catalog, std::string file,
                       std::function<void(const Problem&)> report)
    : catalog_(catalog), file_(std::move(file)), report_(std::move(report)) {}

core::Result<void> SiteImport::run(SiteReader& reader, const std::function<void()>& progress) {
  SiteRow row;
  for (std::size_t read = 1; reader.next(row); ++read) {
    if (progress && read % kImportProgressRows == 0) progress();
    if (auto taken = take(std::move(row)); !taken) return taken;
  }
  return flush();
}

core::Result<void> SiteImport::take(SiteRow&& row) {
  for (const Problem& problem : row.problems) report_(problem);
  if (row.fatal) {
    counts_.unreadable = true;
    return {};
  }
  if (row.note) return {};
  ++counts_.rows;
  if (any_error(row.problems)) {
    ++counts_.rejected;
    return {};
  }
  if (catalog_ == nullptr) return {};
  batch_bytes_ += bytes_of(row.record);
  batch_.push_back(std::move(row.record));
  lines_.push_back(row.line);
  return batch_.size() >= kImportBatchRows || batch_bytes_ >= kImportBatchBytes
             ? flush()
             : core::Result<void>{};
}

core::Result<void> SiteImport::flush() {
  if (auto written = write(0, batch_.size()); !written) return written;
  batch_.clear();
  lines_.clear();
  batch_bytes_ = 0;
  return {};
}

// What the store refuses is found by halves: at most twice the batch's size in rows is written again, and only then.
core::Result<void> SiteImport::write(std::size_t first, std::size_t count) {
  if (count == 0) return {};
  const auto written = catalog_->upsert(std::span(batch_).subspan(first, count));
  if (written) {
    counts_.written.added += written->added;
    counts_.written.changed += written->changed;
    counts_.written.unchanged += written->unchanged;
    return {};
  }
  if (written.error().kind != core::ErrorKind::Invalid) return written.error();
  if (count == 1) {
    ++counts_.rejected;
    report_({file_, lines_[first], 0, Severity::Error,
             "the store refuses this site: " + written.error().message});
    return {};
  }
  if (auto left = write(first, count / 2); !left) return left;
  return write(first + count / 2, count - count / 2);
}

}  // namespace watchwheel::app
