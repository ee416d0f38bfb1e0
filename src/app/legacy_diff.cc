// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_diff.h"

#include <algorithm>
#include <span>
#include <utility>

#include "app/legacy_sweep.h"
#include "core/units.h"

namespace watchwheel::app {
namespace {

constexpr std::size_t kPage = 1000;
// Beside the projection's interval: a check's own time, a batch, clocks that differ.
constexpr core::Duration kProjectionSlack = 1min;

// One side, read ahead by a page.
template <typename Item, typename Load>
class Pages {
 public:
  explicit Pages(Load load) : load_(std::move(load)) {}
  // The next one; nothing at the end.
  core::Result<const Item*> front() {
    while (at_ == page_.size() && !last_) {
      page_.clear();
      at_ = 0;
      auto last = load_(page_);
      if (!last) return last.error();
      last_ = *last;
    }
    return at_ < page_.size() ? &page_[at_] : nullptr;
  }
  void pop() { ++at_; }

 private:
  Load load_;
  std::vector<Item> page_;
  std::size_t at_ = 0;
  bool last_ = false;
};

std::string shown(core::WallTime time) {
  return time == core::kNoWallTime ? "never" : core::to_iso8601(time);
}

class Comparer {
 public:
  explicit Comparer(const LegacyDiffSettings& settings) : settings_(settings), now_(settings.now) {}

  void rejected(const db::LegacyRow& row, const std::string& why) {
    ++result.rejected;
    if (rejected_listed_++ < settings_.listed_max)
      result.findings.push_back({row.id, "rejected", why, ""});
  }

  void difference(LegacyDifference kind, core::SiteId id, std::string in_table, std::string known) {
    ++result.differences[static_cast<std::size_t>(kind)];
    if (listed_++ < settings_.listed_max)
      result.findings.push_back(
          {id, std::string(to_string(kind)), std::move(in_table), std::move(known)});
  }

  void compare(const db::LegacyRow& row, const core::SiteRecord& wanted, const db::SiteView& site) {
    ++result.compared;
    if (wanted.url != site.record.url) {
      difference(LegacyDifference::Url, row.id, wanted.url, site.record.url);
      return;  // What is known is about another URL.
    }
    if (!settings_.mapping.interval.empty() && settings_.mapping.source &&
        wanted.interval != site.record.interval) {
      difference(LegacyDifference::Interval, row.id, core::format_duration(*wanted.interval),
                 site.record.interval ? core::format_duration(*site.record.interval) : "default");
    }
    if (!settings_.mapping.target) return;
    compare_status(row, site);
    compare_checked(row, site);
  }

  // Those whose status may be on its way, once more; whatever else of them differs was told.
  core::Result<void> look_again(db::LegacyTable& table, db::SiteCatalog& list) {
    if (unsettled_.empty()) return {};
    now_ = settings_.wait();
    const std::vector<core::SiteId> ids = std::exchange(unsettled_, {});
    for (std::size_t begin = 0; begin < ids.size(); begin += db::kLegacyWriteMax) {
      const auto rows = table.find(
          std::span(ids).subspan(begin, std::min(db::kLegacyWriteMax, ids.size() - begin)));
      if (!rows) return rows.error();
      for (const db::LegacyRow& row : *rows) {
        const auto site = list.get(row.id);
        if (!site && site.error().kind == core::ErrorKind::NotFound) continue;
        if (!site) return site.error();
        const auto wanted = legacy_site(settings_.mapping, settings_.defaults, row);
        if (row.active && wanted && wanted->url == site->record.url) compare_status(row, *site);
      }
    }
    return {};
  }

  LegacyComparison result;

 private:
  void compare_status(const db::LegacyRow& row, const db::SiteView& site) {
    const auto code = db::status_for(settings_.mapping, site.state);
    if (!code || code == row.status) return;
    const core::WallTime since = std::max(site.state_since, core::kNoWallTime);
    if (now_ - since < kLegacyOnItsWay) return;
    const bool just_checked = now_ - site.checked_at < kLegacyOnItsWay;
    if (since == core::kNoWallTime && just_checked && now_ == settings_.now) {
      unsettled_.push_back(row.id);
      return;
    }
    std::string in_table = row.status ? *row.status : "NULL";
    if (row.status_changed_at != core::kNoWallTime)
      in_table += " since " + shown(row.status_changed_at);
    difference(LegacyDifference::Status, row.id, in_table,
               std::string(core::to_string(*site.state)) + " (" + *code + ")" +
                   (since == core::kNoWallTime ? "" : " since " + shown(since)));
  }

  void compare_checked(const db::LegacyRow& row, const db::SiteView& site) {
    if (settings_.mapping.checked_at.empty() || site.checked_at == core::kNoWallTime) return;
    const core::Duration every =
        std::max(settings_.projection, site.record.interval.value_or(settings_.defaults.interval));
    if (site.checked_at < row.checked_at + 1s) return;
    if (now_ - row.checked_at <= every + kProjectionSlack) return;
    difference(LegacyDifference::CheckedAt, row.id, shown(row.checked_at), shown(site.checked_at));
  }

  const LegacyDiffSettings& settings_;
  core::WallTime now_;
  std::vector<core::SiteId> unsettled_;  // Rising.
  std::size_t listed_ = 0, rejected_listed_ = 0;
};

}  // namespace

std::string_view to_string(LegacyDifference difference) {
  constexpr std::array<std::string_view, kLegacyDifferenceCount> kNames{
      "missing", "extra", "url", "interval", "status", "checked_at"};
  return kNames.at(static_cast<std::size_t>(difference));
}

core::Result<LegacyComparison> compare_legacy(const LegacyDiffSettings& settings,
                                              db::LegacyTable& table, db::SiteCatalog& list,
                                              const LegacyDiffWatch& watch) {
  Comparer comparer(settings);
  LegacyComparison& result = comparer.result;
  std::uint64_t rows_read = 0;
  core::SiteId row_after;
  auto rows = Pages<db::LegacyRow, std::function<core::Result<bool>(std::vector<db::LegacyRow>&)>>(
      [&](std::vector<db::LegacyRow>& into) -> core::Result<bool> {
        auto page = table.page_by_key(row_after, kPage);
        if (!page) return page.error();
        rows_read += page->rows_read;
        row_after = page->until.after;
        for (db::LegacyRow& row : page->rows) {
          if (row.active) into.push_back(std::move(row));
        }
        if (watch) watch(rows_read);
        return page->last;
      });
  core::SiteId site_after;
  auto sites = Pages<db::SiteView, std::function<core::Result<bool>(std::vector<db::SiteView>&)>>(
      [&](std::vector<db::SiteView>& into) -> core::Result<bool> {
        auto page = list.list({}, site_after, kPage);
        if (!page) return page.error();
        const bool last = page->size() < kPage;
        if (!page->empty()) site_after = page->back().record.id;
        for (db::SiteView& site : *page) {
          if (site.record.active) into.push_back(std::move(site));
        }
        return last;
      });
  while (true) {
    const auto row = rows.front();
    if (!row) return row.error();
    const auto site = sites.front();
    if (!site) return site.error();
    if (*row == nullptr && *site == nullptr) break;
    const bool row_first =
        *row != nullptr && (*site == nullptr || (*row)->id <= (*site)->record.id);
    const bool site_first =
        *site != nullptr && (*row == nullptr || (*site)->record.id <= (*row)->id);
    if (row_first) {
      ++result.rows;
      const auto wanted = legacy_site(settings.mapping, settings.defaults, **row);
      if (!wanted) {
        comparer.rejected(**row, wanted.error().message);
      } else if (site_first) {
        comparer.compare(**row, *wanted, **site);
      } else if (settings.mapping.source) {
        comparer.difference(LegacyDifference::Missing, (*row)->id, wanted->url, "");
      }
      rows.pop();
    }
    if (site_first) {
      ++result.sites;
      if (!row_first)
        comparer.difference(LegacyDifference::Extra, (*site)->record.id, "", (*site)->record.url);
      sites.pop();
    }
  }
  if (auto done = comparer.look_again(table, list); !done) return done.error();
  return std::move(result);
}

}  // namespace watchwheel::app
