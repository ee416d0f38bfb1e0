// SPDX-License-Identifier: Apache-2.0
// app/node_identity.h - the name of this node, and of this run of it.
//
// Thread   any. Reads small files of /proc and /etc.
#pragma once

#include <string>

#include "core/result.h"

namespace watchwheel::app {

// `configured`, or the host's name without what no node's name has. Invalid: nothing is left of it, or it is no name.
[[nodiscard]] core::Result<std::string> node_name(const std::string& configured);

// "BOOT/NAMESPACE/PID/START": which process this is, among all of all machines.
[[nodiscard]] std::string process_instance();

// It ran on this machine since it was booted, where we would see it, and it is not there. False: it may live.
[[nodiscard]] bool is_surely_dead(const std::string& instance);

}  // namespace watchwheel::app
