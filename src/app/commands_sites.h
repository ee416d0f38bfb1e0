// SPDX-License-Identifier: Apache-2.0
// app/commands_sites.h - `watchwheel sites list | add | set | pause | resume | remove`.
//
// A running daemon sees every change within seconds, by the store's change sequence.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "app/command.h"

namespace watchwheel::app {

struct ListArgs {
  std::string tag;        // "": any.
  std::string state;      // "": any.
  std::size_t limit = 0;  // 0: all.
  bool json = false;      // One document a line.
  bool quiet = false;     // No progress bar.
  std::string config;
};
[[nodiscard]] int list_sites(const ListArgs& args, Io& io);

// Columns of site_fields.h with their texts.
using Fields = std::vector<std::pair<std::string, std::string>>;

struct AddArgs {
  std::string url;
  Fields fields;
  std::string config;
};
// kExitBad when the list has a site of that URL already: it is not replaced.
[[nodiscard]] int add_site(const AddArgs& args, Io& io);

struct SetArgs {
  std::string which;  // An id or a URL.
  Fields fields;      // An empty text takes the site's own value away, so that the default holds.
  std::string config;
};
[[nodiscard]] int set_site(const SetArgs& args, Io& io);

enum class SiteAction { Pause, Resume, Remove };

struct ActionArgs {
  SiteAction action = SiteAction::Pause;
  std::vector<std::string>
      which;  // Ids or URLs. When one of them is not found, nothing is done to any.
  std::string config;
};
[[nodiscard]] int act_on_sites(const ActionArgs& args, Io& io);

}  // namespace watchwheel::app
