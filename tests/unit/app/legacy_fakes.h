// SPDX-License-Identifier: Apache-2.0
// A legacy table and a site list that have nothing; a test overrides what it is about.
#pragma once

#include <string>
#include <vector>

#include "app/log.h"
#include "db/legacy_table.h"
#include "db/site_catalog.h"

namespace watchwheel::app {

class NoLog final : public Log {
 public:
  void write(LogLevel /*level*/, std::string_view /*line*/) noexcept override {}
  [[nodiscard]] bool enabled(LogLevel /*level*/) const noexcept override { return false; }
};

class EmptyTable : public db::LegacyTable {
 public:
  core::Result<db::LegacyPage> page(const db::LegacyCursor& /*from*/,
                                    std::size_t /*limit*/) override {
    return whole({});
  }
  core::Result<db::LegacyPage> page_by_key(core::SiteId /*after*/, std::size_t /*limit*/) override {
    return whole({});
  }
  core::Result<std::vector<db::LegacyRow>> find(std::span<const core::SiteId> /*ids*/) override {
    return std::vector<db::LegacyRow>{};
  }
  core::Result<std::vector<std::string>> check() override { return std::vector<std::string>{}; }
  void set_buckets(std::vector<db::BucketRange> /*buckets*/) override {}
  core::Result<std::uint64_t> rows_estimated() override { return std::uint64_t{0}; }
  bool by_buckets() const override { return false; }
  core::Result<void> claim(bool /*replace*/) override { return {}; }
  core::Result<std::optional<core::WallTime>> claimed_since() override {
    return std::optional(core::WallTime{});
  }
  core::Result<db::LegacyWrites> project(std::span<const core::SiteId> /*sites*/) override {
    return db::LegacyWrites{};
  }

 protected:
  // The only page there is.
  static db::LegacyPage whole(std::vector<db::LegacyRow> rows) {
    db::LegacyPage page;
    page.rows = std::move(rows);
    page.last = true;
    page.until = {INT64_MAX, core::SiteId{db::kLegacyIdMax}};
    return page;
  }
};

class EmptyList : public db::SiteCatalog {
 public:
  core::Result<db::UpsertCounts> upsert(std::span<const core::SiteRecord> /*records*/,
                                        std::vector<core::SiteId>* /*ids*/) override {
    return db::UpsertCounts{};
  }
  core::Result<std::vector<db::SiteView>> list(const db::SiteFilter& /*filter*/,
                                               core::SiteId /*after*/,
                                               std::size_t /*limit*/) override {
    return std::vector<db::SiteView>{};
  }
  core::Result<db::SiteView> get(core::SiteId /*id*/) override {
    return core::Error{core::ErrorKind::NotFound, "none"};
  }
  core::Result<std::vector<core::SiteId>> find_url(const std::string& /*url*/) override {
    return std::vector<core::SiteId>{};
  }
  core::Result<std::uint64_t> set_active(std::span<const core::SiteId> /*ids*/,
                                         bool /*active*/) override {
    return std::uint64_t{0};
  }
  core::Result<std::uint64_t> remove(std::span<const core::SiteId> /*ids*/) override {
    return std::uint64_t{0};
  }
  core::Result<std::uint64_t> count() override { return std::uint64_t{0}; }
};

}  // namespace watchwheel::app
