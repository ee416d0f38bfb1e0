// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_access.h"

namespace watchwheel::app {

core::Result<std::vector<std::string>> check_legacy_table(const db::LegacyMapping& mapping,
                                                          db::Store& store) {
  const auto table = store.make_legacy_table(mapping);
  if (!table) return table.error();
  return (*table)->check();
}

core::Result<std::unique_ptr<db::LegacyTable>> open_legacy_table(const db::LegacyMapping& mapping,
                                                                 db::Store& store) {
  auto table = store.make_legacy_table(mapping);
  if (!table) return table.error();
  const auto problems = (*table)->check();
  if (!problems) return problems.error();
  if (problems->empty()) return table;
  std::string all;
  for (const std::string& problem : *problems) all += (all.empty() ? "" : "; ") + problem;
  return core::Error{core::ErrorKind::Invalid, all};
}

}  // namespace watchwheel::app
