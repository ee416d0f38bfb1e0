// SPDX-License-Identifier: Apache-2.0
#include "app/site_parents.h"

#include <charconv>

#include "app/problem.h"
#include "app/site_fields.h"

namespace watchwheel::app {

core::Result<std::vector<core::SiteId>> resolve_parents(db::SiteCatalog& catalog,
                                                        const std::vector<std::string>& named) {
  std::vector<core::SiteId> parents;
  for (const std::string& name : named) {
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (error == std::errc{} && end == name.data() + name.size()) {
      parents.push_back(core::SiteId{id});
      continue;
    }
    const auto found = catalog.find_url(name);
    if (!found) return found.error();
    if (found->empty())
      return core::Error{core::ErrorKind::Invalid,
                         "parents: there is no site with the URL " + printable(name, 200) +
                             "; name the id or URL of one that is in the list"};
    if (found->size() > 1)
      return core::Error{
          core::ErrorKind::Invalid,
          "parents: several sites have the URL " + printable(name, 200) + "; name one by its id"};
    parents.push_back(found->front());
  }
  return parents;
}

core::Result<void> show_parents(db::SiteParents& parents, std::vector<db::SiteView>& page) {
  if (page.empty()) return {};
  const core::SiteId first = page.front().record.id;
  const auto all = parents.list(core::SiteId{first.value - 1}, page.back().record.id);
  if (!all) return all.error();
  auto known = all->begin();
  for (db::SiteView& view : page) {
    while (known != all->end() && known->site < view.record.id) ++known;
    if (known == all->end()) break;
    if (known->site != view.record.id) continue;
    std::string text;
    for (const core::SiteId parent : known->parents)
      text += (text.empty() ? "" : " ") + std::to_string(parent.value);
    if (auto set = set_site_field(view.record, kParentsColumn, text); !set) return set;
  }
  return {};
}

}  // namespace watchwheel::app
