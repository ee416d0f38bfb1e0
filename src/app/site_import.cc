// SPDX-License-Identifier: Apache-2.0
#include "app/site_import.h"

#include <algorithm>
#include <span>
#include <utility>

#include "app/site_fields.h"
#include "app/site_parents.h"

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
                       std::function<void(const Problem&)> report, db::SiteParents* parents)
    : catalog_(catalog), file_(std::move(file)), report_(std::move(report)), parents_(parents) {}

core::Result<void> SiteImport::run(SiteReader& reader, const std::function<void()>& progress) {
  SiteRow row;
  for (std::size_t read = 1; reader.next(row); ++read) {
    if (progress && read % kImportProgressRows == 0) progress();
    if (auto taken = take(std::move(row)); !taken) return taken;
  }
  if (auto flushed = flush(); !flushed) return flushed;
  return set_parents();
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
  named_.push_back(take_parents(row.record));
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
  named_.clear();
  batch_bytes_ = 0;
  return {};
}

// What the store refuses is found by halves: at most twice the batch's size in rows is written again, and only then.
core::Result<void> SiteImport::write(std::size_t first, std::size_t count) {
  if (count == 0) return {};
  std::vector<core::SiteId> ids;
  const auto written = catalog_->upsert(std::span(batch_).subspan(first, count), &ids);
  if (written) {
    counts_.written.added += written->added;
    counts_.written.changed += written->changed;
    counts_.written.unchanged += written->unchanged;
    return note_parents(first, ids);
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

// A row that names none has none from now on; taking away makes no circle, so that is done at once.
core::Result<void> SiteImport::note_parents(std::size_t first, std::span<const core::SiteId> ids) {
  if (parents_ == nullptr) return {};
  const auto any = parents_->any();
  if (!any) return any.error();
  std::vector<db::Parentage> none;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    auto& named = named_[first + i];
    if (!named.empty()) {
      children_.push_back({.site = ids[i], .line = lines_[first + i], .named = std::move(named)});
    } else if (*any) {
      none.push_back({.site = ids[i], .parents = {}});
    }
  }
  if (none.empty()) return {};
  const auto changed = parents_->set(none);
  if (!changed) return changed.error();
  counts_.reparented += *changed;
  return {};
}

core::Result<void> SiteImport::set_parents() {
  for (std::size_t first = 0; first < children_.size(); first += kImportBatchRows) {
    const std::size_t last = std::min(first + kImportBatchRows, children_.size());
    std::vector<db::Parentage> batch;
    std::vector<std::uint64_t> lines;
    for (std::size_t i = first; i < last; ++i) {
      auto parents = resolve_parents(*catalog_, children_[i].named);
      if (!parents && parents.error().kind != core::ErrorKind::Invalid) return parents.error();
      if (!parents) {
        orphan(children_[i].line, parents.error().message);
        continue;
      }
      batch.push_back({.site = children_[i].site, .parents = *std::move(parents)});
      lines.push_back(children_[i].line);
    }
    if (auto set = set_parents(batch, lines); !set) return set;
  }
  return {};
}

// By halves, like write().
core::Result<void> SiteImport::set_parents(std::span<const db::Parentage> batch,
                                           std::span<const std::uint64_t> lines) {
  if (batch.empty()) return {};
  const auto changed = parents_->set(batch);
  if (changed) {
    counts_.reparented += *changed;
    return {};
  }
  if (changed.error().kind != core::ErrorKind::Invalid) return changed.error();
  if (batch.size() == 1) {
    orphan(lines.front(), changed.error().message);
    return {};
  }
  const std::size_t half = batch.size() / 2;
  if (auto left = set_parents(batch.first(half), lines.first(half)); !left) return left;
  return set_parents(batch.subspan(half), lines.subspan(half));
}

void SiteImport::orphan(std::uint64_t line, const std::string& why) {
  ++counts_.orphaned;
  report_({file_, line, 0, Severity::Error,
           why + " (the site is in the list, its parents are as they were)"});
}

}  // namespace watchwheel::app
