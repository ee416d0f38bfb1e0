// SPDX-License-Identifier: Apache-2.0
// The files of the repository, for tests that hold them to our own rules.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace watchwheel::repo {

struct SourceFile {
  std::string path;  // From the repository's root: "src/core/ids.h".
  std::vector<std::string> lines;

  // "core" for "src/core/ids.h", "" where there is none.
  [[nodiscard]] std::string room() const;
  [[nodiscard]] bool is_header() const { return path.ends_with(".h"); }
};

// Every file below `folder` (from the root) whose name ends in one of `endings`, by path.
[[nodiscard]] std::vector<SourceFile> files_below(const std::string& folder,
                                                  const std::vector<std::string>& endings);

// `line` without string literals and without what follows //.
[[nodiscard]] std::string code_of(std::string_view line);

}  // namespace watchwheel::repo
