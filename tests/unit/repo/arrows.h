// SPDX-License-Identifier: Apache-2.0
// The rules of STYLE sections 1, 5 and 7 that a machine can read: which file may include what, and what no file may say.
#pragma once

#include <string>
#include <vector>

#include "source_tree.h"

namespace watchwheel::repo {

// Every breach in `file`, as "path:line: what".
[[nodiscard]] std::vector<std::string> breaches(const SourceFile& file);

// Files that may not speak to a foreign library and yet get its headers, through a header of ours.
[[nodiscard]] std::vector<std::string> leaks(const std::vector<SourceFile>& files);

}  // namespace watchwheel::repo
