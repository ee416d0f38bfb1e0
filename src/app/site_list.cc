// SPDX-License-Identifier: Apache-2.0
#include "app/site_list.h"

#include <utility>

#include "core/hash.h"

namespace watchwheel::app {

std::unique_ptr<SiteReader> make_site_reader(ListFormat format, std::istream& in, std::string file,
                                             const ChecksConfig& defaults) {
  if (format == ListFormat::Jsonl) return make_jsonl_reader(in, std::move(file), defaults);
  return make_csv_reader(in, std::move(file), defaults);
}

std::uint64_t DuplicateFinder::seen_before(const core::SiteRecord& record, std::uint64_t line) {
  const bool has_id = record.id.value != 0;
  if (has_id) {
    const auto [at, fresh] = ids_.try_emplace(record.id.value, line);
    if (!fresh) return at->second;
  }
  const auto [at, fresh] = urls_.try_emplace(core::stable_hash(record.url), Seen{line, !has_id});
  if (fresh) return 0;
  if (has_id && !at->second.by_url) return 0;  // Two sites may watch one URL.
  return at->second.line;
}

}  // namespace watchwheel::app
