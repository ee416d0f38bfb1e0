// SPDX-License-Identifier: Apache-2.0
// app/site_import.h - from a site list to the store, a batch a transaction.
//
// A row may name parents that come later in the list, so they are set when all rows are in.
//
// Bounded  a batch holds at most kImportBatchRows rows or about kImportBatchBytes; the names of parents are kept until the end.
// Fails    a row that is no site, or that the store will not take, is rejected by itself; its
//          neighbours go in. A store that is away stops the import; what was written stays, and the
//          same import may be repeated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "app/site_list.h"
#include "core/result.h"
#include "db/site_catalog.h"
#include "db/site_parents.h"

namespace watchwheel::app {

inline constexpr std::size_t kImportBatchRows = 2000;
inline constexpr std::size_t kImportProgressRows = 250;
inline constexpr std::size_t kImportBatchBytes = 4 * 1024 * 1024;

struct ImportCounts {
  std::uint64_t rows = 0;
  std::uint64_t rejected = 0;
  db::UpsertCounts written;
  std::uint64_t reparented = 0;  // Sites that depend on others than before.
  std::uint64_t orphaned = 0;    // Sites that are in the store, but their parents were refused.
  bool unreadable = false;  // The file as a whole made no sense.

  [[nodiscard]] std::uint64_t accepted() const { return rows - rejected; }
};

class SiteImport {
 public:
  // `catalog` null: rows are only judged. `report` gets every problem, in the order of the file within a batch; those of parents at
  // the end. `parents` null: what depends on what stays as it is.
  SiteImport(db::SiteCatalog* catalog, std::string file,
             std::function<void(const Problem&)> report, db::SiteParents* parents = nullptr);

  // `progress` is called every some hundred rows.
  [[nodiscard]] core::Result<void> run(SiteReader& reader,
                                       const std::function<void()>& progress = {});
  [[nodiscard]] const ImportCounts& counts() const { return counts_; }

 private:
  [[nodiscard]] core::Result<void> take(SiteRow&& row);
  [[nodiscard]] core::Result<void> flush();
  [[nodiscard]] core::Result<void> write(std::size_t first, std::size_t count);
  // A row that is in the store and names parents.
  struct Child {
    core::SiteId site;
    std::uint64_t line = 0;
    std::vector<std::string> named;
  };
  [[nodiscard]] core::Result<void> note_parents(std::size_t first,
                                                std::span<const core::SiteId> ids);
  [[nodiscard]] core::Result<void> set_parents();
  [[nodiscard]] core::Result<void> set_parents(std::span<const db::Parentage> batch,
                                               std::span<const std::uint64_t> lines);
  void orphan(std::uint64_t line, const std::string& why);

  db::SiteCatalog* catalog_;
  std::string file_;
  std::function<void(const Problem&)> report_;
  ImportCounts counts_;
  std::vector<core::SiteRecord> batch_;
  std::vector<std::uint64_t> lines_;  // Of the rows in batch_.
  std::vector<std::vector<std::string>> named_;  // The parents of the rows in batch_.
  db::SiteParents* parents_;
  std::vector<Child> children_;
  std::size_t batch_bytes_ = 0;
};

}  // namespace watchwheel::app
