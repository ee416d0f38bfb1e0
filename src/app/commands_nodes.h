// SPDX-License-Identifier: Apache-2.0
// app/commands_nodes.h - `watchwheel nodes`: who shares the store, who holds how many buckets, what moves; and a node's draining.
#pragma once

#include <string>

#include "app/command.h"
#include "db/lease_store.h"

namespace watchwheel::app {

struct NodesArgs {
  bool json = false;
  bool buckets = false;  // Each bucket too.
  std::string config;
};
// kExitBad when a bucket is held by nobody.
[[nodiscard]] int show_nodes(const NodesArgs& args, Io& io);

struct DrainArgs {
  std::string node;    // "": the one of the configuration.
  bool cancel = false;
  std::string config;
};
[[nodiscard]] int drain_node(const DrainArgs& args, Io& io);

[[nodiscard]] std::string nodes_json(const db::ClusterView& view, bool buckets);
[[nodiscard]] std::string nodes_text(const db::ClusterView& view, bool buckets);

}  // namespace watchwheel::app
